"""What may be asked of a sandbox now, and why the rest is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sandboxes.core.actions import ACTIONS, STARTING
from sandboxes.core.codes import Code, Refused
from sandboxes.core.plan import Fail, plan
from sandboxes.core.states import STATES
from sandboxes.core.vocabulary import Action, Intent, Status

if TYPE_CHECKING:
    from datetime import datetime

    from sandboxes.core.facts import SandboxFacts

DAY = 1440  # minutes
# What would destroy an ephemeral sandbox and then find nothing to go on with; no force changes that.
EPHEMERAL_CANNOT: dict[str, Code] = {
    Action.ARCHIVE: Code.EPHEMERAL_CANNOT_ARCHIVE,
    Action.RESTART: Code.EPHEMERAL_CANNOT_RESTART,
}


class Wanted(Protocol):
    """What the intent gate reads of a sandbox."""

    @property
    def display_name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def intent(self) -> str: ...
    @property
    def intent_actor_kind(self) -> str: ...
    @property
    def intent_actor_id(self) -> str: ...
    @property
    def intent_reason(self) -> str: ...
    @property
    def intent_at(self) -> datetime | None: ...


def check_may_run(row: Wanted, *, on_hold: bool) -> None:
    """The intent gate: what a person wants comes before what is true.

    Raises:
        Refused: SANDBOX_GONE, SANDBOX_STOPPED_BY_USER (who, when, why), OWNER_ON_HOLD.
    """
    if row.intent == Intent.DELETED or row.status == Status.GONE:
        raise Refused(Code.SANDBOX_GONE, f"“{row.display_name}” is deleted.", current_status=row.status)
    if row.intent in (Intent.STOPPED, Intent.ARCHIVED):
        raise _stopped_by_user(row)
    if on_hold:
        raise Refused(Code.OWNER_ON_HOLD, "The owner is on hold.", current_status=row.status)


def _stopped_by_user(row: Wanted) -> Refused:
    who = f"{row.intent_actor_kind}:{row.intent_actor_id}"
    when = row.intent_at.isoformat() if row.intent_at else ""
    return Refused(
        Code.SANDBOX_STOPPED_BY_USER,
        f"{who} wants “{row.display_name}” {row.intent} since {when}."
        + (f" {row.intent_reason}" if row.intent_reason else ""),
        current_status=row.status,
        intent=row.intent,
        stopped_by=who,
        stopped_at=when,
        stopped_reason=row.intent_reason,
    )


def refusal(
    row: SandboxFacts,
    action: Action,
    *,
    active: str | None,
    is_uncertain: bool,
    on_hold: bool,
    force: bool = False,
) -> Refused | None:
    """Why this action cannot be requested now; None when it can.

    Args:
        active: the action of the active operation.
        is_uncertain: a call of ours may change what Daytona shows, or is in doubt; nothing is foretold then.
    """
    if row.status == Status.GONE:
        if action == Action.DELETE and row.intent != Intent.DELETED:
            return None  # that takes what went by itself off its owner's list in Convex
        return Refused(Code.SANDBOX_GONE, f"“{row.display_name}” no longer exists in Daytona.")
    if action == Action.SYNC:
        return None
    if row.intent == Intent.DELETED and action != Action.DELETE:
        return Refused(Code.SANDBOX_DELETING, f"“{row.display_name}” is being deleted.")
    if active == Action.CREATE and action not in (Action.START, Action.DELETE):
        return Refused(Code.SANDBOX_CREATING, f"“{row.display_name}” is still being created.")
    if action in STARTING and on_hold:
        return Refused(Code.OWNER_ON_HOLD, f"The owner of “{row.display_name}” is on hold.")
    fails = None if is_uncertain or row.missing_since is not None else _fails(row, action)
    return fails or destroys(row, action, force=force)


def obstacles(
    row: SandboxFacts, *, active: str | None, is_uncertain: bool, on_hold: bool, force: bool = False
) -> dict[Action, Refused]:
    """The actions that would be refused now, and why: for disabled buttons and `allowed_actions`."""
    found = {
        action: refusal(row, action, active=active, is_uncertain=is_uncertain, on_hold=on_hold, force=force)
        for action in Action
        if action != Action.CREATE
    }
    return {action: refused for action, refused in found.items() if refused is not None}


def _fails(row: SandboxFacts, action: Action) -> Refused | None:
    """What would fail at its first step."""
    step = plan(action, row.seen)
    return Refused(step.code, _why_it_fails(row, step.code)) if isinstance(step, Fail) else None


def _why_it_fails(row: SandboxFacts, code: Code) -> str:
    if code == Code.SANDBOX_GONE:
        return f"Daytona is deleting “{row.display_name}”."
    if code == Code.SANDBOX_UNRECOVERABLE:
        return f"Daytona cannot recover “{row.display_name}”: delete it. A sync looks again."
    return f"“{row.display_name}” is in error: {'recover or delete' if row.recoverable else 'delete'} it."


def destroyed_after(row: SandboxFacts) -> int | None:
    """How many minutes after a stop Daytona deletes it, if within a day; None when it stays.

    Daytona's value counts, and one that it is still to be told of.
    """
    coming = row.pending_changes.get("auto_delete", {}).get("value")
    minutes = min((m for m in (row.auto_delete, coming) if m is not None and m >= 0), default=None)
    return minutes if minutes is not None and minutes <= DAY else None


def destroys(row: SandboxFacts, action: str, *, force: bool) -> Refused | None:
    """Why this action would destroy the sandbox, which nobody asked for; None when it would not."""
    if row.ephemeral and action == Action.STOP and not force:
        return Refused(
            Code.EPHEMERAL_WOULD_BE_DESTROYED,
            f"“{row.display_name}” is ephemeral: Daytona deletes it when it stops.",
        )
    if row.ephemeral and action in EPHEMERAL_CANNOT:
        return Refused(EPHEMERAL_CANNOT[action], f"“{row.display_name}” is ephemeral.")
    minutes = destroyed_after(row)
    if minutes is None or force or not ACTIONS[Action(action)].stops:
        return None
    state = STATES.get(row.observed_state)
    if state is None or state.status not in (Status.RUNNING, Status.STARTING, Status.CREATING):
        return None  # it has stopped: a stop changes nothing, and an archive saves it
    return Refused(Code.AUTO_DELETE_WOULD_DESTROY, _why_destroyed(row, minutes))


def _why_destroyed(row: SandboxFacts, minutes: int) -> str:
    asked = row.auto_delete_minutes
    text = f"Daytona deletes “{row.display_name}” {minutes} min after it stops: that is its auto-delete"
    return f"{text}." if asked in (None, minutes) else f"{text} there. {asked} was asked for."
