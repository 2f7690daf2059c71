from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.receiver import ReceiverServer, receiver_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings


@pytest.fixture
def server(settings: Settings) -> Iterator[ReceiverServer]:
    """On this machine, and without TLS, as development allows it."""
    settings.DEBUG = True
    with receiver_server() as started:
        yield started
