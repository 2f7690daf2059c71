"""The page of one sandbox: what each system last said, what is wanted, what happened, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed

from sandboxes import clock, html
from sandboxes.admin import cells, changing, noting, policies, selectors
from sandboxes.admin.verbs import Verb, allowed_verbs, obstacle
from sandboxes.admin.why import why
from sandboxes.core import intents
from sandboxes.core.asked import INTERVALS, differences
from sandboxes.core.shown import status_in_convex
from sandboxes.core.states import STATES
from sandboxes.core.vocabulary import EventKind, Status
from sandboxes.models import Operation, Sandbox, SandboxEvent
from sandboxes.services import projection
from sandboxes.services.staff_actions import is_protected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

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
    EventKind.POLICY: "schedule",
    EventKind.CONVEX: "cloud_sync",
    EventKind.RENAMED: "edit",
    EventKind.CHANGE: "edit",
}


class Agreement(StrEnum):
    """How what a system shows stands to what we show."""

    NONE = ""
    AGREES = "agrees"
    DISAGREES = "disagrees"
    BEHIND = "behind"
    BETWEEN = "in between"
    SHOWN = "what people see"

    @classmethod
    def of(cls, agrees: bool) -> Agreement:
        return cls.AGREES if agrees else cls.DISAGREES

    @property
    def looks(self) -> tuple[str, str]:
        """(colour, icon)."""
        if self is Agreement.AGREES:
            return "good", "check"
        return ("warn", "difference") if self in (Agreement.DISAGREES, Agreement.BEHIND) else ("faint", "")


@dataclass(frozen=True, slots=True)
class ShownSystem:
    """What one system shows of the sandbox. `at` is when it was checked, or what else `moment` says."""

    name: str
    verdict: Agreement
    status: str
    word: str
    moment: str = "checked"
    at: datetime | None = None
    notes: Sequence[str] = ()
    error: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class ActionButton:
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
        stuck=cells.stuck(sandbox),
        disagreement=_disagreement(sandbox, active),
        intervals=intervals(sandbox),
        differences=differences(sandbox),
        is_protected=is_protected(sandbox),
        sources=sources(sandbox, active),
        buttons=buttons(request, sandbox, active),
        may_change=changing.may_change(request.user),
        why=why(sandbox),
        policy=policies.of_sandbox(request, sandbox),
        kinds=list(EVENT_ICONS),
        **noting.shown(request, sandbox),
        **timeline(request, SandboxEvent.objects.filter(sandbox=sandbox)),
    )


def _disagreement(sandbox: Sandbox, active: Operation | None) -> str:
    if active is not None or not intents.has_drifted(sandbox):
        return ""
    return cells.disagreement(sandbox, selectors.latest_of(sandbox))


def buttons(request: HttpRequest, sandbox: Sandbox, active: Operation | None) -> list[ActionButton]:
    """The verbs this user may do; each with what stands in its way now."""
    return [
        ActionButton(verb, obstacle(verb, sandbox, active=active))
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


def sources(sandbox: Sandbox, active: Operation | None) -> list[ShownSystem]:
    daytona = replace(_daytona(sandbox, active), url=dashboard(settings.DAYTONA_DASHBOARD, sandbox))
    convex = replace(_convex(sandbox), url=dashboard(settings.CONVEX_DASHBOARD, sandbox))
    return [daytona, _ours(sandbox, active), convex]


def dashboard(address: str, sandbox: Sandbox) -> str:
    """Where another system shows this sandbox; empty where nobody has said."""
    if not sandbox.daytona_id:
        return ""
    known = {"daytona_id": sandbox.daytona_id, "name": sandbox.daytona_name, "owner": sandbox.owner_id}
    for name, value in known.items():
        address = address.replace(f"{{{name}}}", quote(value, safe=""))
    return address


def _daytona(sandbox: Sandbox, active: Operation | None) -> ShownSystem:
    if sandbox.observed_at is None:
        return ShownSystem("Daytona", Agreement.NONE, "", "not asked yet")
    if sandbox.deleted_at is not None:
        word = sandbox.observed_state if sandbox.observed_state == "destroyed" else "not found"
        agrees = Agreement.of(sandbox.status == Status.GONE)
        return ShownSystem("Daytona", agrees, Status.GONE, word, at=sandbox.observed_at)
    state = STATES.get(sandbox.observed_state)
    status = state.status if state else ""
    verdict = Agreement.BETWEEN if active is not None else Agreement.of(status == sandbox.status)
    return ShownSystem(
        "Daytona", verdict, status, sandbox.observed_state,
        at=sandbox.observed_at, notes=_doubts(sandbox), error=sandbox.error_reason,
    )  # fmt: skip


def _doubts(sandbox: Sandbox) -> list[str]:
    """Why what Daytona last said may not be the last word."""
    notes = []
    if sandbox.desired_state not in ("", sandbox.observed_state):
        notes.append(f"on its way to {sandbox.desired_state}")
    if sandbox.missing_since:
        notes.append("answers “not found”; believed after a second check")
    if sandbox.calls.in_doubt().filter(in_doubt_until__gt=clock.here()).exists():
        notes.append("a call with an unknown outcome may still run")
    return notes


def _ours(sandbox: Sandbox, active: Operation | None) -> ShownSystem:
    notes = [f"{active.action}: {active.step or active.status}"] if active else []
    status, at = sandbox.status, sandbox.status_changed_at
    return ShownSystem("Sandkeeper", Agreement.SHOWN, status, status, moment="since", at=at, notes=notes)


def _convex(sandbox: Sandbox) -> ShownSystem:
    """Not behind means that Convex shows our status; while it is behind, nobody knows what it shows."""
    row = sandbox.projection
    if row.is_behind:
        notes = [f"generation {row.pushed_generation} of {row.wanted_generation}"]
        if row.resend_at is not None:
            notes.append("a push had no answer")
        return ShownSystem(
            "Convex", Agreement.BEHIND, "", "unknown",
            moment="behind since", at=row.behind_since, notes=notes, error=row.error,
        )  # fmt: skip
    if not row.wanted_generation:
        word = "not told yet" if projection.is_used() else "projection is off"
        return ShownSystem("Convex", Agreement.NONE, "", word, error=row.error)
    status = status_in_convex(row)
    notes = ["its user took it off the list"] if row.removed else []
    word = status or "no row"
    return ShownSystem(
        "Convex", Agreement.AGREES, status, word, moment="pushed", at=row.pushed_at, notes=notes, error=row.error
    )


def timeline(request: HttpRequest, events: QuerySet[SandboxEvent]) -> dict[str, Any]:
    """The events of the page asked for: `?show=intent` filters, `?page=2` goes on to older ones."""
    shown = request.GET.get("show", "")
    events = events.select_related("operation").order_by("-at", "-id")
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
