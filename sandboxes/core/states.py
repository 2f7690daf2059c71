"""Daytona's states: one line each, and everything else derived from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sandboxes.core.vocabulary import Intent, Status


class PlanRow(StrEnum):
    """The rows of the plan (plan.py)."""

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


@dataclass(frozen=True, slots=True)
class State:
    """What one of Daytona's words means.

    `meets`: the intents that it satisfies. `is_stable`: it stays so by itself. `uses_compute`: Daytona counts its
    vCPU, memory and GPU against the quota of (organisation, region, class): `sandbox-states-consuming-compute` in
    the constants of the API server, where `stopping` still counts (recording 07_quota). `keeps_disk`: it counts
    against the quota of disk, though it uses no compute.
    """

    word: str
    status: Status
    row: PlanRow
    meets: frozenset[Intent] = frozenset()
    is_stable: bool = False
    uses_compute: bool = False
    keeps_disk: bool = False


_RUNS, _STOPS = frozenset({Intent.RUNNING}), frozenset({Intent.STOPPED})
_ARCHIVED = frozenset({Intent.STOPPED, Intent.ARCHIVED})
S, R = Status, PlanRow

STATES: dict[str, State] = {
    state.word: state
    for state in (
        State("started", S.RUNNING, R.STARTED, meets=_RUNS, is_stable=True, uses_compute=True),
        State("snapshotting", S.RUNNING, R.MOVING, meets=_RUNS, keeps_disk=True),
        State("starting", S.STARTING, R.MOVING, uses_compute=True),
        State("restoring", S.STARTING, R.MOVING, uses_compute=True),
        State("resuming", S.STARTING, R.MOVING, uses_compute=True),
        State("pulling_snapshot", S.STARTING, R.MOVING, uses_compute=True),
        State("resizing", S.STARTING, R.MOVING, keeps_disk=True),
        State("creating", S.CREATING, R.MOVING, uses_compute=True),
        State("pending_build", S.CREATING, R.PENDING_BUILD, uses_compute=True),
        State("building_snapshot", S.CREATING, R.MOVING, uses_compute=True),
        State("forking", S.CREATING, R.MOVING, uses_compute=True),
        State("unknown", S.CREATING, R.MOVING, uses_compute=True),
        State("stopping", S.STOPPING, R.STOPPING, uses_compute=True),
        State("pausing", S.STOPPING, R.STOPPING, uses_compute=True),
        State("archiving", S.STOPPING, R.ARCHIVING, meets=_STOPS, keeps_disk=True),
        State("stopped", S.STOPPED, R.STOPPED, meets=_STOPS, is_stable=True, keeps_disk=True),
        State("paused", S.STOPPED, R.PAUSED, meets=_STOPS, is_stable=True, keeps_disk=True),
        State("archived", S.ARCHIVED, R.ARCHIVED, meets=_ARCHIVED, is_stable=True),
        State("error", S.ERROR, R.ERROR),
        State("build_failed", S.ERROR, R.ERROR),
        State("destroying", S.STOPPING, R.ENDING),
        State("destroyed", S.GONE, R.ENDING),
    )
}

STABLE_STATES = frozenset(word for word, state in STATES.items() if state.is_stable)
ERROR_STATES = frozenset(word for word, state in STATES.items() if state.row is PlanRow.ERROR)
COMPUTE_STATES = frozenset(word for word, state in STATES.items() if state.uses_compute)
DISK_STATES = frozenset(word for word, state in STATES.items() if state.uses_compute or state.keeps_disk)
RUNNING_STATES = frozenset(word for word, state in STATES.items() if Intent.RUNNING in state.meets)


# What becomes of a stable state whose desired state is another: Daytona has accepted a request. Not so `stopped`
# with desired `archived`, which the auto-archive leaves for long and a start calls back.
_ON_ITS_WAY = {"started": S.STARTING, "stopped": S.STOPPING}


@dataclass(frozen=True, slots=True)
class Seen:
    """What a GET on Daytona last said of one sandbox; `missing` is the belief, never a single 404."""

    state: str
    desired_state: str = ""
    recoverable: bool = False
    missing: bool = False

    @property
    def is_ending(self) -> bool:
        return self.missing or self.desired_state == "destroyed"

    @property
    def is_on_its_way(self) -> bool:
        """A stable state, or an archive's, whose desired state is another: a request that Daytona has accepted."""
        if self.state == "archiving":
            return self.desired_state not in ("", "archived")
        return self.state in STABLE_STATES and self.desired_state not in ("", self.state)


def row_of(seen: Seen | None) -> PlanRow:
    """The row of the plan that an observation stands in."""
    if seen is None:
        return PlanRow.NO_ID
    if seen.missing:
        return PlanRow.MISSING
    if seen.desired_state == "destroyed":
        return PlanRow.ENDING
    row = STATES[seen.state].row if seen.state in STATES else PlanRow.UNKNOWN_WORD
    if row is PlanRow.ERROR and seen.recoverable:
        return PlanRow.RECOVERABLE
    if row is PlanRow.STOPPED and seen.desired_state == "archived":
        return PlanRow.ARCHIVING
    return PlanRow.ACCEPTED if seen.is_on_its_way else row


def status_of(seen: Seen, *, last: str) -> Status:
    """What an observation alone shows; `last` is kept when Daytona says a word that nobody knows."""
    if seen.missing:
        return Status.GONE
    if seen.desired_state == "destroyed" and seen.state not in ERROR_STATES:
        return Status.GONE if seen.state == "destroyed" else Status.STOPPING
    if seen.is_on_its_way and seen.desired_state in _ON_ITS_WAY:
        return _ON_ITS_WAY[seen.desired_state]
    return STATES[seen.state].status if seen.state in STATES else Status(last)


def is_met(*, intent: str, seen: Seen | None) -> bool:
    """Whether the observation agrees with the intent (calls in doubt are the caller's to know)."""
    if seen is None or seen.missing:
        return intent == Intent.DELETED
    return not seen.is_on_its_way and seen.state in STATES and intent in STATES[seen.state].meets
