"""plan(): what an operation does next, as a table of what is seen and what is asked for.

A state that does not answer yet is waited out; nothing here guesses.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandboxes.core.actions import CALLS
from sandboxes.core.codes import Code
from sandboxes.core.states import PlanRow, Seen, row_of
from sandboxes.core.vocabulary import Action


@dataclass(frozen=True, slots=True)
class Done:
    """The observation shows what the action wanted."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Fetch again in `after` seconds, for the reason `why`.

    `counts`: whether the deadline runs meanwhile; it does not while Daytona's own state has to be waited out.
    `may_be_sooner`: whether a worker with nothing else to do may fetch before that.
    """

    after: float
    why: str
    counts: bool = False
    may_be_sooner: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """Make this call to Daytona now."""

    name: str


@dataclass(frozen=True, slots=True)
class FindRoom:
    """Go on with the search for room before this call is made."""

    name: str


@dataclass(frozen=True, slots=True)
class Fail:
    """End the operation with this code; `message` is for staff."""

    code: Code
    message: str = ""


Step = Done | LookAgain | Call | FindRoom | Fail

_DONE = Done()
_MOVING = LookAgain(1, "Daytona is at work")
_STOPPING = LookAgain(1, "Daytona is stopping it")
_ACCEPTED = LookAgain(1, "Daytona has accepted a request")
_CREATING = LookAgain(1, "waiting for the create")
_ENDING = LookAgain(1, "Daytona is deleting it")
_UNKNOWN = LookAgain(10, "Daytona says a state that nobody knows")
_ARCHIVING = LookAgain(5, "Daytona is archiving it", counts=True)
_SHOWING = LookAgain(0.5, "waiting for Daytona to show it", counts=True)
_BUILDING = LookAgain(2, "waiting for the build")
_CALL = {name: Call(name) for name in CALLS}
_RECOVER = _CALL["recover"]
_GONE, _ERRORED = Fail(Code.SANDBOX_GONE), Fail(Code.SANDBOX_ERRORED)
_DEAD = Fail(Code.SANDBOX_UNRECOVERABLE)

A = Action
COLUMNS = (A.START, A.STOP, A.RESTART, A.ARCHIVE, A.DELETE, A.RECOVER)
TABLE: dict[PlanRow, tuple[Step, Step, Step, Step, Step, Step]] = {
    #                start           stop            restart         archive            delete            recover
    PlanRow.NO_ID: (_CREATING, _CREATING, _CREATING, _CREATING, _DONE, _CREATING),
    PlanRow.STARTED: (_DONE, _CALL["stop"], _CALL["stop"], _CALL["stop"], _CALL["delete"], _DONE),
    PlanRow.STOPPED: (_CALL["start"], _DONE, _CALL["start"], _CALL["archive"], _CALL["delete"], _DONE),
    PlanRow.ARCHIVED: (_CALL["start"], _DONE, _CALL["start"], _DONE, _CALL["delete"], _DONE),
    PlanRow.ARCHIVING: (_CALL["start"], _DONE, _CALL["start"], _ARCHIVING, _CALL["delete"], _DONE),
    PlanRow.PAUSED: (_CALL["start"], _CALL["stop"], _CALL["start"], _CALL["stop"], _CALL["delete"], _DONE),
    PlanRow.PENDING_BUILD: (_BUILDING, _BUILDING, _BUILDING, _BUILDING, _CALL["delete"], _BUILDING),
    PlanRow.MOVING: (_MOVING, _MOVING, _MOVING, _MOVING, _MOVING, _MOVING),
    PlanRow.STOPPING: (_STOPPING, _STOPPING, _STOPPING, _STOPPING, _STOPPING, _STOPPING),
    PlanRow.ACCEPTED: (_ACCEPTED, _ACCEPTED, _ACCEPTED, _ACCEPTED, _ACCEPTED, _ACCEPTED),
    PlanRow.RECOVERABLE: (_RECOVER, _ERRORED, _RECOVER, _ERRORED, _CALL["delete"], _RECOVER),
    PlanRow.ERROR: (_DEAD, _ERRORED, _DEAD, _ERRORED, _CALL["delete"], _DEAD),
    PlanRow.ENDING: (_GONE, _DONE, _GONE, _DONE, _ENDING, _GONE),
    PlanRow.MISSING: (_GONE, _DONE, _GONE, _DONE, _DONE, _GONE),
    PlanRow.UNKNOWN_WORD: (_UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN, _UNKNOWN),
}
# What an action goes on as: a create once it was called, and a restart after its stop.
GOES_ON_AS = {A.CREATE: A.START, A.RESTART: A.START}


def plan(
    action: str,
    seen: Seen | None,
    *,
    unacknowledged: str | None = None,
    recovered: bool = False,
    stopped: bool = False,
) -> Step:
    """The next step of an operation.

    Args:
        action: one of `Action`.
        seen: the observation; None when the sandbox has no Daytona id yet.
        unacknowledged: the call, by whichever operation, whose effect may still be invisible.
        recovered: this operation has called recover before.
        stopped: this operation has stopped it, or found it stopped, before.
    """
    if action == Action.SYNC:
        return _DONE if seen is not None else _CREATING
    if _is_from_before(seen, unacknowledged):
        return _SHOWING
    row = row_of(seen)
    if row is PlanRow.NO_ID and action == Action.CREATE:
        return _CALL["create"]
    goes_on = action == Action.CREATE or stopped
    column = COLUMNS.index(GOES_ON_AS.get(Action(action), Action(action)) if goes_on else Action(action))
    step = TABLE[row][column]
    return _ERRORED if step == _RECOVER and recovered else step


def _is_from_before(seen: Seen | None, unacknowledged: str | None) -> bool:
    """After our own call, a state from before it is not yet an answer."""
    if unacknowledged is None or (seen is not None and seen.is_ending):
        return False
    if seen is None:
        return unacknowledged == Action.CREATE
    return seen.state in CALLS[unacknowledged].before
