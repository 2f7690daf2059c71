from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.models import Lease, Sandbox, Sweep
from sandboxes.services import leases, reconcile
from sandboxes.services.sweeps import LEASE

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.support.emulator import Emulator

Mirrored = Callable[..., list[Sandbox]]


@pytest.mark.usefixtures("world")
def test_a_second_sweep_says_who_holds_the_first() -> None:
    held = leases.take(LEASE, holder="host-7, process 42", seconds=60)
    assert held is not None
    with pytest.raises(reconcile.SweepUnderWay, match="host-7, process 42"):
        reconcile.sweep()
    assert not Sweep.objects.exists()
    leases.release(held)
    assert reconcile.sweep().result == Sweep.Result.COMPLETE


@pytest.mark.usefixtures("world")
def test_a_sweep_whose_process_died_is_followed_by_the_next() -> None:
    leases.take(LEASE, holder="a process that died", seconds=60)
    line = Sweep.objects.create(started_at=clock.now())
    clock.move(61)
    reconcile.sweep()
    line.refresh_from_db()
    assert (line.result, line.detail) == (Sweep.Result.PARTIAL, "its process ended without a word")


@pytest.mark.usefixtures("world")
def test_each_sweep_gives_the_lease_back() -> None:
    for _ in range(2):
        reconcile.sweep()
        row = Lease.objects.get(name=LEASE)
        assert (row.lease_token, row.lease_until) == ("", None)


def test_a_signal_ends_it_between_two_pages(world: Emulator, mirrored: Mirrored, settings: Settings) -> None:
    mirrored(30)
    settings.RECONCILE_PAGE = 10
    stop = threading.Event()
    result = reconcile.sweep(stop=stop, progress=lambda shown: stop.set())
    assert (result.result, result.detail) == (Sweep.Result.PARTIAL, "stopped by a signal")
    assert (result.report.counts["pages"], result.exit_code) == (1, 3)
    assert leases.holder_of(LEASE) is None


def test_a_sweep_that_lost_its_lease_stops_writing(world: Emulator, mirrored: Mirrored, settings: Settings) -> None:
    """It was suspended for so long that another one began."""
    mirrored(30)
    settings.RECONCILE_PAGE = 10

    def oversleep(shown: int) -> None:
        clock.move(61)
        assert leases.take(LEASE, holder="the next one", seconds=60) is not None

    result = reconcile.sweep(progress=oversleep)
    assert (result.result, result.report.counts["pages"]) == (Sweep.Result.PARTIAL, 1)
    assert "the next one" in result.detail
    taken = leases.holder_of(LEASE)
    assert taken is not None
    assert taken.holder == "the next one"


def test_the_line_of_a_sweep_says_what_it_found(world: Emulator, mirrored: Mirrored) -> None:
    (row,) = mirrored(1)
    world.change(str(row.daytona_id), state="stopped")
    reconcile.sweep()
    line = Sweep.objects.latest("pk")
    assert (line.result, line.counts["drift"], line.counts["listed"]) == (Sweep.Result.COMPLETE, 1, 1)
    assert line.finished_at is not None
