"""What Daytona has quotas of, and how room is made in each: one line for each resource."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sandboxes.core.codes import Code
from sandboxes.core.states import COMPUTE_STATES, DISK_STATES
from sandboxes.core.vocabulary import Action, Status


class Resource(StrEnum):
    """`compute`: vCPU, memory and GPU, which only what runs uses. `disk`: all that is not archived uses it."""

    COMPUTE = "compute"
    DISK = "disk"


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota of an organisation in a region and class.

    `why`: what an operation waits for meanwhile. `counted`: the states that it counts. `victims`: who may have to
    make room in it, `freed_by`: by what, and `done`: the word for that. `leaving`: what may have been asked of
    others already, and `leaving_states`: what is seen of who goes, so that room comes by itself. `waits`: by whose
    deadline a search gives up; `leaves_within`: by whose it is no longer believed that somebody leaves. `full`:
    how an operation ends that found no room.
    """

    why: str
    counted: frozenset[str]
    victims: Status
    freed_by: Action
    done: str
    leaving: tuple[Action, ...]
    leaving_states: frozenset[str]
    leaves_within: str
    waits: str
    full: Code


QUOTAS: dict[Resource, Quota] = {
    Resource.COMPUTE: Quota(
        why="waiting for capacity", counted=COMPUTE_STATES,
        victims=Status.RUNNING, freed_by=Action.STOP, done="stopped",
        leaving=(Action.STOP, Action.ARCHIVE, Action.DELETE), leaving_states=COMPUTE_STATES,
        leaves_within="stop", waits="capacity",
        full=Code.CAPACITY_EXHAUSTED,
    ),
    Resource.DISK: Quota(
        why="waiting for disk", counted=DISK_STATES,
        victims=Status.STOPPED, freed_by=Action.ARCHIVE, done="archived",
        leaving=(Action.ARCHIVE, Action.DELETE), leaving_states=frozenset({"archiving"}),
        leaves_within="archive", waits="archive",
        full=Code.DISK_QUOTA_FULL,
    ),
}  # fmt: skip
