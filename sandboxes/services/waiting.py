"""Waiting for an operation or an event inside a request, without taking the whole web process for it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from functools import cache
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from project.unusable import Unusable, why_unusable
from sandboxes import clock
from sandboxes.models import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

T = TypeVar("T")
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 0.5
GROWTH = 1.25  # of the pause, so that a caller hears of what took half a second a tenth later


@cache
def _seats() -> BoundedSemaphore:
    """Half of this process's threads may wait; the others go on answering at once."""
    return BoundedSemaphore(max(1, settings.WEB_THREADS // 2))


@contextmanager
def seat() -> Iterator[bool]:
    """A place to wait in, for the length of the block; False when all are taken."""
    taken = _seats().acquire(blocking=False)
    try:
        yield taken
    finally:
        if taken:
            _seats().release()


def until_settled(operation: Operation, *, deadline: float) -> Operation:
    """The operation as soon as it has ended, or as it is at `deadline` (of `clock.monotonic()`)."""
    if not operation.is_active:
        return operation
    return until(lambda: _look(operation.pk), lambda found: not found.is_active, deadline=deadline) or operation


def until(look: Callable[[], T], enough: Callable[[T], bool], *, deadline: float) -> T | None:
    """What the first look found that was enough, else what the last one found; None where there was no time.

    Holds no database connection between the looks. One that the database does not answer showed nothing: each look
    connects anew, and whoever has waited for half a minute is not sent away because one of them could not.
    """
    pause, found = FIRST_PAUSE, None
    while (left := deadline - clock.monotonic()) > 0:
        _let_go()
        time.sleep(min(pause, left))
        pause = min(pause * GROWTH, LONGEST_PAUSE)
        try:
            found = look()
        except (OperationalError, InterfaceError) as error:
            if why_unusable(error) is not Unusable.AWAY:
                raise
            continue
        if enough(found):
            break
    return found


def rest(looks: int, *, deadline: float) -> bool:
    """Pause after so many looks that showed nothing new, longer each time. False once there is no time left."""
    left = deadline - clock.monotonic()
    if left <= 0:
        return False
    if looks:
        _let_go()
        time.sleep(min(LONGEST_PAUSE * 2 ** min(looks - 1, 5), left))
    return True


def _let_go() -> None:
    if not connection.in_atomic_block:
        connection.close()


def _look(operation_id: UUID) -> Operation:
    operation: Operation = Operation.objects.select_related("sandbox").get(pk=operation_id)
    return operation
