"""Being the workers, one turn at a time: the due rows are the queue; what is done with it is chosen by the test."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias
from unittest.mock import patch

from django.utils import timezone

from sandboxes import clock
from sandboxes.models import Operation, Sandbox
from sandboxes.services import lifecycle, projection, touches
from sandboxes.services.lifecycle import attempts, turns
from sandboxes.services.projection import lease
from tests.support.driving import forward_touches

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

TOGETHER = 100  # pushes of one call


@dataclass(frozen=True)
class OfOperation:
    pk: UUID
    sandbox_id: UUID

    def run(self) -> None:
        lifecycle.attempt(self.pk)

    def lose(self) -> None:
        turns.claim([self.sandbox_id], holder="killed")


@dataclass(frozen=True)
class OfSandbox:
    pk: UUID

    def run(self) -> None:
        for turn in turns.claim([self.pk]):  # with its operation, if it has one by then
            attempts.run_here(turn)

    def lose(self) -> None:
        turns.claim([self.pk], holder="killed")


@dataclass(frozen=True)
class OfProjections:
    ids: tuple[UUID, ...]

    def run(self) -> None:
        projection.push_many(self.ids)

    def lose(self) -> None:
        lease.claim(self.ids)


@dataclass(frozen=True)
class OfTouches:
    """All of those that are due. One that gets lost is told with the next use."""

    def run(self) -> None:
        forward_touches()

    def lose(self) -> None:
        touches.take(1)


Work: TypeAlias = OfOperation | OfSandbox | OfProjections | OfTouches


def ready() -> list[Work]:
    """What a worker finds that looks now, and can claim."""
    now = clock.now()
    free = Sandbox.objects.free()
    operations = Operation.objects.active().filter(due_at__lte=now, sandbox__in=free).order_by("due_at", "pk")
    sandboxes = free.filter(fetch_due_at__lte=now).order_by("fetch_due_at", "pk")
    pushes, together = projection.due(4 * TOGETHER)
    size = TOGETHER if together else 1
    found: list[Work] = [OfOperation(pk, of) for pk, of in operations.values_list("pk", "sandbox_id")]
    found += [OfSandbox(pk) for pk in sandboxes.values_list("pk", flat=True)]
    found += [OfProjections(tuple(pushes[start : start + size])) for start in range(0, len(pushes), size)]
    if Sandbox.objects.filter(touch_due_at__lte=now).exists():
        found.append(OfTouches())
    return found


def run(place: int = 0, *, skew: float = 0.0) -> bool:
    """Do one of them, by a worker whose machine's clock is `skew` seconds ahead."""
    work = _one(place)
    if work is None:
        return False
    with skewed(skew):
        work.run()
    return True


def lose(place: int) -> None:
    """A worker claimed it and was killed: it is due again when the lease is over."""
    work = _one(place)
    if work is not None:
        work.lose()


def repeat(place: int) -> None:
    """Two workers found the same row due: the second comes to it when the first is through."""
    work = _one(place)
    if work is not None:
        work.run()
        work.run()


def empty(*, most: int = 300) -> None:
    """Do what is due until nothing is."""
    for _ in range(most):
        if not run():
            return
    raise AssertionError(f"after {most} turns more is due: {ready()}")


def _one(place: int) -> Work | None:
    found = ready()
    return found[place % len(found)] if found else None


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
