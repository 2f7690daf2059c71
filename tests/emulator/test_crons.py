"""What Daytona does by itself: auto-stop, auto-archive, auto-delete, backups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.emulator.wire import Wire
    from tests.support.emulator import Emulator


@pytest.fixture(autouse=True)
def _stopped_clock(emulator: Emulator) -> None:
    emulator.stop_clock()


def settle(emulator: Emulator, minutes: float) -> None:
    emulator.advance(minutes * 60 + 10)
    emulator.advance(5)


def test_an_idle_sandbox_is_stopped(emulator: Emulator, wire: Wire) -> None:
    idle, kept = emulator.seed([{"autoStopInterval": 15}, {"autoStopInterval": 0}])
    emulator.advance(14 * 60)
    assert wire.state(idle) == "started"
    settle(emulator, 1)
    assert wire.state(idle) == "stopped"
    assert wire.state(kept) == "started"
    assert [entry["action"] for entry in emulator.log()] == ["auto-stop"]


def test_a_keep_alive_postpones_the_stop(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, autoStopInterval=15)
    emulator.advance(10 * 60)
    wire.post(key, "last-activity")
    settle(emulator, 10)
    assert wire.state(key) == "started"


def test_a_keep_alive_by_name_is_answered_and_lost(emulator: Emulator, wire: Wire) -> None:
    emulator.seed([{"name": "box", "autoStopInterval": 15}])
    emulator.advance(10 * 60)
    assert wire.post("box", "last-activity").status_code == 201
    settle(emulator, 10)
    assert wire.state("box") == "stopped"
    assert "last-activity" not in [entry["action"] for entry in emulator.log()]


def test_an_idle_ephemeral_sandbox_is_destroyed(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, autoStopInterval=1, autoDeleteInterval=0)
    settle(emulator, 1)
    assert wire.state(key) == "gone"


def test_a_stopped_sandbox_is_archived_with_its_raw_state_unchanged_until_then(
    emulator: Emulator, wire: Wire
) -> None:
    (key,) = emulator.seed(count=1, state="stopped", autoArchiveInterval=5)
    emulator.settings(archive=100)
    emulator.advance(5 * 60 + 11)
    assert wire.state(key) == "archiving"
    assert wire.items()[0]["state"] == "stopped"
    emulator.advance(100)
    assert wire.state(key) == "archived"


def test_a_stopped_sandbox_is_deleted(emulator: Emulator, wire: Wire) -> None:
    doomed, archived = emulator.seed(
        [{"state": "stopped", "autoDeleteInterval": 5}, {"state": "archived", "autoDeleteInterval": 5}]
    )
    settle(emulator, 5)
    assert wire.state(doomed) == "gone"
    assert wire.state(archived) == "archived"


def test_a_minute_can_be_short(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, autoStopInterval=15)
    emulator.settings(minute=1)
    emulator.advance(30)
    assert wire.state(key) == "stopped"


def test_a_stopped_sandbox_is_backed_up(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, state="stopped")
    emulator.settings(backups=True)
    seen = []
    for _ in range(4):
        emulator.advance(10)
        seen.append(wire.get(key).json()["backupState"])
    assert seen == ["Pending", "InProgress", "Completed", "Completed"]
