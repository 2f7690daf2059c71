"""Calls to other systems, counted in this process: how many ended how, and how long they took."""

from __future__ import annotations

import threading
from typing import NamedTuple


class Tally(NamedTuple):
    """Calls with one ending, and the seconds they took together."""

    calls: int
    seconds: float


Key = tuple[str, str, str]

_lock = threading.Lock()
_tallies: dict[Key, Tally] = {}


def record(system: str, operation: str, result: str, seconds: float) -> None:
    """Count one call, such as `record("daytona", "start", "busy", 0.012)`. Safe from any thread."""
    key = (system, operation, result)
    with _lock:
        tally = _tallies.get(key, Tally(0, 0.0))
        _tallies[key] = Tally(tally.calls + 1, tally.seconds + seconds)


def snapshot() -> dict[Key, Tally]:
    """What was counted so far, by (system, operation, result)."""
    with _lock:
        return dict(_tallies)
