"""What every test has: the present time, and an emulator per worker that is emptied before each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from tests.support.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def present() -> Iterator[None]:
    """No test's pretence about the time outlives it."""
    yield
    clock.restore()


@pytest.fixture
def stopped_clock(present: None) -> None:
    """Time passes by `clock.move` alone."""
    clock.stop()


@pytest.fixture(scope="session")
def emulator_server() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(emulator_server: Emulator) -> Emulator:
    emulator_server.reset()
    return emulator_server
