"""What our own row alone can refuse. Pure: no query, no call."""

from __future__ import annotations

from sandboxes import planner
from sandboxes.codes import Code, Refused
from sandboxes.models import Operation, Sandbox
from sandboxes.states import STATUS_OF_STATE, Action, Intent, Status

STARTING = frozenset({Action.START, Action.RECOVER})
DAY = 1440  # minutes


def refusal(
    row: Sandbox, action: Action, *, active: Operation | None, on_hold: bool, force: bool = False
) -> Refused | None:
    """Why this action cannot be requested now; None when it can.

    What went by itself may still be deleted: that takes it off its owner's list in Convex.
    """
    if row.status == Status.GONE:
        if action == Action.DELETE and row.intent != Intent.DELETED:
            return None
        return Refused(Code.SANDBOX_GONE, f"“{row}” no longer exists in Daytona.")
    if action == Action.SYNC:
        return None
    if row.intent == Intent.DELETED and action != Action.DELETE:
        return Refused(Code.SANDBOX_DELETING, f"“{row}” is being deleted.")
    if active is not None and active.action == Action.CREATE and action not in (Action.START, Action.DELETE):
        return Refused(Code.SANDBOX_CREATING, f"“{row}” is still being created.")
    if action in STARTING and on_hold:
        return Refused(Code.OWNER_ON_HOLD, f"The owner of “{row}” is on hold.")
    return _fails(row, action, active=active) or destroys(row, action, force=force)


def _fails(row: Sandbox, action: Action, *, active: Operation | None) -> Refused | None:
    """What would fail at its first step. Not judged while a call of ours may change what Daytona shows, or while
    it is in doubt."""
    is_uncertain = row.unsettled_until is not None or row.missing_since is not None
    if is_uncertain or (active is not None and active.has_called):
        return None
    step = planner.plan(action, row.seen, planner.Calls())
    return Refused(step.code, _why_it_fails(row, step.code)) if isinstance(step, planner.Fail) else None


def _why_it_fails(row: Sandbox, code: Code) -> str:
    if code == Code.SANDBOX_GONE:
        return f"Daytona is deleting “{row}”."
    if code == Code.SANDBOX_UNRECOVERABLE:
        return f"Daytona cannot recover “{row}”: delete it. A sync looks again."
    return f"“{row}” is in error: {'recover or delete' if row.recoverable else 'delete'} it."


def destroyed_after(row: Sandbox) -> int | None:
    """How many minutes after a stop Daytona deletes it, if within a day; None when it stays.

    Daytona's value counts, and one that it is still to be told of.
    """
    coming = row.pending_changes.get("auto_delete", {}).get("value")
    minutes = min((m for m in (row.auto_delete, coming) if m is not None and m >= 0), default=None)
    return minutes if minutes is not None and minutes <= DAY else None


def destroys(row: Sandbox, action: str, *, force: bool) -> Refused | None:
    """Why this action would destroy the sandbox, which nobody asked for; None when it would not."""
    if row.ephemeral and action == Action.STOP and not force:
        return Refused(
            Code.EPHEMERAL_WOULD_BE_DESTROYED,
            f"“{row}” is ephemeral: Daytona deletes it when it stops.",
        )
    if row.ephemeral and action == Action.ARCHIVE:
        return Refused(Code.EPHEMERAL_CANNOT_ARCHIVE, f"“{row}” is ephemeral.")
    minutes = destroyed_after(row)
    if minutes is None or force or action not in (Action.STOP, Action.ARCHIVE):
        return None
    if STATUS_OF_STATE.get(row.observed_state) not in (Status.RUNNING, Status.STARTING, Status.CREATING):
        return None  # it has stopped: a stop changes nothing, and an archive saves it
    return Refused(Code.AUTO_DELETE_WOULD_DESTROY, _why_destroyed(row, minutes))


def _why_destroyed(row: Sandbox, minutes: int) -> str:
    asked = row.auto_delete_minutes
    text = f"Daytona deletes “{row}” {minutes} min after it stops: that is its auto-delete"
    return f"{text}." if asked in (None, minutes) else f"{text} there. {asked} was asked for."


def obstacles(
    sandbox: Sandbox, *, active: Operation | None, on_hold: bool, force: bool = False
) -> dict[Action, Refused]:
    """The actions that would be refused now, and why: for disabled buttons and `allowed_actions`."""
    found = {
        action: refusal(sandbox, action, active=active, on_hold=on_hold, force=force)
        for action in Action
        if action != Action.CREATE
    }
    return {action: refused for action, refused in found.items() if refused is not None}


def allowed_actions(sandbox: Sandbox, *, active: Operation | None, on_hold: bool) -> list[str]:
    """The actions that a request would accept now, without force."""
    refused = obstacles(sandbox, active=active, on_hold=on_hold)
    return [action.value for action in Action if action != Action.CREATE and action not in refused]
