"""What Convex shall show of a sandbox, and what of it is still to be sent. Pure: no query, no call.

The rule behind it: a value that we did not learn from a person or from us is never pushed, and what a person or
the application wrote in Convex is overwritten only where we have something of our own to say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from sandboxes.core.vocabulary import Intent, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

GONE_WORDS = "This sandbox no longer exists in Daytona. Delete it to take it off the list."
MESSAGE_LIMIT = 1000


class ShownRow(Protocol):
    """What of a sandbox there is to show."""

    @property
    def daytona_id(self) -> str | None: ...
    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def error_reason(self) -> str: ...
    @property
    def intent(self) -> str: ...
    @property
    def ephemeral(self) -> bool: ...
    @property
    def auto_delete(self) -> int | None: ...


class Projected(Protocol):
    """What Convex is to show of one, and what became of it there."""

    @property
    def sandbox(self) -> ShownRow: ...
    @property
    def withdrawn(self) -> bool: ...
    @property
    def removed(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Shown:
    """What we have to say of a sandbox. Empty: nothing; what stands in Convex is not ours to change."""

    status: str
    error: str
    name: str


class Absent(StrEnum):
    """What to do where Convex has no row of it."""

    CREATE = "create"  # it has never had one
    LEAVE = "leave"  # it had one: its user took it off the list
    RECREATE = "recreate"  # it had one, and a person asked for it here


@dataclass(frozen=True, slots=True)
class Push:
    """What one push says. None leaves what the row says; an empty `error` takes back what we said before."""

    shown: Shown
    status: str | None
    error: str | None
    name: str | None
    absent: Absent


def shown_of(row: ShownRow) -> Shown | None:
    """What there is to show of a sandbox; None: nothing yet, or nothing any more."""
    if row.daytona_id is None:  # Convex names its rows by that id
        return None
    if row.status != Status.GONE:
        error = row.error_reason[:MESSAGE_LIMIT] if row.status == Status.ERROR else ""
        return Shown(row.status, error, row.name)
    ends_itself = row.ephemeral or (row.auto_delete is not None and row.auto_delete >= 0)
    if row.intent == Intent.DELETED or ends_itself:  # as its owner wanted, or as Daytona was told to do by itself
        return None
    # Convex knows no word for a sandbox that went without anybody asking: the message says it.
    return Shown(Status.ARCHIVED, GONE_WORDS, row.name)


def wanted(projection: Projected) -> Shown | None:
    """What Convex shall show; None: no row at all. What is gone may have been withdrawn to make room there."""
    is_withdrawn = projection.withdrawn and projection.sandbox.status == Status.GONE
    return None if is_withdrawn else shown_of(projection.sandbox)


def status_in_convex(projection: Projected) -> str:
    """What Convex shows of one that is not behind: not behind means just that. Empty: it has no row."""
    shown = None if projection.removed else wanted(projection)
    return shown.status if shown else ""


def to_push(projection: Projected, known: Mapping[str, Any]) -> Push | None:
    """What is to be sent, given what Convex is known to have from us; None: its row is to be removed.

    `known` is as `ConvexProjection.sent` holds it. A value that is not in it is unknown, which is not equal: it is
    sent. But for an empty message: where nobody knows whose one is there, it is left.
    """
    shown = wanted(projection)
    if shown is None:
        return None
    taken_back = "" if known.get("error") else None
    return Push(
        shown,
        status=None if known.get("status") == shown.status else shown.status,
        error=_unless(known, "error", shown.error) if shown.error else taken_back,
        name=_unless(known, "name", shown.name) if shown.name else None,
        absent=_absent(projection, known),
    )


def as_known(shown: Shown, before: Mapping[str, Any]) -> dict[str, Any]:
    """What Convex is known to have after all of a push was taken; `row` says that it has a row."""
    name = {"name": shown.name} if shown.name else {key: before[key] for key in ("name",) if key in before}
    return {"row": True, "status": shown.status, "error": shown.error, **name}


def our_messages(row: ShownRow, known: Mapping[str, Any]) -> list[str]:
    """The messages that we may have written: only these are ours to take back."""
    return sorted({str(known.get("error") or ""), row.error_reason[:MESSAGE_LIMIT], GONE_WORDS} - {""})


def _unless(known: Mapping[str, Any], what: str, value: str) -> str | None:
    return None if known.get(what) == value else value


def _absent(projection: Projected, known: Mapping[str, Any]) -> Absent:
    if "again" in known:
        return Absent.RECREATE
    return Absent.LEAVE if projection.removed or "row" in known else Absent.CREATE
