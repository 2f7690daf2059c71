"""Quotas beyond the recordings: regions, classes, organisations, lag, shapes, false refusals."""

from __future__ import annotations

import pytest

from tests.emulator.wire import Wire, message
from tests.support.emulator import ORGANIZATION, Emulator

FULL = {"cpu": 1, "memory": 99, "disk": 99}
ROOMY = {"cpu": 99, "memory": 99, "disk": 99}


@pytest.mark.parametrize("key", ["us/container", f"{ORGANIZATION}:us/container"])
def test_a_quota_belongs_to_a_region_and_class(emulator: Emulator, wire: Wire, key: str) -> None:
    emulator.settings(quota=ROOMY, quotas={key: FULL})
    emulator.seed(count=1)
    assert wire.create(target="us").status_code == 400
    assert wire.create(target="eu").status_code == 200


def test_what_runs_in_another_region_or_class_does_not_count(emulator: Emulator, wire: Wire) -> None:
    emulator.settings(quota=FULL)
    emulator.seed([{"target": "eu"}, {"sandboxClass": "linux-vm"}])
    assert wire.create().status_code == 200


def test_another_organisation_has_its_own_quota(emulator: Emulator, wire: Wire) -> None:
    emulator.settings(quota=FULL)
    emulator.seed(count=3, organizationId="22222222-2222-4222-8222-222222222222")
    assert wire.create().status_code == 200


@pytest.mark.parametrize(
    ("state", "counts"),
    [
        ("started", True),
        ("starting", True),
        ("stopping", True),
        ("creating", True),
        ("restoring", True),
        ("pulling_snapshot", True),
        ("resuming", True),
        ("stopped", False),
        ("paused", False),
        ("archiving", False),
        ("archived", False),
        ("error", False),
        ("destroying", False),
    ],
)
def test_states_that_consume_compute(emulator: Emulator, wire: Wire, state: str, counts: bool) -> None:
    emulator.settings(quota={"cpu": 1, "memory": 99, "disk": 99})
    emulator.seed(count=1, state=state)
    answer = wire.create()
    assert answer.status_code == (400 if counts else 200)
    assert not counts or message(answer).startswith("Total CPU limit exceeded. Maximum allowed: 1.\n")


@pytest.mark.parametrize(
    ("state", "counts"),
    [("stopped", True), ("archiving", True), ("started", True), ("archived", False), ("error", False)],
)
def test_states_that_consume_disk(emulator: Emulator, wire: Wire, state: str, counts: bool) -> None:
    emulator.settings(quota={"cpu": 99, "memory": 99, "disk": 5})
    emulator.seed(count=1, state=state, disk=3)
    assert wire.create().status_code == (400 if counts else 200)


def test_starting_a_stopped_sandbox_needs_no_disk_but_an_archived_one_does(emulator: Emulator, wire: Wire) -> None:
    stopped, frozen = emulator.seed([{"state": "stopped"}, {"state": "archived"}])
    emulator.settings(quota={"cpu": 99, "memory": 99, "disk": 3})
    assert wire.post(stopped, "start").status_code == 200
    assert message(wire.post(frozen, "start")).startswith("Total disk limit exceeded. Maximum allowed: 3GiB.")


def test_a_region_without_gpus_says_so_without_the_tier(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, state="stopped", gpu=1)
    assert message(wire.post(key, "start")) == "Total GPU limit exceeded. Maximum allowed: 0."


def test_what_is_freed_shows_late(emulator: Emulator, wire: Wire) -> None:
    emulator.settings(quota=FULL, usage_lag=5)
    running, waiting = emulator.seed([{"state": "started"}, {"state": "stopped"}])
    wire.post(running, "stop")
    wire.until(running, "stopped")
    assert wire.post(waiting, "start").status_code == 400
    emulator.advance(5)
    assert wire.post(waiting, "start").status_code == 200


def test_no_quota_at_all(emulator: Emulator, wire: Wire) -> None:
    emulator.settings(quota=None)
    emulator.seed(count=1000, cpu=4)
    assert wire.create().status_code == 200


@pytest.mark.parametrize(
    ("size", "text"),
    [
        ({"cpu": 9}, "CPU request 9 exceeds maximum allowed per sandbox (4).\nNeed higher"),
        ({"memory": 9}, "Memory request 9GB exceeds maximum allowed per sandbox (8GB).\nNeed higher"),
        ({"disk": 11}, "Disk request 11GB exceeds maximum allowed per sandbox (10GB).\nNeed higher"),
    ],
)
def test_one_sandbox_has_maxima(wire: Wire, size: dict[str, int], text: str) -> None:
    answer = wire.create(buildInfo={"dockerfileContent": "FROM x"}, **size)
    assert answer.status_code == 400
    assert message(answer).startswith(text)


def test_false_refusals_come_and_go(emulator: Emulator, wire: Wire) -> None:
    emulator.settings(false_refusals=0.5)
    answers = [wire.create() for _ in range(20)]
    refused = [answer for answer in answers if answer.status_code == 400]
    assert 0 < len(refused) < 20
    assert all("Total CPU limit exceeded" in message(answer) for answer in refused)


def test_a_refused_start_gives_its_reservation_back(emulator: Emulator, wire: Wire) -> None:
    emulator.settings(quota=FULL)
    running, waiting = emulator.seed([{"state": "started"}, {"state": "stopped"}])
    assert wire.post(waiting, "start").status_code == 400
    emulator.vanish(running)
    assert wire.post(waiting, "start").status_code == 200


def test_a_host_that_fails_gives_the_reservation_back(emulator: Emulator, wire: Wire) -> None:
    emulator.settings(quota=FULL)
    emulator.faults.add("host", operation="create", error="boom", times=1)
    assert message(wire.create()) == "Sandbox failed to start: boom"
    assert wire.create().status_code == 200
