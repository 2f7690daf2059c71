"""The page of one sandbox: what each system last said, what is wanted, what happened, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed

from sandboxes import clock, html
from sandboxes.admin import cells, changing, selectors
from sandboxes.admin.verbs import Verb, allowed_verbs, is_protected, obstacle
from sandboxes.admin.why import why
from sandboxes.core import intents
from sandboxes.core.asked import INTERVALS, differences
from sandboxes.core.states import STATES
from sandboxes.core.vocabulary import EventKind, Status
from sandboxes.models import ConvexProjection, Operation, Sandbox, SandboxEvent
from sandboxes.services import projection

if TYPE_CHECKING:
    from datetime import datetime

EVENTS_PER_PAGE = 30
EVENT_ICONS: dict[str, str] = {
    EventKind.CREATED: "add_circle",
    EventKind.INTENT: "person_raised_hand",
    EventKind.OPERATION: "bolt",
    EventKind.CALL: "north_east",
    EventKind.OBSERVATION: "visibility",
    EventKind.GONE: "delete",
    EventKind.RETURNED: "undo",
    EventKind.EVICTION: "move_down",
    EventKind.CONVEX: "cloud_sync",
    EventKind.RENAMED: "edit",
    EventKind.CHANGE: "edit",
}


@dataclass(frozen=True, slots=True)
class Source:
    """What one system last said of the sandbox. `agrees` is None where there is nothing to compare."""

    name: str
    status: str
    word: str
    at: datetime | None
    agrees: bool | None
    notes: list[str]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Button:
    verb: Verb
    obstacle: str


def show(model_admin: Any, request: HttpRequest, object_id: str) -> HttpResponse:
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET"])
    rows = selectors.with_latest_operation(Sandbox.objects.select_related("projection"))
    sandbox: Sandbox = model_admin.readable(request, rows, object_id)
    active = selectors.active_of(sandbox)
    is_behind = selectors.behind_since(sandbox) is not None
    return model_admin.page(
        request,
        "sandboxes/sandbox.html",
        title=sandbox.display_name,
        original=sandbox,
        sandbox=sandbox,
        active=active,
        is_moving=selectors.is_moving(sandbox, active) or is_behind,
        is_pursued=intents.is_pursued(sandbox),
        disagreement=_disagreement(sandbox, active),
        intervals=intervals(sandbox),
        differences=differences(sandbox),
        is_protected=is_protected(sandbox),
        sources=sources(sandbox, active),
        buttons=buttons(request, sandbox, active),
        may_change=changing.may_change(request.user),
        why=why(sandbox),
        kinds=list(EVENT_ICONS),
        **timeline(request, sandbox),
    )


def _disagreement(sandbox: Sandbox, active: Operation | None) -> str:
    if active is not None or not intents.has_drifted(sandbox):
        return ""
    return cells.disagreement(sandbox, selectors.latest_of(sandbox))


def buttons(request: HttpRequest, sandbox: Sandbox, active: Operation | None) -> list[Button]:
    """The verbs this user may do; each with what stands in its way now."""
    return [
        Button(verb, obstacle(verb, sandbox, active=active))
        for verb in allowed_verbs(request)
        if verb.is_offered(sandbox)
    ]


def intervals(sandbox: Sandbox) -> list[tuple[str, str, str]]:
    """(label, what Daytona holds, what was asked for where that is another) of each."""
    lines = []
    for name in INTERVALS:
        asked, held = getattr(sandbox, f"{name}_minutes"), getattr(sandbox, f"observed_{name}")
        differs = asked is not None and held is not None and asked != held
        shown = html.interval(name, asked if held is None else held)
        wanted = html.interval(name, asked) if differs else ""
        lines.append((name.replace("_", "-").capitalize(), shown, wanted))
    return lines


def sources(sandbox: Sandbox, active: Operation | None) -> list[Source]:
    return [_daytona(sandbox, active), _ours(sandbox, active), _convex(sandbox.projection)]


def _daytona(sandbox: Sandbox, active: Operation | None) -> Source:
    if sandbox.observed_at is None:
        return Source("Daytona", "", "not asked yet", None, None, [])
    if sandbox.deleted_at is not None:
        word = sandbox.observed_state if sandbox.observed_state == "destroyed" else "not found"
        return Source("Daytona", Status.GONE, word, sandbox.observed_at, sandbox.status == Status.GONE, [])
    state = STATES.get(sandbox.observed_state)
    status = state.status if state else None
    agrees = None if active is not None else status == sandbox.status
    return Source(
        "Daytona", status or "", sandbox.observed_state, sandbox.observed_at, agrees, _doubts(sandbox),
        sandbox.error_reason,
    )  # fmt: skip


def _doubts(sandbox: Sandbox) -> list[str]:
    """Why what Daytona last said may not be the last word."""
    notes = []
    if sandbox.desired_state not in ("", sandbox.observed_state):
        notes.append(f"on its way to {sandbox.desired_state}")
    if sandbox.missing_since:
        notes.append("answers “not found”; believed after a second look")
    if sandbox.calls.in_doubt().filter(in_doubt_until__gt=clock.here()).exists():
        notes.append("a call with an unknown outcome may still run")
    return notes


def _ours(sandbox: Sandbox, active: Operation | None) -> Source:
    notes = [f"{active.action}: {active.step or active.status}"] if active else []
    return Source("Sandkeeper", sandbox.status, sandbox.status, sandbox.status_changed_at, None, notes)


def _convex(row: ConvexProjection) -> Source:
    """What Convex last confirmed; while it is behind, what is known of a push under way."""
    has_row = row.known or bool(row.sent)
    if not has_row and row.pushed_at is None:
        word = "not told yet" if projection.is_used() else "projection is off"
        return Source("Convex", "", word, None, None, [], row.error)
    status = str(row.sent.get("status", ""))
    return Source(
        "Convex",
        status if status in Status.values else "",
        status or ("unknown" if has_row else "row removed"),
        row.pushed_at,
        not row.is_behind,
        _behind(row, status),
        row.error,
    )


def _behind(row: ConvexProjection, status: str) -> list[str]:
    if not row.is_behind:
        return []
    notes = [f"generation {row.pushed_generation} of {row.wanted_generation}"]
    if status:
        notes.append(f"last confirmed: {status}")
    elif row.resend_at is not None:
        notes.append("a push had no answer")
    elif row.known:
        notes.append("every value is sent again")
    return notes


def timeline(request: HttpRequest, sandbox: Sandbox) -> dict[str, Any]:
    """The events of the page asked for: `?show=intent` filters, `?page=2` goes on to older ones."""
    shown = request.GET.get("show", "")
    events = SandboxEvent.objects.filter(sandbox=sandbox).select_related("operation").order_by("-at", "-id")
    if shown in EVENT_ICONS:
        events = events.filter(kind=shown)
    page = _page_number(request)
    found = list(events[(page - 1) * EVENTS_PER_PAGE : page * EVENTS_PER_PAGE + 1])
    return {
        "shown": shown,
        "events": [(event, EVENT_ICONS.get(event.kind, "info")) for event in found[:EVENTS_PER_PAGE]],
        "events_page": page,
        "more_events": len(found) > EVENTS_PER_PAGE,
    }


def _page_number(request: HttpRequest) -> int:
    text = request.GET.get("page", "1")
    return min(max(1, int(text)), 1000) if text.isdecimal() else 1
