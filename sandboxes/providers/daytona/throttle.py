"""Which of Daytona's throttling buckets an operation counts in, and which of them rest at the moment."""

from __future__ import annotations

import math
import threading
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from sandboxes import clock

if TYPE_CHECKING:
    from collections.abc import Mapping

ALL = "all"
AUTHENTICATED = "authenticated"
CREATE = "sandbox-create"
LIFECYCLE = "sandbox-lifecycle"
# Not recorded: the hosted service's configuration names a throttler of its own for the list.
LIST = "sandbox-list"

# The first one is blamed for a 429 that names none. What is not listed counts as authenticated, and what is
# listed does not (recording 14_throttle).
BUCKETS: dict[str, tuple[str, ...]] = {
    "create": (CREATE,),
    "start": (LIFECYCLE,),
    "stop": (LIFECYCLE,),
    "archive": (LIFECYCLE,),
    "delete": (LIFECYCLE,),
    "recover": (LIFECYCLE,),
    "list_page": (AUTHENTICATED, LIST),
}
KNOWN = {AUTHENTICATED, CREATE, LIFECYCLE, LIST}
DEFAULT_REST = 5.0
LONGEST_REST = 3600.0
# One call may ask again when the pause after a refused key is over; the others wait for its answer this long.
PROBE_SECONDS = 15.0


def buckets_of(operation: str) -> tuple[str, ...]:
    return BUCKETS.get(operation, (AUTHENTICATED,))


def retry_after(headers: Mapping[str, str], operation: str) -> tuple[float, str]:
    """Seconds to rest and the bucket that rests, from the headers of a 429.

    Daytona sends `Retry-After-<bucket>` and no plain `Retry-After` (recording 14_throttle), except after
    too many bad keys, when it refuses every call from this address. A proxy in front may send a plain one,
    also as a date.
    """
    for name, value in headers.items():
        bucket = name.lower().removeprefix("retry-after-")
        if bucket != name.lower():
            return _seconds(value), bucket if bucket in KNOWN else buckets_of(operation)[0]
    for name, value in headers.items():
        if name.lower() == "retry-after":
            return _seconds(value), ALL
    return DEFAULT_REST, buckets_of(operation)[0]


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = _until(value)
    if not math.isfinite(seconds) or seconds < 0:
        return DEFAULT_REST
    return min(seconds, LONGEST_REST)


def _until(date: str) -> float:
    try:
        return max(0.0, (parsedate_to_datetime(date) - clock.here()).total_seconds())
    except (TypeError, ValueError):
        return math.nan


class Resting:
    """What one process has been told to leave alone, and for how long. Safe to share between threads."""

    def __init__(self, *, unauthorized_pause: float) -> None:
        self._unauthorized_pause = unauthorized_pause
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}
        self._refused_until: float | None = None

    def throttled(self, operation: str) -> tuple[float, str]:
        """Seconds that this operation has to rest (0: it may go), and the bucket that makes it."""
        with self._lock:
            waits = [(self._until.get(name, 0.0), name) for name in (ALL, *buckets_of(operation))]
            until, bucket = max(waits)
            return max(0.0, until - clock.monotonic()), bucket

    def refused(self) -> float:
        """Seconds that no call may leave because the key was refused; 0 lets this one caller ask again."""
        with self._lock:
            if self._refused_until is None:
                return 0.0
            left = self._refused_until - clock.monotonic()
            if left <= 0:
                self._refused_until = clock.monotonic() + min(PROBE_SECONDS, self._unauthorized_pause)
            return max(0.0, left)

    def throttle(self, bucket: str, seconds: float) -> None:
        with self._lock:
            self._until[bucket] = max(self._until.get(bucket, 0.0), clock.monotonic() + seconds)

    def refuse(self) -> float:
        """The key was refused: returns the seconds during which no call leaves."""
        with self._lock:
            self._refused_until = clock.monotonic() + self._unauthorized_pause
            return self._unauthorized_pause

    def accept(self) -> None:
        """An answer proved the key good."""
        with self._lock:
            self._refused_until = None
