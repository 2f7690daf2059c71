"""Calls to other systems, counted in this process: how many ended how, and how long they took."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import NamedTuple

# Seconds: a fetch takes 0.05, a held start up to 30. Who changes them changes the meaning of what is stored.
BOUNDS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Tally(NamedTuple):
    """Calls with one ending, the seconds they took together, and how many took no longer than each of BOUNDS.

    Of the last part each number is of the calls between the bound before and its own; the last one is of the rest.
    """

    calls: int
    seconds: float
    buckets: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)

    def plus(self, seconds: float) -> Tally:
        place = bisect_left(BOUNDS, seconds)
        buckets = (*self.buckets[:place], self.buckets[place] + 1, *self.buckets[place + 1 :])
        return Tally(self.calls + 1, self.seconds + seconds, buckets)


Key = tuple[str, str, str]

_lock = threading.Lock()
_tallies: dict[Key, Tally] = {}


def record(system: str, operation: str, result: str, seconds: float) -> None:
    """Count one call, such as `record("daytona", "start", "busy", 0.012)`. Safe from any thread."""
    key = (system, operation, result)
    with _lock:
        _tallies[key] = _tallies.get(key, Tally(0, 0.0)).plus(seconds)


def snapshot() -> dict[Key, Tally]:
    """What was counted so far, by (system, operation, result)."""
    with _lock:
        return dict(_tallies)
