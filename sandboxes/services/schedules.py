"""Work that is due once in so many seconds, and that one of any number of processes does."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db.models import Q

from sandboxes import clock
from sandboxes.models import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable


def when_due(name: str, work: Callable[[], bool], *, every: float) -> None:
    """Do it if it is due. What returns False, or raises, is due again at once."""
    now = clock.now()
    following = now + timedelta(seconds=every)
    Schedule.objects.get_or_create(name=name)
    due = Schedule.objects.filter(Q(due_at=None) | Q(due_at__lte=now), name=name)
    if due.update(due_at=following) != 1:  # not yet, or another process was first
        return
    is_done = False
    try:
        is_done = work()
    finally:
        if not is_done:
            Schedule.objects.filter(name=name, due_at=following).update(due_at=None)
