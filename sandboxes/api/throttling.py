"""Rate limits: so much work a minute per principal, counted in Django's cache; a request is one unit, or as many
as it names sandboxes.

The cache is a convenience here: when it fails, everybody gets in.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from django.core.cache import cache

from sandboxes import clock
from sandboxes.core.codes import Code, Refused

if TYPE_CHECKING:
    from sandboxes.api.principals import Principal

log = structlog.get_logger(__name__)
WINDOW = 60


@dataclass(frozen=True, slots=True)
class Rate:
    """What is left in this minute; the words of draft-ietf-httpapi-ratelimit-headers."""

    limit: int
    used: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        left = max(0, self.limit - self.used)
        return {
            "RateLimit-Policy": f'"minute";q={self.limit};w={WINDOW}',
            "RateLimit": f'"minute";r={left};t={self.reset}',
        }


def count(principal: Principal, units: int = 1) -> Rate | None:
    """Count a request, or the units of work in it. None where there is no limit, or no cache to count in."""
    kind = principal.id.partition(":")[0]
    limit = settings.RATE_LIMITS[kind]
    if not limit:
        return None
    now = int(clock.here().timestamp())
    try:
        used = _increment(_key(principal, now), units)
    except Exception as error:  # whatever the cache's client raises: fail open
        log.warning("rate_limit_not_counted", error=repr(error))
        return None
    return Rate(limit, used, WINDOW - now % WINDOW)


def count_more(principal: Principal, units: int) -> Rate | None:
    """Count further work of a request that is counted as one already; what is refused is not counted.

    Raises:
        Refused: RATE_LIMITED, with `retry_after`.
    """
    rate = count(principal, units)
    if rate and rate.used > rate.limit:
        left = max(0, rate.limit - rate.used + units)
        with suppress(Exception):  # as above: what cannot be given back is gone with the minute
            cache.decr(_key(principal, int(clock.here().timestamp())), units)
        message = f"This asks for {units + 1} of {rate.limit} in a minute; {left} more were left."
        raise Refused(Code.RATE_LIMITED, message, retry_after=rate.reset)
    return rate


def check(rate: Rate) -> None:
    """Refuse what is over the limit.

    Raises:
        Refused: RATE_LIMITED, with `retry_after`.
    """
    if rate.used > rate.limit:
        raise Refused(Code.RATE_LIMITED, f"More than {rate.limit} requests in a minute.", retry_after=rate.reset)


def _key(principal: Principal, now: int) -> str:
    return f"rate:{principal.id}:{now // WINDOW}"


def _increment(key: str, units: int) -> int:
    try:
        return cache.incr(key, units)
    except ValueError:  # not there yet
        return units if cache.add(key, units, timeout=WINDOW * 2) else cache.incr(key, units)
