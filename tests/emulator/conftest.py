from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.emulator.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator


@pytest.fixture
def wire(emulator: Emulator) -> Iterator[Wire]:
    """Daytona as a client sees it, on a clock that the test moves where it matters."""
    with Wire(emulator) as wire:
        yield wire
