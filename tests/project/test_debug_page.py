"""DEBUG's error page shows no secret: neither a setting's, nor a variable's, nor one in the error's words."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from django.test import RequestFactory
from django.views.debug import get_default_exception_reporter_filter, get_exception_reporter_class

from project import logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from pytest_django import Settings

PASSWORD = "p4ss<&>word-of-the-database"
ADDRESS = f"postgres://sandkeeper:{PASSWORD}@db.example.com:5432/sandkeeper"


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    """The password is one of those that settings.py hides."""
    before = list(logs._known)
    logs.hide(PASSWORD)
    yield
    logs._known[:] = before


@pytest.fixture
def secrets(settings: Settings) -> list[str]:
    """Wherever an installation has its secrets."""
    settings.DEBUG = True
    settings.DATABASE_URL = ADDRESS
    settings.SERVICE_KEY_PEPPERS = ["pepper-of-the-keys"]
    settings.DAYTONA_API_KEY = "key-of-daytona"
    settings.ALERTS = {"nested": [{"address": "https://user:hook-password@alerts.example.com"}]}
    settings.CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
            "LOCATION": "redis://:redis-password@cache.example.com",
        }
    }
    return [PASSWORD, "pepper-of-the-keys", "key-of-daytona", "hook-password", "redis-password", "bearer-value",
            "cookie-value", "of-the-environment"]  # fmt: skip


@pytest.mark.parametrize("as_html", [True, False], ids=["html", "text"])
def test_an_error_page_shows_no_secret(secrets: list[str], as_html: bool) -> None:
    request = RequestFactory().get(
        "/",
        headers={"Authorization": "Bearer bearer-value", "Cookie": "sessionid=cookie-value"},
        DATABASE_URL="postgres://a:of-the-environment@db/a",
    )
    reporter_class: Any = get_exception_reporter_class(request)
    reporter = reporter_class(request, *failed())
    page = reporter.get_traceback_html() if as_html else reporter.get_traceback_text()
    assert "cannot connect to" in page
    assert [secret for secret in secrets if secret in page] == []
    assert "p4ss" not in page, "nor as HTML"


def test_the_settings_are_cleansed_by_one_filter(secrets: list[str]) -> None:
    shown = repr(get_default_exception_reporter_filter().get_safe_settings())
    assert [secret for secret in secrets[:5] if secret in shown] == []


# The page shows the source around the error, so that nothing above may stand near it.
def failed() -> tuple[type[BaseException], BaseException, TracebackType]:
    try:
        connection = {"url": ADDRESS, "password": PASSWORD}
        raise ValueError(f"cannot connect to {connection['url']}")
    except ValueError:
        kind, error, trace = sys.exc_info()
        assert kind and error and trace
        return kind, error, trace
