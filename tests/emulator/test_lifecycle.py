"""What the recordings do not show of states, hosts and recoveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.emulator.wire import Wire, message

if TYPE_CHECKING:
    from tests.support.emulator import Emulator


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


def test_a_stop_with_no_host_waits_until_it_is_back(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1)
    emulator.settings(runner="unresponsive")
    assert wire.post(key, "stop").status_code == 200
    emulator.advance(600)
    assert wire.state(key) == "stopping"
    emulator.settings(runner="ready")
    wire.until(key, "stopped")


def test_a_restore_with_no_host_stays_archived_and_asked_to_start(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, state="archived")
    emulator.settings(runner="unresponsive")
    assert wire.post(key, "start").status_code == 200
    emulator.advance(3600)
    body = wire.get(key).json()
    assert (body["state"], body["desiredState"]) == ("archived", "started")
    assert wire.post(key, "stop").status_code == wire.delete(key).status_code == 409
    emulator.settings(runner="ready")
    wire.until(key, "started")


def test_a_stop_that_fails_frees_what_was_used(emulator: Emulator, wire: Wire) -> None:
    emulator.settings(quota={"cpu": 1, "memory": 4, "disk": 100, "gpu": 0})
    running, waiting = emulator.seed([{"state": "started"}, {"state": "stopped"}])
    assert wire.post(waiting, "start").status_code == 400
    emulator.faults.add("host", operation="stop", error="no space left on device", times=1)
    wire.post(running, "stop")
    wire.until(running, "error")
    assert wire.post(waiting, "start").status_code == 200


@pytest.mark.parametrize("call", ["start", "create"])
def test_a_start_that_fails_leaves_an_error_that_get_shows(emulator: Emulator, wire: Wire, call: str) -> None:
    emulator.seed([{"name": "box", "state": "stopped"}] if call == "start" else [])
    emulator.faults.add("host", operation=call, error="no space left on device", recoverable=True, times=1)
    answer = wire.post("box", "start") if call == "start" else wire.create(name="box")
    assert (answer.status_code, message(answer)) == (400, "Sandbox failed to start: no space left on device")
    body = wire.get("box").json()
    assert (body["state"], body["errorReason"]) == ("error", "no space left on device")
    assert body["recoverable"] is True


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
