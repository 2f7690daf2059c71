"""Lanes: kinds of work that do not wait for each other. Each has places of its own, and owners take turns in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandboxes.engine import picks
from sandboxes.services.lifecycle import turns

if TYPE_CHECKING:
    from uuid import UUID

    from sandboxes.engine.picks import Queue
    from sandboxes.services.lifecycle.turns import Turn

# The last places of a lane are for owners who have none: one owner's thousands delay nobody else.
RESERVED = 16  # one of so many places
MOST_AT_ONCE = 500  # rows of one claim


class Lane:
    """Turns on sandboxes that are due, up to `places` of them at the same time."""

    def __init__(self, name: str, queue: Queue, *, places: int) -> None:
        self.name, self.queue, self.places = name, queue, max(places, 1)
        self.by_owner: Counter[str] = Counter()
        self._after: str | None = None

    @property
    def taken(self) -> int:
        return self.by_owner.total()

    @property
    def free(self) -> int:
        return self.places - self.taken

    def take(self, owner: str) -> None:
        self.by_owner[owner] += 1

    def leave(self, owner: str) -> None:
        self.by_owner[owner] -= 1
        if not self.by_owner[owner]:
            del self.by_owner[owner]

    def wishes(self) -> Wishes:
        """What the next claim may take; values, for another thread."""
        scarce = self.free <= self.places // RESERVED
        busy = frozenset(self.by_owner) if scarce else frozenset()
        return Wishes(self.queue, self._after, min(self.free, MOST_AT_ONCE), busy)

    def went_on(self, after: str | None) -> None:
        self._after = after


@dataclass(frozen=True, slots=True)
class Wishes:
    """A claim to make: up to `limit` sandboxes, of owners behind `after`, but for the `busy` ones."""

    queue: Queue
    after: str | None
    limit: int
    busy: frozenset[str]


def claim(wishes: Wishes, holder: str) -> tuple[list[Turn], str | None]:
    """Claim what is due; returns the turns, and behind which owner the next claim begins."""
    queue, limit = wishes.queue, wishes.limit
    found = picks.owners(queue, after=wishes.after, limit=limit)
    is_last = len(found) < limit
    if is_last and wishes.after is not None:
        found += [owner for owner in picks.owners(queue, after=None, limit=limit) if owner not in found]
    after = None if is_last else found[-1]
    found = [owner for owner in found if owner not in wishes.busy][:limit]
    if not found:
        return [], after
    ids: list[UUID] = picks.sandboxes(queue, found, each=max(1, limit // len(found)), limit=limit)
    return turns.claim(ids, holder=holder), after
