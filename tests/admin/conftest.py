from __future__ import annotations

import pytest
from django.test import Client

from sandboxes.models import CircuitBreaker
from tests.admin import members


@pytest.fixture(autouse=True)
def still(stopped_clock: None) -> None:
    """What was two seconds ago when a row was made still is when a page shows it."""


@pytest.fixture
def admin(db: None, client: Client) -> Client:
    """A browser in which a superuser is signed in, of an installation that has a Convex."""
    CircuitBreaker.objects.create(name="convex")
    client.force_login(members.root())
    return client


@pytest.fixture
def viewer(db: None) -> Client:
    browser = Client()
    browser.force_login(members.viewer())
    return browser


@pytest.fixture
def operator(db: None) -> Client:
    browser = Client()
    browser.force_login(members.operator())
    return browser
