from __future__ import annotations

import signal
import socket
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from sandboxes import clock
from sandboxes.models import WorkerHeartbeat
from tests.support.processes import environment_for, manage, running
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.emulator import Emulator

pytestmark = pytest.mark.django_db(transaction=True)
Role = WorkerHeartbeat.Role
COMMANDS = {
    Role.RECONCILE: ("reconcile_sandboxes", "--every", "60"),
    Role.WATCH: ("watch_sandboxes",),
    Role.WORKER: ("run_worker",),
}


def health(*arguments: str) -> int:
    try:
        call_command("health", *arguments, stdout=StringIO(), stderr=StringIO())
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def beat(role: Role, **values: Any) -> None:
    given: dict[str, Any] = {"host": socket.gethostname(), "pid": 1, "places": 0, "started_at": clock.now()}
    given |= {"worker_id": f"a {role}", "role": role, "beat_at": clock.now()}
    WorkerHeartbeat.objects.create(**(given | values))


@pytest.mark.parametrize("role", Role)
def test_each_process_is_alive_until_it_stops(role: Role, emulator: Emulator, tmp_path: Path) -> None:
    assert health(role) == 1
    with running(manage(*COMMANDS[role]), environment=environment_for(emulator), log=tmp_path / "log") as program:
        wait_until(WorkerHeartbeat.objects.exists, what="a sign of life")
        assert [health(other) for other in Role] == [int(other != role) for other in Role]
        assert '"event": "process_started"' in program.output
        assert program.stop(signal.SIGTERM) == 0
    assert health(role) == 1
    assert WorkerHeartbeat.objects.get().stopped_at is not None


def test_one_that_has_fallen_silent_is_not_alive() -> None:
    beat(Role.WATCH, beat_at=clock.now() - timedelta(seconds=9))
    assert health("watch") == 0
    clock.move(2)
    assert health("watch") == 1


def test_another_machines_process_counts_only_when_it_is_asked_for() -> None:
    beat(Role.RECONCILE, host="another")
    assert health("reconcile") == 1
    assert health("reconcile", "--anywhere") == 0


def test_a_database_that_is_away_ends_no_process() -> None:
    """A restart would not bring it back, and would end calls that are under way."""

    def away(*_: object) -> None:
        raise OperationalError("no connection")

    with connection.execute_wrapper(away):
        assert health("worker") == 0
