from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.models import Notice, Sweep, WorkerHeartbeat
from sandboxes.services import heartbeat, notices, reconcile
from sandboxes.services.heartbeat import Heartbeat
from tests.support import rows

if TYPE_CHECKING:
    from tests.support.emulator import Emulator


def is_told(code: NoticeCode = NoticeCode.SWEEP_STALE) -> bool:
    return Notice.objects.filter(code=code, closed_at=None).exists()


@pytest.mark.usefixtures("world")
def test_workers_tell_staff_when_the_sweeps_have_ended() -> None:
    heartbeat.tidy()
    assert not is_told(), "nobody has begun to sweep yet"
    assert reconcile.sweep().result == Sweep.Result.COMPLETE
    clock.move(14 * 60)
    heartbeat.tidy()
    assert not is_told()
    clock.move(2 * 60)
    heartbeat.tidy()
    assert is_told()
    reconcile.sweep()
    assert not is_told()


def test_a_sweep_that_proves_nothing_does_not_count(world: Emulator) -> None:
    old = clock.now() - timedelta(hours=1)
    Sweep.objects.create(result=Sweep.Result.COMPLETE, started_at=old, finished_at=old)
    Sweep.objects.create(result=Sweep.Result.PARTIAL, started_at=clock.now(), finished_at=clock.now())
    heartbeat.tidy()
    assert is_told()


@pytest.mark.django_db
def test_a_beat_writes_one_row_with_the_places_of_each_lane() -> None:
    worker = Heartbeat(places=20)
    worker.beat({"people": [1, 20], "system": [0, 10]})
    first = WorkerHeartbeat.objects.get()
    clock.move(5)
    worker.beat({"people": [3, 20], "system": [0, 10]})
    second = WorkerHeartbeat.objects.get()
    assert (second.places, second.lanes) == (20, {"people": [3, 20], "system": [0, 10]})
    assert second.started_at == first.started_at
    assert second.beat_at - first.beat_at >= timedelta(seconds=5)
    assert heartbeat.alive().get() == second


@pytest.mark.django_db
def test_a_worker_that_was_taken_for_dead_and_is_not_says_so_with_its_next_beat() -> None:
    worker = Heartbeat(places=1)
    worker.beat({})
    WorkerHeartbeat.objects.update(freed_at=clock.now())
    worker.beat({})
    assert WorkerHeartbeat.objects.get().freed_at is None


@pytest.mark.django_db
def test_a_beat_whose_row_was_forgotten_writes_it_anew() -> None:
    worker = Heartbeat(places=1)
    worker.beat({})
    WorkerHeartbeat.objects.all().delete()
    worker.beat({})
    assert WorkerHeartbeat.objects.count() == 1


@pytest.mark.django_db
def test_workers_of_days_ago_are_forgotten() -> None:
    Heartbeat(places=1).beat({})
    clock.move(23 * 3600)
    heartbeat.tidy()
    assert WorkerHeartbeat.objects.count() == 1
    clock.move(2 * 3600)
    heartbeat.tidy()
    assert WorkerHeartbeat.objects.count() == 0


@pytest.mark.django_db
def test_the_notice_of_failing_rows_ends_with_the_last_of_them() -> None:
    failing = rows.sandbox(failures=2)
    notices.tell(NoticeCode.ROWS_FAILING, "Sandbox x: ValueError: y")
    heartbeat.tidy()
    assert is_told(NoticeCode.ROWS_FAILING)
    failing.failures = 0
    failing.save()
    heartbeat.tidy()
    assert not is_told(NoticeCode.ROWS_FAILING)
