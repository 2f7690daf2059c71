"""Rate limits: so many requests a minute per principal, counted in Django's cache.

The cache is a convenience here: when it fails, everybody gets in.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.core.cache import cache

from sandboxes.api.principals import Principal
from sandboxes.codes import Code, Refused

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


def count(principal: Principal) -> Rate | None:
    """Count this request. None where there is no limit, or no cache to count in."""
    kind = principal.id.partition(":")[0]
    limit = settings.RATE_LIMITS[kind]
    if not limit:
        return None
    now = int(time.time())
    try:
        used = _increment(f"rate:{principal.id}:{now // WINDOW}")
    except Exception as error:  # whatever the cache's client raises: fail open
        log.warning("rate_limit_not_counted", error=repr(error))
        return None
    return Rate(limit, used, WINDOW - now % WINDOW)


def check(rate: Rate) -> None:
    """Refuse what is over the limit.

    Raises:
        Refused: RATE_LIMITED, with `retry_after`.
    """
    if rate.used > rate.limit:
        raise Refused(Code.RATE_LIMITED, f"More than {rate.limit} requests in a minute.", retry_after=rate.reset)


def _increment(key: str) -> int:
    try:
        return cache.incr(key)
    except ValueError:  # not there yet
        return 1 if cache.add(key, 1, timeout=WINDOW * 2) else cache.incr(key)
