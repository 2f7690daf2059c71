from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Actor, OperationStatus, Source
from sandboxes.models import Operation, Sandbox, WorkerHeartbeat
from sandboxes.services import lifecycle
from tests.support import rows
from tests.support.processes import environment_for, run_command, worker
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.emulator import Emulator

pytestmark = pytest.mark.django_db(transaction=True)


def create(owner: str) -> Operation:
    return lifecycle.create(
        owner, actor=Actor.owner(owner), source=Source.API, new=lifecycle.NewRequest(target="us")
    )


def ended(operation: Operation) -> bool:
    operation.refresh_from_db()
    return not operation.is_active


def test_many_calls_are_under_way_side_by_side(tmp_path: Path, emulator: Emulator) -> None:
    """Daytona answers none of them before all have come."""
    emulator.stop_clock()
    held = emulator.faults.add("delay", method="POST", path="/api/sandbox$", times=30, seconds=1.0)
    operations = [create(f"owner-{number % 10}") for number in range(30)]
    with worker(environment_for(emulator), log=tmp_path / "worker.log", places=50):
        wait_until(lambda: emulator.faults.hits(held) == 30, what="creates that wait")
        emulator.start_clock()
        for operation in operations:
            wait_until(lambda: ended(operation), what="end of the creates")  # noqa: B023
    assert {operation.status for operation in operations} == {OperationStatus.SUCCEEDED}


def test_a_row_that_breaks_is_logged_and_the_others_go_on(tmp_path: Path, emulator: Emulator) -> None:
    broken = rows.operation(
        rows.sandbox("broken"), "dance", OperationStatus.QUEUED, due_at=clock.now(), code="", finished_at=None
    )
    with worker(environment_for(emulator), log=tmp_path / "worker.log") as program:
        program.said("attempt_failed")
        other = create("alice")
        wait_until(lambda: ended(other), what="end of the other")
    assert str(broken.sandbox_id) in program.output
    assert other.status == OperationStatus.SUCCEEDED


def test_sigterm_lets_a_call_that_is_under_way_end(tmp_path: Path, emulator: Emulator) -> None:
    emulator.stop_clock()
    held = emulator.faults.add("delay", method="POST", path="/api/sandbox$", times=1, seconds=1.0)
    operation = create("alice")
    with worker(environment_for(emulator), log=tmp_path / "worker.log") as program:
        wait_until(lambda: emulator.faults.hits(held), what="the create")
        program.process.send_signal(signal.SIGTERM)
        program.said("worker_stopping")
        emulator.start_clock()
        assert program.process.wait(timeout=PATIENCE) == 0
    assert operation.calls.get().outcome == "accepted", "its answer was written down"
    row = Sandbox.objects.get()
    assert (row.lease_token, row.lease_until) == ("", None)
    assert WorkerHeartbeat.objects.get().stopped_at is not None


def test_a_second_sigterm_ends_it_at_once(tmp_path: Path, emulator: Emulator) -> None:
    emulator.stop_clock()
    held = emulator.faults.add("delay", method="POST", path="/api/sandbox$", times=1, seconds=1.0)
    create("alice")
    with worker(environment_for(emulator), log=tmp_path / "worker.log") as program:
        wait_until(lambda: emulator.faults.hits(held), what="the create")
        program.process.send_signal(signal.SIGTERM)
        program.said("worker_stopping")
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(timeout=PATIENCE) == 1


def test_it_shows_that_it_lives_with_what_it_counted(tmp_path: Path, emulator: Emulator) -> None:
    environment = environment_for(emulator, HEARTBEAT_SECONDS="0.2")
    with worker(environment, log=tmp_path / "worker.log", places=30) as program:
        row = wait_until(WorkerHeartbeat.objects.first)
        assert (row.places, row.pid, row.stopped_at) == (30, program.process.pid, None)
        assert row.lanes["people"] == [0, 30]
        operation = create("alice")
        wait_until(lambda: ended(operation), what="end of the create")
        wait_until(
            lambda: any(key.startswith("daytona create") for key in WorkerHeartbeat.objects.get().counters),
            what="counted create",
        )
        assert WorkerHeartbeat.objects.get().beat_at > row.beat_at


def test_without_a_key_of_daytona_it_refuses_to_start(emulator: Emulator) -> None:
    done = run_command("run_worker", environment=environment_for(emulator, DAYTONA_API_KEY=""))
    assert done.returncode == 1
    assert "DAYTONA_API_KEY" in done.stderr


def test_without_places_it_refuses_to_start(emulator: Emulator) -> None:
    done = run_command("run_worker", "--places", "0", environment=environment_for(emulator))
    assert done.returncode == 1
    assert "--places must be 1 or more" in done.stderr
