from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.core.cache import cache

from sandboxes.api import jwks
from tests.api.callers import Api, program
from tests.services.conftest import running, world
from tests.support import rows
from tests.support.issuer import AUDIENCE, Issuer
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings

    from sandboxes.models import Sandbox

__all__ = ["running", "world"]


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Neither counts of requests nor keys of an issuer outlive a test."""
    yield
    cache.clear()
    jwks.key_set.cache_clear()


@pytest.fixture
def alice(db: None) -> Api:
    """A program that acts for alice and may do everything for her."""
    return program("alice")


@pytest.fixture
def atlas(db: None) -> Sandbox:
    """Alice's running sandbox."""
    return rows.sandbox("atlas", of="alice")


@pytest.fixture(scope="session")
def issuer_server() -> Iterator[Issuer]:
    with Issuer() as issuer:
        yield issuer


@pytest.fixture
def issuer(issuer_server: Issuer, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Issuer:
    """However busy the machine is, its keys are waited for; tests of the deadline have one of their own."""
    monkeypatch.setattr(jwks, "DEADLINE_SECONDS", PATIENCE)
    settings.OIDC_ISSUER = issuer_server.url
    settings.OIDC_AUDIENCE = [AUDIENCE]
    settings.OIDC_JWKS_URL = issuer_server.jwks_url
    issuer_server.reset()
    return issuer_server
