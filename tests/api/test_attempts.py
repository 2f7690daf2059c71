"""Wrong credentials and sign-ins are limited by address, whatever they try."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from tests.api.callers import Api, problem, program
from tests.api.test_throttling import BrokenCache

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.support.issuer import Issuer

pytestmark = pytest.mark.django_db
WRONG = ("sandkeeper_000000000000_wrong", "a.b.c", "nonsense", "")


@pytest.fixture(autouse=True)
def limits(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three attempts in a minute that does not end."""
    settings.ATTEMPT_LIMITS = {"credentials": 3, "sign_in": 3}
    settings.TRUSTED_PROXIES = ["1"]
    monkeypatch.setattr(time, "time", lambda: 1_000_000_040.0)
    cache.clear()


def statuses(api: Api, address: str, count: int = 1) -> list[int]:
    return [api.get("/sandboxes", X_Forwarded_For=address).status_code for _ in range(count)]


def test_wrong_credentials_are_limited_by_address_and_the_good_ones_of_others_go_on(alice: Api) -> None:
    tried = [statuses(Api(Authorization=f"Bearer {wrong}"), "192.0.2.1")[0] for wrong in WRONG]
    assert tried == [401, 401, 401, 429]
    refused = alice.get("/sandboxes", X_Forwarded_For="192.0.2.1")
    assert problem(refused, "rate_limited")["retry_after"] == int(refused["Retry-After"]) == 40
    assert statuses(alice, "192.0.2.2") == [200]


def test_a_new_minute_is_a_new_chance(alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Api(Authorization="Bearer nonsense")
    assert statuses(wrong, "192.0.2.1", 4)[-1] == 429
    monkeypatch.setattr(time, "time", lambda: 1_000_000_100.0)
    assert statuses(alice, "192.0.2.1") == [200]


def test_the_addresses_of_one_ipv6_network_are_one() -> None:
    wrong = Api(Authorization="Bearer nonsense")
    assert [statuses(wrong, f"2001:db8::{number}")[0] for number in range(1, 5)] == [401, 401, 401, 429]
    assert statuses(wrong, "2001:db8:0:1::1") == [401]


def test_good_credentials_and_expired_tokens_count_for_nothing(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the token has the time of the clock
    expired = Api(Authorization=f"Bearer {issuer.token(exp=int(time.time()) - 600)}")
    assert statuses(expired, "192.0.2.1", 8) == [401] * 8
    assert statuses(program("alice"), "192.0.2.1", 8) == [200] * 8


def sign_in(name: str, address: str) -> Any:
    data = {"username": name, "password": "wrong"}
    return Client().post(reverse("admin:login"), data, headers={"X-Forwarded-For": address})


def test_sign_ins_are_limited_by_address_whatever_the_name() -> None:
    answers = [sign_in(f"name-{number}", "192.0.2.1") for number in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1]["Retry-After"] == "40"
    assert "Too many sign-ins" in answers[-1].content.decode()
    assert sign_in("name-9", "192.0.2.2").status_code == 200
    page = Client().get(reverse("admin:login"), headers={"X-Forwarded-For": "192.0.2.1"})
    assert page.status_code == 200, "to look is free"


def test_a_cache_that_is_away_lets_everybody_try(settings: Settings) -> None:
    settings.CACHES = {"default": {"BACKEND": "tests.api.test_throttling.BrokenCache"}}
    assert isinstance(cache._connections["default"], BrokenCache)  # type: ignore[attr-defined]
    assert statuses(Api(Authorization="Bearer nonsense"), "192.0.2.1", 5) == [401] * 5
