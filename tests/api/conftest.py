from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from pytest_django import Settings

from sandboxes.api import jwks
from sandboxes.models import Sandbox
from tests.api.callers import Api, program
from tests.services.conftest import running, world
from tests.support import rows
from tests.support.issuer import AUDIENCE, Issuer

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
def issuer(issuer_server: Issuer, settings: Settings) -> Issuer:
    settings.OIDC_ISSUER = issuer_server.url
    settings.OIDC_AUDIENCE = [AUDIENCE]
    settings.OIDC_JWKS_URL = issuer_server.jwks_url
    issuer_server.reset()
    return issuer_server
