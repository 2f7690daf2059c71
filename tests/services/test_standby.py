from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.models import Lease
from sandboxes.services.standby import LEASE_SECONDS, StandbyTurn
from sandboxes.services.watch import LEASE
from tests.support.processes import environment_for, manage, running
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.emulator import Emulator

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_spare_takes_over_when_the_lease_has_run_out_and_the_first_notices() -> None:
    first, spare = StandbyTurn("work"), StandbyTurn("work")
    first._step()
    spare._step()
    assert (first.ours.is_set(), spare.ours.is_set()) == (True, False)
    assert (first.over.is_set(), spare.over.is_set()) == (False, True)
    clock.move(LEASE_SECONDS - 1)
    first._step()
    clock.move(LEASE_SECONDS - 1)
    spare._step()
    assert not spare.ours.is_set(), "the first one has renewed it"
    clock.move(2)
    spare._step()
    first._step()
    assert (first.ours.is_set(), spare.ours.is_set()) == (False, True)
    assert (first.over.is_set(), spare.over.is_set()) == (True, False)


def test_who_stops_gives_the_turn_back() -> None:
    stop, turn = threading.Event(), StandbyTurn("work")
    thread = threading.Thread(target=turn.keep, kwargs={"stop": stop}, daemon=True)
    thread.start()
    assert turn.ours.wait(PATIENCE)
    stop.set()
    thread.join(PATIENCE)
    assert turn.over.is_set()
    assert Lease.objects.get().lease_until is None


def test_a_second_watch_stands_by_and_follows_when_the_first_ends(emulator: Emulator, tmp_path: Path) -> None:
    environment = environment_for(emulator)
    with (
        running(manage("watch_sandboxes"), environment=environment, log=tmp_path / "first") as first,
        running(manage("watch_sandboxes"), environment=environment, log=tmp_path / "second") as second,
    ):
        both = [first, second]
        wait_until(lambda: [one for one in both if "events_connected" in one.output], what="a connection")
        follows, spare = sorted(both, key=lambda one: "events_connected" not in one.output)
        spare.said("process_started")
        assert "events_connected" not in spare.output
        assert f"process {follows.process.pid}" in Lease.objects.get(name=LEASE).holder
        assert follows.stop(signal.SIGTERM) == 0
        spare.said("events_connected")
