"""The gateway of a process: made once from the settings, counted, silent about its key."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pytest

from sandboxes.providers import counters
from sandboxes.providers.convex import gateway as convex
from sandboxes.providers.convex.gateway import ConvexError
from tests.providers.convex.conftest import Connect, row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django.fixtures import Settings

    from tests.support.emulator import Emulator

CANARY = "dev:test|canary-7c1e"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    convex.reset()
    yield
    convex.reset()


def test_without_settings_there_is_none(settings: Settings) -> None:
    settings.CONVEX_URL = settings.CONVEX_DEPLOY_KEY = ""

    assert convex.gateway() is None


def test_it_is_made_once(emulator: Emulator, settings: Settings) -> None:
    settings.CONVEX_URL, settings.CONVEX_DEPLOY_KEY = emulator.convex_url, emulator.convex_key

    gateway = convex.gateway()

    assert gateway is not None
    assert gateway is convex.gateway()
    assert gateway.deployment_state() == "running"


def test_reset_makes_another(emulator: Emulator, settings: Settings) -> None:
    settings.CONVEX_URL, settings.CONVEX_DEPLOY_KEY = emulator.convex_url, emulator.convex_key
    first = convex.gateway()

    convex.reset()

    assert convex.gateway() is not first


def test_calls_are_counted_by_how_they_ended(emulator: Emulator, connect: Connect) -> None:
    emulator.settings(convex={"functions": "second"})
    gateway = connect()
    before = counters.snapshot()

    gateway.owner_of("d1")
    gateway.owner_of("d1")
    emulator.faults.add("drop_after", path="/api/mutation")
    with pytest.raises(ConvexError):
        gateway.update_name("d1", name="x")

    def grown(function: str, result: str) -> int:
        key = ("convex", function, result)
        return counters.snapshot()[key].calls - before.get(key, counters.Tally(0, 0.0)).calls

    assert grown("sandboxes:getOwnerByDaytonaId", "ok") == 2
    assert grown("sandboxes:updateMetadataInternal", "convex_unavailable") == 1


def test_the_key_is_in_no_log_line(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    gateway = connect(deploy_key=CANARY)

    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            with pytest.raises(ConvexError):
                gateway.create_row("d1", owner="user_ada", row=row())
        gateway.diagnose()

    assert "convex" in caplog.text
    assert "canary" not in caplog.text


def test_many_threads_share_it(emulator: Emulator, connect: Connect) -> None:
    emulator.settings(convex={"sandkeeper": True})
    gateway = connect()
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            change = convex.RowChange(
                sandbox_id=f"s{number}", daytona_id=f"d{number}", owner="user_ada", revision=1, row=row()
            )
            gateway.apply([change])
            assert gateway.owner_of(f"d{number}") == "user_ada"
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert len(emulator.state("convex")["sandboxes"]) == 16
