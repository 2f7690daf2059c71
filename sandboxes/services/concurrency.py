"""How many requests of one kind a caller may have in flight, counted over all processes by leases."""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sandboxes.core.codes import Code, Refused
from sandboxes.services import leases

if TYPE_CHECKING:
    from collections.abc import Iterator

BULKS_AT_ONCE = 2
# Longer than a bulk takes: what a process that died held is free after it.
SECONDS = 120.0
RETRY_AFTER = 2


@contextmanager
def bulk(principal: str) -> Iterator[None]:
    """Hold one of the caller's places for bulk requests.

    Raises:
        Refused: TOO_MANY_BULK_REQUESTS while all of them are taken.
    """
    held = _take(principal)
    try:
        yield
    finally:
        leases.end(held)


def _take(principal: str) -> leases.HeldLease:
    caller = hashlib.sha256(principal.encode()).hexdigest()  # of any length, and nobody's name in another table
    holder = f"{socket.gethostname()}:{os.getpid()}"[:255]
    for place in range(BULKS_AT_ONCE):
        if held := leases.take(f"bulk:{caller}:{place}", holder=holder, seconds=SECONDS):
            return held
    raise Refused(Code.TOO_MANY_BULK_REQUESTS, retry_after=RETRY_AFTER)
