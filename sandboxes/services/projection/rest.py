"""What all processes know of Convex together: whether to leave it alone, and which way to push.

They rest together, and afterwards one sandbox tries for all of them. The row of the Lease `convex` says why
(`holder`) and until when; its `data` says how many failures there were in a row, and which functions are there.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet

from sandboxes import clock
from sandboxes.models import Lease

NAME = "convex"
UNANSWERED = "unanswered"
# So many calls in a row may go unanswered before everybody rests, not only the sandbox that met it.
PATIENCE = 3


@dataclass(frozen=True, slots=True)
class Rest:
    """`reason`: "" when all is well. `until`: no call before then. `failures`: in a row.

    `own`: whether the latest push found our own functions there; None when there was none yet. `functions`: all
    that it found, where they could be listed.
    """

    reason: str = ""
    until: datetime | None = None
    failures: int = 0
    own: bool | None = None
    functions: frozenset[str] = frozenset()

    def lasts(self, now: datetime) -> bool:
        return self.until is not None and self.until > now

    @property
    def is_probing(self) -> bool:
        """The rest is over, but nobody knows yet whether its reason is."""
        return self.until is not None


def look() -> Rest:
    row = in_use().first()
    if row is None:
        return Rest()
    functions = frozenset(row.data.get("functions", ()))
    return Rest(row.holder, row.until, row.data.get("failures", 0), row.data.get("own"), functions)


def in_use() -> QuerySet[Lease]:
    """The row that the first push wrote, whatever came of it: an installation without a Convex has none."""
    return Lease.objects.filter(name=NAME)


def begin(reason: str) -> None:
    """The whole deployment or the key is unusable: nobody calls for RETRY_MAX_SECONDS."""
    until = clock.now() + timedelta(seconds=settings.RETRY_MAX_SECONDS)
    _write(reason, until, 1)


def unanswered() -> None:
    """One more call without a usable answer: after a few in a row everybody rests, longer each time."""
    failures = look().failures + 1
    until = None
    if failures >= PATIENCE:
        until = clock.now() + timedelta(seconds=pause(failures - PATIENCE))
    _write(UNANSWERED, until, failures)


def over() -> None:
    """A call succeeded."""
    _write("", None, 0)


def remember(*, own: bool, functions: frozenset[str]) -> None:
    """Which functions are there: the pump, which may not ask Convex, goes by whether our own are."""
    _write_data(own=own, functions=sorted(functions))


def pause(failures: int) -> float:
    """Seconds until the next try after so many failures: doubled each time, and never two at the same moment."""
    longest = min(settings.RETRY_BASE_SECONDS * 2.0 ** min(failures, 30), settings.RETRY_MAX_SECONDS)
    return longest * random.uniform(0.75, 1.0)


def _write(reason: str, until: datetime | None, failures: int) -> None:
    _write_data(failures=failures)
    in_use().update(holder=reason, until=until)


def _write_data(**values: Any) -> None:
    row, _ = Lease.objects.get_or_create(name=NAME)
    in_use().update(data=row.data | values)
