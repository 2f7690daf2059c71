from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.providers.convex import gateway as convex
from sandboxes.providers.daytona import gateway as daytona

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings

    from tests.support.emulator import Emulator


@pytest.fixture
def systems(emulator: Emulator, settings: Settings) -> Iterator[Emulator]:
    """The emulator as Daytona and Convex of this process; a setting changed later is read at the next call."""
    settings.DAYTONA_API_URL = emulator.daytona_url
    settings.DAYTONA_API_KEY = emulator.daytona_key
    settings.CONVEX_URL = emulator.convex_url
    settings.CONVEX_DEPLOY_KEY = emulator.convex_key
    daytona.reset()
    convex.reset()
    yield emulator
    daytona.reset()
    convex.reset()
