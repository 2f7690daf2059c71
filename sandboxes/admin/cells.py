"""The cells of the sandboxes list: each takes a row that came through `selectors.with_latest_operation`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator

from sandboxes import html
from sandboxes.admin import selectors
from sandboxes.core import intents
from sandboxes.core.actions import MOVING
from sandboxes.core.codes import MEANINGS, Code
from sandboxes.core.vocabulary import Action, ActorKind, OperationStatus, Status
from sandboxes.services.staff_actions import is_protected

if TYPE_CHECKING:
    from sandboxes.models import Operation, Sandbox

# What happened to a sandbox, as the status that it is in tells it.
HAPPENED = {
    Status.STOPPED: "stopped",
    Status.ARCHIVED: "archived",
    Status.RUNNING: "started",
    Status.GONE: "deleted",
}
ENDS_IN = {Action.STOP: Status.STOPPED, Action.ARCHIVE: Status.ARCHIVED, Action.DELETE: Status.GONE}


def name(sandbox: Sandbox) -> SafeString:
    marks = [
        html.badge("ephemeral", colour="amber", symbol="local_fire_department") if sandbox.ephemeral else "",
        html.badge("protected", colour="blue", symbol="shield") if is_protected(sandbox) else "",
    ]
    title = format_html('<span class="sk-strong sk-name">{}</span>', sandbox.display_name)
    if not any(marks):
        return title
    return format_html('<span class="sk-row">{}{}{}</span>', title, *marks)


def owner(sandbox: Sandbox) -> SafeString:
    link = html.link(html.owner_url(sandbox.owner_id), sandbox.owner_id, css="sk-plain sk-name")
    if not sandbox.owner.on_hold:
        return link
    return html.stack(link, html.badge("on hold", colour="red", symbol="front_hand"))


def status(sandbox: Sandbox) -> SafeString:
    """Badge; under it the step in progress, or who made it other than wanted."""
    active = selectors.active_of(sandbox)
    if active is not None:
        second = in_progress(active)
    elif not intents.has_drifted(sandbox):
        second = SafeString("")
    else:
        second = disagreement(sandbox, selectors.latest_of(sandbox))
    cell = html.stack(html.status_badge(sandbox.status, title=sandbox.error_reason), stuck(sandbox), second)
    return live(cell, is_moving=selectors.is_moving(sandbox, active))


def stuck(sandbox: Sandbox) -> SafeString:
    """Since when it has stood where it should pass; nothing where it does not."""
    if not sandbox.stuck:  # type: ignore[attr-defined]
        return SafeString("")
    began = sandbox.status_changed_at if sandbox.status in MOVING else sandbox.intent_at
    doing = sandbox.status if sandbox.status in MOVING else "wanted deleted"
    label = format_html("<span>stuck: {} for {}</span>", doing, html.since(began))
    return html.badge(label, colour="red", symbol="hourglass_disabled", title="Daytona neither finishes nor fails")


def live(content: SafeString, *, is_moving: bool) -> SafeString:
    """A cell; the list is asked for more often while one of it moves."""
    return format_html(
        '<div class="sk-wrap"{}>{}</div>', mark_safe(" data-live-active") if is_moving else "", content
    )


def in_progress(operation: Operation) -> SafeString:
    return format_html(
        '<span class="sk-small sk-inline-icon sk-pulse">{}<span>{}: {} · {}</span></span>',
        html.icon("pending"),
        operation.get_action_display(),
        operation.step or operation.status,
        html.since(operation.created_at),
    )


def disagreement(sandbox: Sandbox, latest: Operation | None) -> SafeString:
    """`wanted running, stopped by evictor 12 min ago`; of an error, and of an operation that failed, why."""
    when = html.ago(sandbox.status_changed_at, empty="")
    if sandbox.status == Status.ERROR:
        reason = f": {Truncator(sandbox.error_reason).chars(70)}" if sandbox.error_reason else ""
        return format_html('<span class="sk-small sk-bad">failed {}{}</span>', when, reason)
    if latest is not None and intents.has_failed(sandbox, latest) and sandbox.status != Status.GONE:
        return _wanted(sandbox, "; ", _failure(latest))
    if sandbox.status in MOVING:
        since = html.since(sandbox.status_changed_at)
        return _wanted(sandbox, ", ", format_html("{} for {}", sandbox.status, since))
    if sandbox.intent_met_at is None and sandbox.status != Status.GONE:
        return _wanted(sandbox, ", ", f"still {sandbox.status}")
    happened = HAPPENED.get(Status(sandbox.status), sandbox.status)
    return _wanted(sandbox, ", ", format_html("{} by {} {}", happened, who_did_it(sandbox, latest), when))


def _wanted(sandbox: Sandbox, comma: str, but: str) -> SafeString:
    return format_html('<span class="sk-small sk-warn">wanted {}{}{}</span>', sandbox.intent, comma, but)


def _failure(operation: Operation) -> SafeString:
    why = MEANINGS[Code(operation.code)].title if operation.code else "nobody knows why"
    when = html.ago(operation.finished_at, empty="")
    return format_html("the {} failed: {} {}", operation.get_action_display().lower(), why, when)


def who_did_it(sandbox: Sandbox, latest: Operation | None) -> str:
    """Whose operation brought the sandbox where it is; Daytona itself where none of ours did."""
    if (
        latest is None
        or latest.status != OperationStatus.SUCCEEDED
        or ENDS_IN.get(Action(latest.action)) != sandbox.status
    ):
        return "Daytona"
    return latest.actor_id if latest.actor_kind == ActorKind.SYSTEM else f"{latest.actor_kind} {latest.actor_id}"


def last_used(sandbox: Sandbox) -> SafeString:
    return html.ago(sandbox.last_used_at)


def convex(sandbox: Sandbox) -> SafeString:
    """How far Convex is behind, or nothing to see."""
    since = selectors.behind_since(sandbox)
    if since is None:
        return html.NOTHING
    colour, symbol = ("red", "cloud_off") if sandbox.projection.error else ("amber", "cloud_sync")
    label = format_html("<span>{} behind</span>", html.since(since))
    cell = html.badge(label, colour=colour, symbol=symbol, title=sandbox.projection.error)
    return live(cell, is_moving=True)
