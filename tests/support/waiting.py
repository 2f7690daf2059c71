"""Waiting for a condition instead of guessing a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
LONGEST_PAUSE = 0.2  # seconds
PATIENCE = 120.0  # seconds; what comes may come late on a busy machine, and only a failing test waits so long


def wait_until(
    condition: Callable[[], T | None], *, timeout: float = PATIENCE, what: str = "", pause: float = 0.01
) -> T:
    """Poll until `condition` answers something true, and return that; less and less often.

    Raises AssertionError after `timeout` seconds, with what was waited for and the last answer.
    """
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout:g} s still no {what or condition!r}; last answer: {answer!r}")
        time.sleep(pause)
        pause = min(pause * 1.3, max(pause, LONGEST_PAUSE))
