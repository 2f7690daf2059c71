from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.providers.daytona.gateway import DaytonaGateway
from tests.support.gateway import BlockingGateway
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

NewGateway = Callable[..., BlockingGateway]


@pytest.fixture
def new_gateway(emulator: Emulator) -> Iterator[NewGateway]:
    """Makes gateways to the emulator, which are closed after the test."""
    made: list[BlockingGateway] = []

    def make(**options: Any) -> BlockingGateway:
        defaults: dict[str, Any] = {
            "api_url": emulator.daytona_url,
            "api_key": emulator.daytona_key,
            "connect_timeout": PATIENCE,
            "read_timeout": PATIENCE,
        }
        defaults["hold_timeout"] = options.get("read_timeout", PATIENCE)
        made.append(BlockingGateway(DaytonaGateway(**defaults | options)))
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()


@pytest.fixture
def gateway(new_gateway: NewGateway) -> BlockingGateway:
    return new_gateway()
