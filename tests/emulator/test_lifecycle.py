"""What the recordings do not show of states, hosts and recoveries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.emulator.wire import Wire, message
from tests.support.emulator import Emulator
from tests.support.waiting import wait_until


def test_a_paused_container_cannot_be_started_but_stopped(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, state="paused")
    assert wire.post(key, "start").status_code == 422
    assert wire.post(key, "stop").status_code == 200
    wire.until(key, "stopped")


def test_a_container_cannot_be_paused(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1)
    assert wire.post(key, "pause").status_code == 422


def test_a_host_that_never_answers_ends_in_an_error(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, state="stopped")
    emulator.settings(hold=0.1, start_timeout=100)
    emulator.faults.add("host", operation="start", never=True, times=1)
    assert wire.post(key, "start").json()["state"] == "starting"
    assert wire.post(key, "stop").status_code == 409
    assert wire.delete(key).status_code == 409
    emulator.advance(101)
    assert wire.get(key).json()["errorReason"] == "Timeout while starting sandbox"


def test_recovering_from_a_backup_is_refused_twice_an_hour(emulator: Emulator, wire: Wire) -> None:
    broken: dict[str, Any] = {
        "state": "error",
        "errorReason": "Timeout while starting sandbox",
        "recoverable": True,
    }
    (key,) = emulator.seed(count=1, backupState="Completed", **broken)
    assert wire.post(key, "recover").json()["state"] == "started"
    emulator.change(key, desiredState="started", **broken)
    emulator.change(key, backupState="Completed")
    answer = wire.post(key, "recover")
    assert answer.status_code == 409
    assert "attempted recently" in message(answer)
    emulator.advance(3600)
    assert wire.post(key, "recover").status_code == 200


def test_a_second_recover_meets_the_first(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, state="error", errorReason="full", recoverable=True)
    emulator.settings(transition=20)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(wire.post, key, "recover")
        wait_until(lambda: emulator.log(action="recover"), what="the first recover")
        assert wire.post(key, "recover").status_code == 409
        emulator.advance(21)
        emulator.advance(21)
        assert first.result().json()["state"] == "started"


def test_a_recover_can_fail(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, state="error", errorReason="full", recoverable=True)
    emulator.faults.add("host", operation="recover", error="still full", recoverable=True, times=1)
    assert wire.post(key, "recover").status_code == 400
    assert wire.get(key).json()["errorReason"] == "still full"
    assert wire.post(key, "recover").status_code == 200


def test_a_stop_with_no_host_waits_until_it_is_back(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1)
    emulator.settings(runner="unresponsive")
    assert wire.post(key, "stop").status_code == 200
    emulator.advance(600)
    assert wire.state(key) == "stopping"
    emulator.settings(runner="ready")
    wire.until(key, "stopped")


def test_an_image_of_ones_own_is_built_first(emulator: Emulator, wire: Wire) -> None:
    answer = wire.create(name="own", buildInfo={"dockerfileContent": "FROM x"}, cpu=2, memory=2, disk=5)
    assert answer.json()["state"] == "pending_build"
    wire.until("own", "started")
    assert wire.get("own").json()["cpu"] == 2


def test_a_sandbox_can_be_deleted_while_its_image_is_pending(emulator: Emulator, wire: Wire) -> None:
    emulator.settings(transition=30)
    key = wire.create(buildInfo={"dockerfileContent": "FROM x"}).json()["id"]
    assert wire.delete(key).status_code == 200
    emulator.advance(31)
    assert wire.state(key) == "gone"


@pytest.mark.parametrize(("asked", "kept"), [("0", 43200), ("60", 60), ("999999", 43200)])
def test_the_archive_interval_is_clamped(emulator: Emulator, wire: Wire, asked: str, kept: int) -> None:
    (key,) = emulator.seed(count=1)
    assert wire.post(key, f"autoarchive/{asked}").status_code == 201
    assert wire.get(key).json()["autoArchiveInterval"] == kept


def test_intervals_are_set_and_logged(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1)
    assert [wire.post(key, path).status_code for path in ("autostop/5", "autodelete/-1")] == [201, 201]
    assert wire.post(key, "autostop/-5").status_code == 400
    assert wire.post(key, "autostop/soon").status_code == 500
    assert [(entry["action"], entry["detail"]) for entry in emulator.log()] == [("autostop", 5), ("autodelete", -1)]


def test_a_suspended_organisation_without_a_reason(emulator: Emulator, wire: Wire) -> None:
    emulator.settings(suspended="")
    assert message(wire.create()) == "Organization is suspended"
