"""plan(): what an operation does next. Pure, a table, the heart.

The table is the one of the design. A state that does not answer yet is waited out; nothing here guesses.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sandboxes.codes import Code
from sandboxes.states import ERROR_STATES, STABLE_STATES, Action, Seen


@dataclass(frozen=True, slots=True)
class Done:
    """The observation shows what the action wanted."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again in `seconds`. `actionable` says whether the deadline runs meanwhile:
    it does not while Daytona's own state has to be waited out."""

    seconds: float
    why: str
    actionable: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """Make this call to Daytona now."""

    name: str


@dataclass(frozen=True, slots=True)
class Fail:
    code: Code


Step = Done | Wait | Call | Fail


@dataclass(frozen=True, slots=True)
class Calls:
    """What we have asked of Daytona.

    `awaiting` is our latest call on this sandbox, by whichever operation, while its effect may still be
    invisible: Daytona answers a GET from a cache of up to 10 s, and a call with an unknown outcome may still
    be running. `recovered`: this operation has called recover before.
    """

    awaiting: str | None = None
    recovered: bool = False


# The states from before a call, which are not yet an answer to it.
BEFORE: dict[str, frozenset[str]] = {
    "start": frozenset({"stopped", "archived", "archiving", "paused"}),
    "stop": frozenset({"started", "paused"}),
    "archive": frozenset({"stopped"}),
    "recover": frozenset({"error", "build_failed", "stopped", "archived"}),
    "delete": STABLE_STATES | ERROR_STATES | {"archiving", "pending_build"},
}


class Row(StrEnum):
    """The rows of the table."""

    NO_ID = "no id yet"
    STARTED = "started"
    STOPPED = "stopped"
    ARCHIVED = "archived"
    ARCHIVING = "archiving"
    PAUSED = "paused"
    PENDING_BUILD = "pending_build"
    MOVING = "moving"
    STOPPING = "stopping"
    ACCEPTED = "accepted"
    RECOVERABLE = "error, recoverable"
    ERROR = "error"
    ENDING = "destroying"
    MISSING = "believed missing"
    UNKNOWN_WORD = "a word nobody knows"


ROW_OF_STATE: dict[str, Row] = {
    "started": Row.STARTED,
    "stopped": Row.STOPPED,
    "archived": Row.ARCHIVED,
    "archiving": Row.ARCHIVING,
    "paused": Row.PAUSED,
    "pending_build": Row.PENDING_BUILD,
    "stopping": Row.STOPPING,
    "pausing": Row.STOPPING,
    "error": Row.ERROR,
    "build_failed": Row.ERROR,
    "destroying": Row.ENDING,
    "destroyed": Row.ENDING,
} | dict.fromkeys(
    (
        "starting", "creating", "restoring", "resuming", "pulling_snapshot", "building_snapshot", "resizing",
        "snapshotting", "forking", "unknown",
    ),
    Row.MOVING,
)  # fmt: skip

_DONE = Done()
_MOVING = Wait(1, "Daytona is at work")
_STOPPING = Wait(1, "Daytona is stopping it")
_ACCEPTED = Wait(1, "Daytona has accepted a request")
_CREATING = Wait(1, "waiting for the create")
_ENDING = Wait(1, "Daytona is deleting it")
_UNKNOWN = Wait(10, "Daytona says a state that nobody knows")
_ARCHIVING = Wait(5, "Daytona is archiving it", actionable=True)
_SHOWING = Wait(0.5, "waiting for Daytona to show it", actionable=True)
_BUILDING = Wait(2, "waiting for the build")
_CALL = {name: Call(name) for name in ("create", "start", "stop", "archive", "delete", "recover")}
_GONE, _ERRORED = Fail(Code.SANDBOX_GONE), Fail(Code.SANDBOX_ERRORED)
_DEAD = Fail(Code.SANDBOX_UNRECOVERABLE)

