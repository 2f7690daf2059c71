"""Waiting for a condition instead of guessing a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T | None], *, timeout: float = 30.0, what: str = "", pause: float = 0.01
) -> T:
    """Poll until `condition` answers something true, and return that.

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
