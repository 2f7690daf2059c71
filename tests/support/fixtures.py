"""The emulator for tests: one process per worker, emptied before each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.emulator import Emulator


@pytest.fixture(scope="session")
def emulator_server() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def emulator(emulator_server: Emulator) -> Emulator:
    emulator_server.reset()
    return emulator_server