A = Action
COLUMNS = (A.START, A.STOP, A.ARCHIVE, A.DELETE, A.RECOVER)
TABLE: dict[Row, tuple[Step, Step, Step, Step, Step]] = {
    #                start           stop            archive            delete            recover
    Row.NO_ID: (_CREATING, _CREATING, _CREATING, _DONE, _CREATING),
    Row.STARTED: (_DONE, _CALL["stop"], _CALL["stop"], _CALL["delete"], _DONE),
    Row.STOPPED: (_CALL["start"], _DONE, _CALL["archive"], _CALL["delete"], _DONE),
    Row.ARCHIVED: (_CALL["start"], _DONE, _DONE, _CALL["delete"], _DONE),
    Row.ARCHIVING: (_CALL["start"], _DONE, _ARCHIVING, _CALL["delete"], _DONE),
    Row.PAUSED: (_CALL["start"], _CALL["stop"], _CALL["stop"], _CALL["delete"], _DONE),
    Row.PENDING_BUILD: (_BUILDING, _BUILDING, _BUILDING, _CALL["delete"], _BUILDING),
    Row.MOVING: (_MOVING, _MOVING, _MOVING, _MOVING, _MOVING),
    Row.STOPPING: (_STOPPING, _STOPPING, _STOPPING, _STOPPING, _STOPPING),
    Row.ACCEPTED: (_ACCEPTED, _ACCEPTED, _ACCEPTED, _ACCEPTED, _ACCEPTED),
    Row.RECOVERABLE: (_CALL["recover"], _ERRORED, _ERRORED, _CALL["delete"], _CALL["recover"]),
    Row.ERROR: (_DEAD, _ERRORED, _ERRORED, _CALL["delete"], _DEAD),
    Row.ENDING: (_GONE, _DONE, _DONE, _ENDING, _GONE),
    Row.MISSING: (_GONE, _DONE, _DONE, _DONE, _GONE),
    Row.UNKNOWN_WORD: (_UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN),
}


def row_of(seen: Seen | None) -> Row:
    """Which row of the table an observation stands in.

    A stable state with another desired state is a request that Daytona has already accepted, but for stopped
    → archived, which a start may still call back (the auto-archive leaves a raw `stopped`).
    """
    if seen is None:
        return Row.NO_ID
    if seen.missing:
        return Row.MISSING
    if seen.desired_state == "destroyed":
        return Row.ENDING
    row = ROW_OF_STATE.get(seen.state, Row.UNKNOWN_WORD)
    if row is Row.ERROR and seen.recoverable:
        return Row.RECOVERABLE
    if row is Row.STOPPED and seen.desired_state == "archived":
        return Row.ARCHIVING
    if seen.state in STABLE_STATES and seen.desired_state not in ("", seen.state):
        return Row.ACCEPTED
    return row


def plan(action: str, seen: Seen | None, calls: Calls) -> Step:
    """The next step of an operation.

    Args:
        action: one of `Action`.
        seen: the observation; None when the sandbox has no Daytona id yet.
        calls: what the operation has asked of Daytona so far.
    """
    if action == Action.SYNC:
        return _DONE if seen is not None else _CREATING
    if _is_from_before(seen, calls.awaiting):
        return _SHOWING
    row = row_of(seen)
    if row is Row.NO_ID and action == Action.CREATE:
        return _CALL["create"]
    column = COLUMNS.index(Action.START if action == Action.CREATE else Action(action))
    step = TABLE[row][column]
    if step == _CALL["recover"] and calls.recovered:
        return _ERRORED
    return step


def _is_from_before(seen: Seen | None, awaiting: str | None) -> bool:
    """After our own call, a state from before it is not yet an answer."""
    if awaiting is None or (seen is not None and (seen.missing or seen.desired_state == "destroyed")):
        return False
    if seen is None:
        return awaiting == "create"
    return seen.state in BEFORE.get(awaiting, frozenset())
