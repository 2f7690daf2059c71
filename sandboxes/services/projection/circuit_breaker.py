"""The circuit breaker before Convex, shared by all processes: they leave it alone together, and one push tries for
all of them afterwards.
"""

from __future__ import annotations

import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings

from sandboxes import clock
from sandboxes.models import CircuitBreaker

if TYPE_CHECKING:
    from django.db.models import QuerySet

NAME = "convex"
UNANSWERED = "unanswered"
# So many calls in a row may go unanswered before the breaker opens for everybody, not only for the row that met it.
FAILURE_THRESHOLD = 3


def read() -> CircuitBreaker:
    return in_use().first() or CircuitBreaker(name=NAME)


def in_use() -> QuerySet[CircuitBreaker]:
    """The row that the first push wrote, whatever came of it: an installation without a Convex has none."""
    return CircuitBreaker.objects.filter(name=NAME)


def trip(reason: str) -> None:
    """Open it at once: the whole deployment or the key is unusable, and nobody calls for RETRY_MAX_SECONDS."""
    _write(reason=reason, failures=1, open_until=clock.now() + timedelta(seconds=settings.RETRY_MAX_SECONDS))


def record_failure() -> None:
    """Count one more call without a usable answer: from the threshold on it opens, longer each time."""
    failures = read().failures + 1
    until = None
    if failures >= FAILURE_THRESHOLD:
        until = clock.now() + timedelta(seconds=backoff(failures - FAILURE_THRESHOLD))
    _write(reason=UNANSWERED, failures=failures, open_until=until)


def close() -> None:
    """A call succeeded."""
    _write(reason="", failures=0, open_until=None)


def remember(*, has_own_functions: bool, functions: frozenset[str]) -> None:
    """Which functions are there: the pump, which may not ask Convex, goes by whether our own are."""
    _write(has_own_functions=has_own_functions, functions=sorted(functions))


def backoff(failures: int) -> float:
    """Seconds until the next try after so many failures: doubled each time, and never two at the same moment."""
    longest = min(settings.RETRY_BASE_SECONDS * 2.0 ** min(failures, 30), settings.RETRY_MAX_SECONDS)
    return longest * random.uniform(0.75, 1.0)


def _write(**values: Any) -> None:
    CircuitBreaker.objects.update_or_create(name=NAME, defaults=values)
