from __future__ import annotations

import signal
from pathlib import Path

import pytest

from sandboxes.models import Sandbox
from sandboxes.services import reconcile
from sandboxes.services.reconcile import Options
from tests.support import convex
from tests.support.emulator import Emulator
from tests.support.processes import environment_for, manage, run_command, running, worker
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("systems")]


def test_what_daytona_did_by_itself_shows_in_django_and_convex_at_once(emulator: Emulator, tmp_path: Path) -> None:
    (key,) = emulator.seed([{"name": "box", "labels": {"harness_user_id": "alice"}}])
    reconcile.sweep(Options(adopt=True))
    environment = environment_for(emulator)
    with (
        worker(environment, log=tmp_path / "worker"),
        running(manage("watch_sandboxes"), environment=environment, log=tmp_path / "watch") as watch,
    ):
        watch.said("swept", timeout=30)
        wait_until(lambda: convex.rows(emulator, key), timeout=30, what="the first push")
        emulator.change(key, state="stopped")
        wait_until(
            lambda: [row["status"] for row in convex.rows(emulator, key)] == ["stopped"],
            what="stopped in Convex",
        )
        assert Sandbox.objects.get().status == "stopped"
        assert watch.stop(signal.SIGTERM) == 0


def test_without_daytonas_key_it_says_so(emulator: Emulator) -> None:
    done = run_command("watch_sandboxes", environment=environment_for(emulator, DAYTONA_API_KEY=""))
    assert (done.returncode, "DAYTONA_API_KEY" in done.stderr) == (1, True)
