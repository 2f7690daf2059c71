from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.core.vocabulary import Actor, Source
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import lifecycle
from tests.support.driving import reload, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings

    from sandboxes.models import Sandbox
    from tests.support.emulator import Emulator

ALICE = Actor.owner("alice")


@pytest.fixture
def world(emulator: Emulator, settings: Settings, transactional_db: None) -> Iterator[Emulator]:
    """The emulator as this process's Daytona, with short pauses; Convex is off unless a test turns it on."""
    settings.DAYTONA_API_URL = emulator.daytona_url
    settings.DAYTONA_API_KEY = emulator.daytona_key
    settings.DAYTONA_TARGET = "us"
    settings.CONVEX_URL = settings.CONVEX_DEPLOY_KEY = ""
    settings.READ_CACHE_SECONDS = 1.0
    settings.INTENT_RETRY_SECONDS = 0.2
    settings.RETRY_BASE_SECONDS = 0.1
    daytona.reset()
    yield emulator
    daytona.reset()


@pytest.fixture
def no_attempt_waits(world: Emulator, settings: Settings) -> None:
    """Time passes between the attempts: for a driver that lets it pass for Daytona as for us (`settle_in`)."""
    settings.ATTEMPT_SECONDS = 0.0


@pytest.fixture
def running(world: Emulator) -> Callable[..., Sandbox]:
    """A sandbox that runs, made the ordinary way."""

    def make(owner: str = "alice", **new: object) -> Sandbox:
        operation = lifecycle.create(
            owner,
            actor=Actor.owner(owner),
            source=Source.API,
            new=lifecycle.NewRequest(**new),  # type: ignore[arg-type]
        )
        settle(operation)
        assert operation.status == "succeeded", (operation.code, operation.message)
        return reload(operation.sandbox_id)

    return make
