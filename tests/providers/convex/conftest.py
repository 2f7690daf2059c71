from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.providers.convex.gateway import ConvexGateway, ConvexRow

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

Connect = Callable[..., ConvexGateway]


@pytest.fixture
def connect(emulator: Emulator) -> Iterator[Connect]:
    """A gateway to the emulator; any option can be another. Nothing rests unless a test asks for it."""
    opened: list[ConvexGateway] = []

    def make(**options: Any) -> ConvexGateway:
        defaults: dict[str, Any] = {
            "url": emulator.convex_url,
            "deploy_key": emulator.convex_key,
            "read_timeout": 20.0,
        }
        pauses = {"unauthorized_pause": 0.0, "paused_pause": 0.0}
        opened.append(ConvexGateway(**(defaults | pauses | options)))
        return opened[-1]

    yield make
    for gateway in opened:
        gateway.close()


@pytest.fixture
def gateway(connect: Connect) -> ConvexGateway:
    return connect()


def row(**fields: Any) -> ConvexRow:
    defaults: dict[str, Any] = {
        "name": "box",
        "status": "running",
        "ephemeral": False,
        "cpu": 1,
        "memory_gb": 1,
        "disk_gb": 3,
        "created_at_ms": 1714850000123,
    }
    return ConvexRow(**(defaults | fields))
