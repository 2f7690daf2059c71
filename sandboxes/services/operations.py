"""Operations and intents change here, inside the transaction that holds the sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes.core import without_operation
from sandboxes.core.observation import refresh_status
from sandboxes.services.decisions import create_operation, draft_of, drafting, last_said, sandbox_facts, write

if TYPE_CHECKING:
    from datetime import datetime

    from sandboxes.core.codes import Code
    from sandboxes.core.vocabulary import Actor, Intent, OperationStatus
    from sandboxes.models import IntentChange, Operation, Sandbox


def set_intent(row: Sandbox, intent: Intent, *, actor: Actor, reason: str, now: datetime) -> IntentChange:
    """A person, or a service for them, wants this from now on. Returns what it changed."""
    draft = draft_of(row, None, now=now)
    draft.set_intent(intent, actor=actor, reason=reason)
    change = write(row, None, draft.decide(None), now=now)
    assert change is not None
    return change


def revert_intent(row: Sandbox, operation: Operation, *, now: datetime) -> None:
    """Take back the intent that this operation brought."""
    with drafting(row, operation, now=now) as draft:
        draft.revert_intent()


def close_operation(
    row: Sandbox,
    operation: Operation,
    status: OperationStatus,
    *,
    now: datetime,
    code: Code | None = None,
    message: str = "",
) -> None:
    """End the operation, and bring the sandbox's status in line with what is now true of it."""
    with drafting(row, operation, now=now) as draft:
        draft.close_operation(status, code=code, message=message)
        refresh_status(draft)


def keep_intent(row: Sandbox, *, now: datetime, caused_by: Operation | None = None) -> Operation:
    """Issue the action of an intent that is not met yet again, in the system's name."""
    new = without_operation.keep_intent(sandbox_facts(row), parameters=last_said(row))
    return create_operation(row, new, now=now, caused_by=caused_by)
