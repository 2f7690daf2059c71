from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import cache
from django.core.cache.backends.base import BaseCache

from tests.admin import members
from tests.api.callers import Api, problem, program, signed_in

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.support.issuer import Issuer

pytestmark = pytest.mark.django_db


class BrokenCache(BaseCache):
    """As a Redis that is away."""

    def __init__(self, _location: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def _fail(self, *arguments: Any, **options: Any) -> Any:
        raise ConnectionError("the cache is away")

    add = get = set = touch = delete = incr = clear = has_key = _fail


@pytest.fixture
def limited(settings: Settings) -> None:
    settings.RATE_LIMITS = {"service": 3, "owner": 2, "staff": 2}


def answers(api: Api, count: int) -> list[Any]:
    return [api.get("/sandboxes") for _ in range(count)]


def test_more_than_the_limit_is_refused_with_the_time_to_wait(alice: Api, limited: None) -> None:
    # Twice the limit and one more: also where a minute ends between them, one is refused.
    refused = [answer for answer in answers(alice, 7) if answer.status_code == 429]
    assert refused
    found = problem(refused[0], "rate_limited")
    assert 1 <= int(refused[0]["Retry-After"]) <= 60
    assert found["retry_after"] == int(refused[0]["Retry-After"])


def test_what_is_left_is_said_in_headers(alice: Api, limited: None) -> None:
    first = alice.get("/sandboxes")
    assert first["RateLimit-Policy"] == '"minute";q=3;w=60'
    match = re.fullmatch(r'"minute";r=(\d+);t=(\d+)', first["RateLimit"])
    assert match
    assert int(match[1]) == 2
    assert 1 <= int(match[2]) <= 60


def test_errors_count_and_say_so_too(alice: Api, limited: None) -> None:
    assert "RateLimit" in alice.get("/sandboxes/nobody")
    assert "RateLimit" not in Api().get("/sandboxes")


def test_callers_have_limits_of_their_own(alice: Api, limited: None, issuer: Issuer) -> None:
    answers(alice, 7)
    owner = Api(Authorization=f"Bearer {issuer.token('alice')}")
    staff = signed_in(members.viewer())
    for other in (program("alice"), owner, staff):
        assert other.get("/sandboxes").status_code == 200
    assert any(answer.status_code == 429 for answer in answers(owner, 5))
    assert any(answer.status_code == 429 for answer in answers(staff, 5))


def test_no_limit_says_nothing(alice: Api, settings: Settings) -> None:
    settings.RATE_LIMITS = {"service": 0, "owner": 0, "staff": 0}
    assert "RateLimit" not in alice.get("/sandboxes")


def test_a_cache_that_is_away_lets_everybody_in(alice: Api, settings: Settings, limited: None) -> None:
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.BrokenCache"}}
    assert isinstance(cache._connections["default"], BrokenCache)  # type: ignore[attr-defined]
    for answer in answers(alice, 8):
        assert answer.status_code == 200
        assert "RateLimit" not in answer
