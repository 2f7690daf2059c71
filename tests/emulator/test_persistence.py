"""State across restarts and kills."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.emulator.wire import Wire
from tests.support import convex
from tests.support.emulator import Emulator

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "emulator.sqlite3"


@pytest.mark.parametrize("kill", [False, True], ids=["ended", "killed"])
def test_rows_and_the_log_survive(state: Path, kill: bool) -> None:
    with Emulator(state=state) as emulator, Wire(emulator) as wire:
        key = wire.create(name="box", labels={"a": "b"}).json()["id"]
        wire.post(key, "stop")
        wire.until(key, "stopped")
        before, log = wire.get(key).json(), emulator.log()
        emulator.restart(kill=kill)
        assert wire.get(key).json() == before
        assert wire.get("box").status_code == 200
        assert emulator.log() == log
        assert emulator.last_log() == log[-1]["seq"]


def test_what_was_under_way_goes_on_after_a_kill(state: Path) -> None:
    with Emulator(state=state) as emulator, Wire(emulator) as wire:
        slow, frozen = emulator.seed([{"state": "started"}, {"state": "stopped"}])
        emulator.settings(transition=60, archive=60)
        wire.post(slow, "stop")
        wire.post(frozen, "archive")
        assert wire.state(slow) == "stopping"
        emulator.restart(kill=True)
        wire.until(slow, "stopped")
        wire.until(frozen, "archived")


def test_a_deleted_sandbox_stays_deleted(state: Path) -> None:
    with Emulator(state=state) as emulator, Wire(emulator) as wire:
        key = wire.create(name="box").json()["id"]
        wire.delete(key)
        wire.until(key, "gone")
        emulator.restart(kill=True)
        assert wire.state(key) == "gone"
        assert wire.create(name="box").status_code == 200


def test_quotas_count_what_was_there_before(state: Path) -> None:
    with Emulator(state=state) as emulator, Wire(emulator) as wire:
        emulator.seed(count=3)
        emulator.restart(kill=True)
        emulator.settings(quota={"cpu": 3, "memory": 9, "disk": 99})
        assert wire.create().status_code == 400


def test_reset_empties_the_file_too(state: Path) -> None:
    with Emulator(state=state) as emulator, Wire(emulator) as wire:
        wire.create(name="box")
        emulator.reset()
        emulator.restart()
        assert wire.items() == []
        assert emulator.log() == []


def test_nothing_is_kept_without_a_file() -> None:
    with Emulator() as emulator, Wire(emulator) as wire:
        emulator.seed(count=1)
        emulator.restart()
        assert wire.items() == []


def test_convex_rows_survive_too(state: Path) -> None:
    with Emulator(state=state) as emulator:
        convex.seed(emulator, sandboxes=[convex.sandbox_row("d1", createdAt=1.0, lastAccessedAt=1.0)])
        before = convex.rows(emulator, "d1")
        emulator.restart(kill=True)
        assert convex.rows(emulator, "d1") == before != []
