"""Limits of failing by address: wrong credentials and sign-ins, counted a minute at a time in Django's cache.

A shared cache (CACHE_URL) makes all processes count together. Memory: a number for each address and minute, kept
two minutes, and no more entries than the cache allows. When the cache fails, everybody gets in.
"""

from __future__ import annotations

import ipaddress
import time
from enum import StrEnum

import structlog
from django.conf import settings
from django.core.cache import cache

log = structlog.get_logger(__name__)
WINDOW = 60


class AttemptKind(StrEnum):
    CREDENTIALS = "credentials"
    SIGN_IN = "sign_in"


def seconds_to_wait(kind: AttemptKind, address: str) -> int:
    """0 while the address may try; else the seconds until it may again."""
    limit, now = settings.ATTEMPT_LIMITS[kind], int(time.time())
    if not limit:
        return 0
    try:
        used = cache.get(_key(kind, address, now), 0)
    except Exception as error:  # whatever the cache's client raises: fail open
        log.warning("attempts_not_read", error=repr(error))
        return 0
    return WINDOW - now % WINDOW if used >= limit else 0


def count(kind: AttemptKind, address: str) -> None:
    """Count one attempt of this address."""
    if not settings.ATTEMPT_LIMITS[kind]:
        return
    key = _key(kind, address, int(time.time()))
    try:
        if not cache.add(key, 1, timeout=WINDOW * 2):
            cache.incr(key)
    except Exception as error:
        log.warning("attempt_not_counted", error=repr(error))


def _key(kind: AttemptKind, address: str, now: int) -> str:
    return f"attempts:{kind}:{_network(address)}:{now // WINDOW}"


def _network(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one: whoever has one of it has all."""
    if ":" not in address:
        return address
    return str(ipaddress.ip_network(f"{address}/64", strict=False)).replace(":", "-")
