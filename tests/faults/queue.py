"""Being the workers, one task at a time: the queue as it is, what is done with it chosen by the test."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from unittest.mock import patch

from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from sandboxes.services import pump

if TYPE_CHECKING:
    from collections.abc import Iterator


def ready() -> list[DBTaskResult]:
    return list(DBTaskResult.objects.ready())


def run(place: int = 0, *, skew: float = 0.0) -> bool:
    """Run one of the ready tasks, by a worker whose machine's clock is `skew` seconds ahead."""
    tasks = ready()
    if not tasks:
        return False
    task = tasks[place % len(tasks)]
    DBTaskResult.objects.filter(pk=task.pk).delete()
    with skewed(skew):
        task.task.call(*task.args_kwargs["args"])
    return True


def lose(place: int) -> None:
    """A worker took it and was killed: the task is never run."""
    tasks = ready()
    if tasks:
        DBTaskResult.objects.filter(pk=tasks[place % len(tasks)].pk).delete()


def repeat(place: int) -> None:
    """The queue hands one task out twice."""
    tasks = ready()
    if tasks:
        task = tasks[place % len(tasks)]
        task.task.call(*task.args_kwargs["args"])


def fill(*, skew: float = 0.0) -> int:
    """What each worker does once a second."""
    with skewed(skew):
        return pump.due()


def empty(*, most: int = 300) -> None:
    """Run what is ready until nothing is."""
    for _ in range(most):
        if not run():
            return
    raise AssertionError(f"after {most} tasks there are more: {[(t.task_path, t.args_kwargs) for t in ready()]}")


@contextmanager
def skewed(seconds: float) -> Iterator[None]:
    """This machine's clock is wrong; the database's is not."""
    if not seconds:
        yield
        return
    wall, aware = time.time, timezone.now
    shift = timedelta(seconds=seconds)
    with (
        patch("time.time", lambda: wall() + seconds),
        patch("django.utils.timezone.now", lambda: aware() + shift),
    ):
        yield
