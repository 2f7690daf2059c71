"""What our own row alone can refuse. Pure: no query, no call."""

from __future__ import annotations

from sandboxes.codes import Code, Refused
from sandboxes.models import Operation, Sandbox
from sandboxes.states import Action, Intent, Status

STARTING = frozenset({Action.START, Action.RECOVER})


def refusal(
    row: Sandbox, action: Action, *, active: Operation | None, on_hold: bool, force: bool = False
) -> Refused | None:
    """Why this action cannot be requested now; None when it can.

    What went by itself may still be deleted: that takes it off its owner's list in Convex.
    """
    if row.status == Status.GONE:
        if action == Action.DELETE and row.intent != Intent.DELETED:
            return None
        return Refused(Code.SANDBOX_GONE, f"“{row.display_name}” no longer exists in Daytona.")
    if action == Action.SYNC:
        return None
    if row.intent == Intent.DELETED and action != Action.DELETE:
        return Refused(Code.SANDBOX_DELETING, f"“{row.display_name}” is being deleted.")
    if active is not None and active.action == Action.CREATE and action not in (Action.START, Action.DELETE):
        return Refused(Code.SANDBOX_CREATING, f"“{row.display_name}” is still being created.")
    if action in STARTING and on_hold:
        return Refused(Code.OWNER_ON_HOLD, f"The owner of “{row.display_name}” is on hold.")
    return destroys(row, action, force=force)


def destroys(row: Sandbox, action: str, *, force: bool) -> Refused | None:
    """Why this action would destroy the sandbox, which nobody asked for; None when it would not."""
    if row.ephemeral and action == Action.STOP and not force:
        return Refused(
            Code.EPHEMERAL_WOULD_BE_DESTROYED,
            f"“{row.display_name}” is ephemeral: Daytona deletes it when it stops.",
        )
    if row.ephemeral and action == Action.ARCHIVE:
        return Refused(Code.EPHEMERAL_CANNOT_ARCHIVE, f"“{row.display_name}” is ephemeral.")
    return None


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
    """The actions that a request would accept now (a stop of an ephemeral one only with force)."""
    refused = obstacles(sandbox, active=active, on_hold=on_hold)
    return [action.value for action in Action if action != Action.CREATE and action not in refused]
