from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.machine import forget_the_process
from tests.support.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_django import Settings


@pytest.fixture
def outlasting(tmp_path: Path, settings: Settings, transactional_db: None) -> Iterator[Emulator]:
    """Daytona and Convex in a process that keeps its rows in a file; this process only makes requests."""
    with Emulator(state=tmp_path / "daytona.sqlite3", transition=0.3) as emulator:
        settings.CONVEX_URL = emulator.convex_url
        settings.DAYTONA_TARGET = "us"
        yield emulator


@pytest.fixture
def in_process(emulator: Emulator, settings: Settings, transactional_db: None) -> Iterator[Emulator]:
    """The emulator as this process's Daytona and Convex; an attempt waits for nothing inside."""
    settings.DAYTONA_API_URL = emulator.daytona_url
    settings.DAYTONA_API_KEY = emulator.daytona_key
    settings.DAYTONA_TARGET = "us"
    settings.CONVEX_URL = emulator.convex_url
    settings.CONVEX_DEPLOY_KEY = emulator.convex_key
    settings.DAYTONA_READ_TIMEOUT = settings.DAYTONA_HOLD_TIMEOUT = settings.CONVEX_READ_TIMEOUT = 0.4
    settings.ATTEMPT_SECONDS = 0.0
    forget_the_process()
    yield emulator
    forget_the_process()
