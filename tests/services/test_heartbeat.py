from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.models import Notice, Sweep
from sandboxes.services import reconcile
from sandboxes.services.heartbeat import Heartbeat

if TYPE_CHECKING:
    from tests.support.emulator import Emulator


def is_told() -> bool:
    return Notice.objects.filter(code=NoticeCode.SWEEP_STALE, closed_at=None).exists()


@pytest.mark.usefixtures("world")
def test_workers_tell_staff_when_the_sweeps_have_ended() -> None:
    worker = Heartbeat(threads=1)
    worker.beat()
    assert not is_told(), "nobody has begun to sweep yet"
    assert reconcile.sweep().result == Sweep.Result.COMPLETE
    clock.move(14 * 60)
    worker.beat()
    assert not is_told()
    clock.move(2 * 60)
    worker.beat()
    assert is_told()
    reconcile.sweep()
    assert not is_told()


def test_a_sweep_that_proves_nothing_does_not_count(world: Emulator) -> None:
    old = clock.now() - timedelta(hours=1)
    Sweep.objects.create(result=Sweep.Result.COMPLETE, started_at=old, finished_at=old)
    Sweep.objects.create(result=Sweep.Result.PARTIAL, started_at=clock.now(), finished_at=clock.now())
    Heartbeat(threads=1).beat()
    assert is_told()
