"""How a sandbox stands to what is wanted of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sandboxes.core.actions import INTENT_OF
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Intent, OperationStatus, Status

if TYPE_CHECKING:
    from datetime import datetime

    from sandboxes.core.facts import NewOperation

# The statuses in which an intent is fulfilled, or about to be.
FULFILLED_BY: dict[str, frozenset[Status]] = {
    Intent.RUNNING: frozenset({Status.RUNNING, Status.STARTING, Status.CREATING}),
    Intent.STOPPED: frozenset({Status.STOPPED, Status.STOPPING, Status.ARCHIVED}),
    Intent.ARCHIVED: frozenset({Status.ARCHIVED, Status.STOPPING}),
    Intent.DELETED: frozenset({Status.GONE, Status.STOPPING}),
}


class Intended(Protocol):
    """What is read of a sandbox here."""

    @property
    def daytona_id(self) -> str | None: ...
    @property
    def status(self) -> str: ...
    @property
    def intent(self) -> str: ...
    @property
    def intent_at(self) -> datetime | None: ...
    @property
    def intent_met_at(self) -> datetime | None: ...
    @property
    def deleted_at(self) -> datetime | None: ...


class Ended(Protocol):
    """What is read of an operation here."""

    @property
    def action(self) -> str: ...
    @property
    def status(self) -> str: ...


def has_drifted(row: Intended) -> bool:
    """Whether its status is not what is wanted of it."""
    return row.status not in FULFILLED_BY[row.intent]


def is_pursued(row: Intended) -> bool:
    """Whether Sandkeeper goes on with an intent that is not met. A start that failed is a person's to repeat, and
    what is in error can only be deleted."""
    if row.intent_met_at is not None or row.deleted_at is not None or row.daytona_id is None:
        return False
    if row.status == Status.ERROR:
        return row.intent == Intent.DELETED
    return row.intent != Intent.RUNNING


def has_failed(row: Intended, operation: Ended | None) -> bool:
    """Whether this operation was to bring about what is wanted of the sandbox, and did not."""
    return (
        operation is not None
        and operation.status == OperationStatus.FAILED
        and INTENT_OF.get(operation.action) == row.intent
    )


def superseded(row: Intended, asked: NewOperation) -> Refused | None:
    """Why what was asked for a while ago is left undone: somebody wanted something else since."""
    if asked.asked_at is None or row.intent_at is None or row.intent_at <= asked.asked_at:
        return None
    if INTENT_OF.get(asked.action, row.intent) == row.intent:
        return None
    return Refused(Code.SUPERSEDED, f"Somebody has asked for it to be {row.intent} since.")
