"""Lanes: kinds of work that do not wait for each other. Each has places of its own, and owners take turns in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sandboxes.engine import picks

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxes.engine.picks import Queue

T = TypeVar("T")

# The last places of a lane are for owners who have none: one owner's thousands delay nobody else.
RESERVED = 16  # one of so many places
MOST_AT_ONCE = 500  # rows of one claim


class Lane:
    """Turns on what is due, up to `places` of them at the same time.

    `each`: so many of one owner may be under way; without it, all but the last places.
    """

    def __init__(self, name: str, queue: Queue, *, places: int, each: int | None = None) -> None:
        self.name, self.queue, self.places, self.each = name, queue, max(places, 1), each
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
        enough = 1 if scarce else self.each or self.places
        busy = frozenset(owner for owner, number in self.by_owner.items() if number >= enough)
        return Wishes(self.queue, self._after, min(self.free, MOST_AT_ONCE), busy, self.each or MOST_AT_ONCE)

    def went_on(self, after: str | None) -> None:
        self._after = after


@dataclass(frozen=True, slots=True)
class Wishes:
    """A claim to make: up to `limit` rows, of owners behind `after` up to `each`, but for the `busy` ones."""

    queue: Queue
    after: str | None
    limit: int
    busy: frozenset[str]
    each: int = MOST_AT_ONCE


def claim(wishes: Wishes, holder: str, take: Callable[..., list[T]]) -> tuple[list[T], str | None]:
    """Claim what is due by `take`; returns what that took, and behind which owner the next claim begins."""
    queue, limit = wishes.queue, wishes.limit
    found = picks.owners(queue, after=wishes.after, limit=limit)
    is_last = len(found) < limit
    if is_last and wishes.after is not None:
        found += [owner for owner in picks.owners(queue, after=None, limit=limit) if owner not in found]
    after = None if is_last else found[-1]
    found = [owner for owner in found if owner not in wishes.busy][:limit]
    if not found:
        return [], after
    each = min(wishes.each, max(1, limit // len(found)))
    ids = picks.sandboxes(queue, found, each=each, limit=limit)
    return take(ids, holder=holder), after
