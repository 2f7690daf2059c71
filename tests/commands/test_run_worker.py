from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandboxes.models import WorkerHeartbeat
from tests.support import small_tasks
from tests.support.processes import environment_for, run_command, worker
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

pytestmark = pytest.mark.django_db(transaction=True)


def test_several_threads_run_tasks_side_by_side(tmp_path: Path, emulator: Emulator) -> None:
    gate = tmp_path / "gate"
    results = [tmp_path / f"result-{number}" for number in range(2)]
    with worker(environment_for(emulator), log=tmp_path / "worker.log", threads=2):
        for result in results:
            small_tasks.write_when.enqueue(str(result), str(gate))
        for result in results:
            wait_until(Path(f"{result}.began").exists, what=f"{result.name} begun while the other runs")
        gate.touch()
        for result in results:
            wait_until(result.exists)


def test_a_failing_task_is_logged_with_its_name_and_the_worker_goes_on(tmp_path: Path, emulator: Emulator) -> None:
    small_tasks.fail.enqueue()
    with worker(environment_for(emulator), log=tmp_path / "worker.log", threads=1) as program:
        program.said("a task that fails")
        small_tasks.write.enqueue(str(tmp_path / "next"))
        wait_until((tmp_path / "next").exists)
    lines = [json.loads(line) for line in program.output.splitlines()]
    assert any(line.get("task") == "fail" and line["level"] == "error" for line in lines)


def test_sigterm_lets_a_running_task_finish(tmp_path: Path, emulator: Emulator) -> None:
    result, gate = tmp_path / "result", tmp_path / "gate"
    with worker(environment_for(emulator), log=tmp_path / "worker.log") as program:
        small_tasks.write_when.enqueue(str(result), str(gate))
        wait_until(Path(f"{result}.began").exists)
        program.process.send_signal(signal.SIGTERM)
        gate.touch()
        assert program.process.wait(timeout=PATIENCE) == 0
    assert result.read_text() == "done"
    assert WorkerHeartbeat.objects.get().stopped_at is not None


def test_a_second_sigterm_ends_it_at_once(tmp_path: Path, emulator: Emulator) -> None:
    result = tmp_path / "result"
    with worker(environment_for(emulator), log=tmp_path / "worker.log") as program:
        small_tasks.write_when.enqueue(str(result), str(tmp_path / "never"))
        wait_until(Path(f"{result}.began").exists)
        program.process.send_signal(signal.SIGTERM)
        program.said("worker_stopping")
        program.process.send_signal(signal.SIGTERM)
        assert program.process.wait(timeout=PATIENCE) == 1


def test_it_shows_that_it_lives_with_what_it_counted(tmp_path: Path, emulator: Emulator) -> None:
    environment = environment_for(emulator, HEARTBEAT_SECONDS="0.2")
    with worker(environment, log=tmp_path / "worker.log", threads=3) as program:
        row = wait_until(WorkerHeartbeat.objects.first)
        assert (row.threads, row.pid, row.stopped_at) == (3, program.process.pid, None)
        wait_until(lambda: WorkerHeartbeat.objects.get().beat_at > row.beat_at, what="second sign of life")


def test_without_a_key_of_daytona_it_refuses_to_start(emulator: Emulator) -> None:
    done = run_command("run_worker", environment=environment_for(emulator, DAYTONA_API_KEY=""))
    assert done.returncode == 1
    assert "DAYTONA_API_KEY" in done.stderr


def test_threads_are_refused_where_another_backend_runs_the_tasks(emulator: Emulator) -> None:
    environment = environment_for(emulator, TASKS_BACKEND="django_tasks.backends.dummy.DummyBackend")
    done = run_command("run_worker", environment=environment)
    assert done.returncode == 1
    assert "--threads 0" in done.stderr
