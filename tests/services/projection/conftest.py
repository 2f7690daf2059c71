from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.providers.convex import gateway
from tests.services.projection.driving import Convex

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings

    from tests.support.emulator import Emulator


@pytest.fixture
def settings_of_convex(emulator: Emulator, settings: Settings) -> Iterator[Settings]:
    settings.CONVEX_URL = emulator.convex_url
    settings.CONVEX_DEPLOY_KEY = emulator.convex_key
    settings.CONVEX_READ_TIMEOUT = 5.0
    settings.RETRY_BASE_SECONDS = 1.0
    settings.RETRY_MAX_SECONDS = 60.0
    gateway.reset()
    yield settings
    gateway.reset()


@pytest.fixture
def convex(emulator: Emulator, settings_of_convex: Settings, transactional_db: None) -> Convex:
    """The emulator as this process's Convex, with the second published set of functions."""
    convex = Convex(emulator)
    convex.configure(functions="second")
    return convex


@pytest.fixture(params=["first", "second", "main", "own"])
def any_convex(request: pytest.FixtureRequest, convex: Convex) -> Convex:
    """Each published set of functions, and the second one with our own functions beside it."""
    name: str = request.param
    options: dict[str, Any] = {"functions": "second", "sandkeeper": True} if name == "own" else {"functions": name}
    convex.configure(**options)
    return convex
