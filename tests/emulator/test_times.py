"""Daytona's times: milliseconds, by its own clock, moved by every change of state."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.emulator.wire import Wire
    from tests.support.emulator import Emulator


def last_activity(wire: Wire, key: str) -> datetime:
    return datetime.fromisoformat(wire.get(key).json()["lastActivityAt"])


@pytest.mark.parametrize("skew", [300, -300])
def test_its_clock_may_be_wrong(emulator: Emulator, wire: Wire, skew: int) -> None:
    emulator.stop_clock()
    (before,) = emulator.seed(count=1)
    emulator.settings(clock_skew=skew)
    (after,) = emulator.seed(count=1)
    assert last_activity(wire, after) - last_activity(wire, before) == timedelta(seconds=skew)


def test_a_wrong_clock_keeps_its_own_intervals(emulator: Emulator, wire: Wire) -> None:
    emulator.settings(clock_skew=3600)
    (key,) = emulator.seed(count=1, autoStopInterval=15)
    emulator.advance(14 * 60)
    assert wire.state(key) == "started"
    emulator.advance(90)
    assert wire.state(key) == "stopped"


def test_a_stop_counts_as_activity(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, autoStopInterval=0)
    before = last_activity(wire, key)
    emulator.advance(600)
    wire.post(key, "stop")
    wire.until(key, "stopped")
    assert last_activity(wire, key) - before >= timedelta(seconds=600)


def test_what_it_stops_by_itself_counts_as_activity(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1, autoStopInterval=15)
    before = last_activity(wire, key)
    emulator.advance(16 * 60)
    assert wire.state(key) == "stopped"
    assert last_activity(wire, key) - before >= timedelta(minutes=15)


def test_a_change_of_labels_or_intervals_does_not(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1)
    before = last_activity(wire, key)
    emulator.advance(60)
    wire.client.put(f"/sandbox/{key}/labels", json={"labels": {"a": "b"}})
    wire.post(key, "autostop/5")
    assert last_activity(wire, key) == before
