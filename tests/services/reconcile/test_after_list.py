from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db.models.signals import post_save

from sandboxes import clock
from sandboxes.models import Operation, Sandbox, Sweep
from sandboxes.services import reconcile
from sandboxes.services.reconcile import Options
from tests.support.driving import reload, settle

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.support.emulator import Emulator

Mirrored = Callable[..., list[Sandbox]]


def unused(row: Sandbox, *, hours: float, world: Emulator) -> None:
    moment = clock.now() - timedelta(hours=hours)
    Sandbox.objects.filter(pk=row.pk).update(last_accessed_at=moment, last_activity_at=moment)
    world.change(str(row.daytona_id), lastActivityAt=moment.isoformat(), quiet=True)


def test_a_sweep_stops_what_has_been_idle_for_long(world: Emulator, mirrored: Mirrored, settings: Settings) -> None:
    settings.IDLE_STOP_AFTER = 7200.0
    idle, used = mirrored(2)
    unused(idle, hours=3, world=world)
    result = reconcile.sweep()
    assert result.report.counts["idle_stopped"] == 1
    settle()
    assert [reload(row.pk).status for row in (idle, used)] == ["stopped", "running"]
    assert reload(idle.pk).intent == "running"


def test_between_two_idle_ones_the_sweep_keeps_its_lease_or_ends(
    world: Emulator, mirrored: Mirrored, settings: Settings
) -> None:
    settings.IDLE_STOP_AFTER = 7200.0
    for row in mirrored(3):
        unused(row, hours=3, world=world)
    told = threading.Event()

    def tell(**_: object) -> None:
        told.set()

    post_save.connect(tell, sender=Operation)
    try:
        result = reconcile.sweep(stop=told)
    finally:
        post_save.disconnect(tell, sender=Operation)
    assert (result.result, result.detail) == (Sweep.Result.PARTIAL, "stopped by a signal")
    assert Operation.objects.count() == 1


def test_idle_sandboxes_run_on_unless_it_is_switched_on(world: Emulator, mirrored: Mirrored) -> None:
    (idle,) = mirrored(1)
    unused(idle, hours=1000, world=world)
    reconcile.sweep()
    assert not Operation.objects.exists()


def test_nothing_is_stopped_in_a_dry_run_or_after_a_partial_list(
    world: Emulator, mirrored: Mirrored, settings: Settings
) -> None:
    settings.IDLE_STOP_AFTER = 7200.0
    (idle,) = mirrored(1)
    unused(idle, hours=3, world=world)
    reconcile.sweep(Options(dry_run=True))
    world.faults.add("status", path=r"/sandbox\?", status=500)
    reconcile.sweep()
    assert not Operation.objects.exists()


@pytest.mark.usefixtures("world")
def test_it_prunes_once_a_day() -> None:
    def old_lines() -> int:
        line = Sweep.objects.create(started_at=clock.now(), result=Sweep.Result.COMPLETE)
        Sweep.objects.filter(pk=line.pk).update(started_at="2020-01-01T00:00:00Z")
        reconcile.sweep()
        return Sweep.objects.filter(started_at__year=2020).count()

    assert [old_lines(), old_lines()] == [0, 1]
    clock.move(86_401)
    assert old_lines() == 0
