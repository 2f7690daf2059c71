from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.emulator.wire import Wire
from tests.support.emulator import Emulator


@pytest.fixture
def wire(emulator: Emulator) -> Iterator[Wire]:
    """Daytona as a client sees it, on a clock that the test moves where it matters."""
    with Wire(emulator) as wire:
        yield wire
