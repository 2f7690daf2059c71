"""Which of Daytona's throttling buckets rest at the moment, and what it says of them."""

from __future__ import annotations

import math
import threading
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol

from sandboxes import clock
from sandboxes.providers.daytona.methods import BUCKETS, buckets_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ALL = "all"
DEFAULT_REST = 5.0
LONGEST_REST = 3600.0
# One call may ask again when the pause after a refused key is over; the others wait for its answer this long.
PROBE_SECONDS = 15.0
# Those that heard of it from another process wait so much longer: that one asks again first.
ONE_PROBE = 3.0


def retry_after(headers: Mapping[str, str], operation: str) -> tuple[float, str]:
    """Seconds to rest and the bucket that rests, from the headers of a 429.

    Daytona sends `Retry-After-<bucket>` and no plain `Retry-After` (recording 14_throttle), except after
    too many bad keys, when it refuses every call from this address. A proxy in front may send a plain one,
    also as a date.
    """
    for name, value in headers.items():
        bucket = name.lower().removeprefix("retry-after-")
        if bucket != name.lower():
            return _seconds(value), bucket if bucket in BUCKETS else buckets_of(operation)[0]
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


class Shared(Protocol):
    """What several processes know together of the same Daytona."""

    async def enter(self, buckets: Iterable[str]) -> None: ...
    def answered(self, name: str, limit: int | None, remaining: int, reset: float) -> None: ...
    def throttled(self, name: str, seconds: float) -> None: ...
    def refused(self, seconds: float) -> None: ...
    def accepted(self) -> None: ...


def limits_in(headers: Mapping[str, str], operation: str) -> list[tuple[str, int | None, int, float]]:
    """Of each bucket of the operation: its limit (None: it has none), what remains of it, and seconds until it ends
    (recording 14_throttle)."""
    found = {name.lower(): value for name, value in headers.items()}
    limits: list[tuple[str, int | None, int, float]] = []
    for bucket in buckets_of(operation):
        try:
            limit, remaining, reset = (
                float(found[f"x-ratelimit-{part}-{bucket}"]) for part in ("limit", "remaining", "reset")
            )
        except (KeyError, ValueError):
            limits.append((bucket, None, 0, 0.0))
        else:
            limits.append((bucket, int(limit), int(remaining), min(max(reset, 0.0), LONGEST_REST)))
    return limits


class Resting:
    """What one process has been told to leave alone, and for how long. Safe to share between threads."""

    def __init__(self, *, unauthorized_pause: float) -> None:
        self._unauthorized_pause = unauthorized_pause
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}
        self._refused_until: float | None = None
        self._is_anothers = False

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

    def refuse_for(self, seconds: float | None) -> None:
        """Another process was refused, for so many seconds from now; None: nobody is any more."""
        with self._lock:
            if seconds is not None and self._refused_until is None:
                self._refused_until, self._is_anothers = clock.monotonic() + seconds + ONE_PROBE, True
            elif seconds is None and self._is_anothers:
                self._refused_until, self._is_anothers = None, False

    def accept(self) -> None:
        """An answer proved the key good."""
        with self._lock:
            self._refused_until = None
