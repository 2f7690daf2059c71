"""Two pushers, a change during a push, and a pusher that comes too late."""

from __future__ import annotations

from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from django.db import connections

from sandboxes import clock
from sandboxes.core.vocabulary import Actor, Status
from sandboxes.models import ConvexProjection, Sandbox
from sandboxes.services import projection, sandbox_store
from sandboxes.services.projection import lease
from tests.services.projection.driving import Convex, change, projected, push, sandbox
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db(transaction=True)


class Pusher(Thread):
    """Another worker's thread that pushes one sandbox."""

    def __init__(self, box: Sandbox) -> None:
        super().__init__()
        self.box = box
        self.worked: bool | None = None

    def run(self) -> None:
        try:
            self.worked = push(self.box)
        finally:
            connections.close_all()


def is_called(convex: Convex, fault: int) -> bool:
    return convex.faults.hits(fault) > 0


def slowly(convex: Convex) -> int:
    """updateStatus and apply take a second of the emulator's time, which only `advance` lets pass quickly."""
    return convex.faults.add(
        "delay", system="convex", body="updateStatus|sandkeeper:apply|createInternal", times=1, seconds=3
    )


def test_a_change_during_a_push_leaves_the_row_behind_and_due(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.STOPPING)
    fault = slowly(any_convex)
    pusher = Pusher(box)
    pusher.start()
    wait_until(lambda: is_called(any_convex, fault), what="call of the pusher")
    change(box, status=Status.STOPPED)
    any_convex.emulator.advance(5)
    pusher.join()

    row = projected(box)
    assert row.is_behind
    assert row.due_at is not None
    assert row.due_at <= clock.now()
    assert any_convex.row(box)["status"] == "stopping"
    push(box)
    assert any_convex.row(box)["status"] == "stopped"
    assert not projected(box).is_behind


def test_a_push_requested_while_another_is_under_way_puts_the_row_back(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.STOPPING)
    fault = slowly(any_convex)
    pusher = Pusher(box)
    pusher.start()
    wait_until(lambda: is_called(any_convex, fault), what="call of the pusher")
    projection.push_again(box.pk, actor=Actor.staff("sam"))
    any_convex.emulator.advance(5)
    pusher.join()
    any_convex.forget(box)  # its user takes it off the list
    push(box)
    assert any_convex.row(box)["status"] == "stopping"


@pytest.mark.postgres
def test_a_push_ends_while_the_sandbox_is_locked(any_convex: Convex) -> None:
    """Its event names the sandbox, whose lock must not hold it up: the locker may wait for the projection."""
    box = sandbox()
    pusher = Pusher(box)
    with sandbox_store.lock_sandbox(box.pk) as row:
        pusher.start()
        pusher.join(timeout=20)
        assert not pusher.is_alive()
        row.name = "other"
    assert projected(box).is_behind


def test_while_one_pushes_another_does_nothing(any_convex: Convex) -> None:
    box = sandbox()
    fault = slowly(any_convex)
    pusher = Pusher(box)
    pusher.start()
    wait_until(lambda: is_called(any_convex, fault), what="call of the pusher")
    assert not push(box)
    any_convex.emulator.advance(5)
    pusher.join()
    assert pusher.worked
    assert len(any_convex.rows(box)) == 1


def test_a_row_is_due_again_as_soon_as_a_dead_pushers_lease_is_over(any_convex: Convex) -> None:
    box = sandbox()
    lease.claim([box.pk])
    ends = projected(box).lease_until
    assert ends
    ConvexProjection.objects.filter(pk=box.pk).update(due_at=ends + timedelta(seconds=15))
    assert not push(box)
    assert projected(box).due_at == ends


def test_many_pushers_at_once_make_one_row(any_convex: Convex) -> None:
    box = sandbox()
    pushers = [Pusher(box) for _ in range(6)]
    for pusher in pushers:
        pusher.start()
    for pusher in pushers:
        pusher.join()
    assert [pusher.worked for pusher in pushers].count(True) == 1
    assert len(any_convex.rows(box)) == 1


def test_a_pusher_whose_lease_was_taken_over_writes_nothing(convex: Convex, settings: Settings) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.STOPPING)
    fault = slowly(convex)
    late = Pusher(box)
    late.start()
    wait_until(lambda: is_called(convex, fault), what="call of the late pusher")
    change(box, status=Status.STOPPED)
    clock.move(lease.seconds() + 1)
    push(box)
    after = projected(box)
    convex.emulator.advance(5)
    late.join()

    assert late.worked is False
    assert projected(box).sent == after.sent
    assert projected(box).pushed_generation == after.pushed_generation
    # The late call did win in Convex: that is what the second look is for.
    assert convex.row(box)["status"] == "stopping"
    clock.move(settings.CONVEX_RESEND_SECONDS + 1)
    push(box)
    assert convex.row(box)["status"] == "stopped"
