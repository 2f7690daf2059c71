from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Actor
from sandboxes.models import ServiceKey
from sandboxes.services import keys
from tests.api.callers import ALL, Api, problem, program
from tests.support import rows

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db


def caller(plaintext: str, **headers: Any) -> Api:
    return Api(Authorization=f"Bearer {plaintext}", X_On_Behalf_Of="alice", **headers)


def test_a_key_opens_the_api_for_the_owner_it_names() -> None:
    rows.sandbox("atlas", of="alice")
    rows.sandbox("bobs", of="bob")
    found = program("alice").get("/sandboxes").json()["results"]
    assert [row["name"] for row in found] == ["atlas"]


def test_the_plaintext_is_stored_nowhere() -> None:
    key, plaintext = keys.create_key("agent", scopes=ALL)
    stored = ServiceKey.objects.filter(pk=key.pk).values().get()
    assert plaintext.startswith(f"sandkeeper_{key.prefix}_")
    assert plaintext.split("_", 2)[2] not in str(stored)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic abc", "Token sandkeeper_x"])
def test_a_malformed_authorization_is_refused(header: str) -> None:
    response = Api(Authorization=header).get("/sandboxes")
    assert response.status_code == 401
    assert response["WWW-Authenticate"].startswith("Bearer")


def test_no_credentials_at_all() -> None:
    problem(Api().get("/sandboxes"), "unauthenticated")


@pytest.mark.parametrize("changed", ["sandkeeper_", "sandkeeper_x_y", "sandkeeper_0123456789ab_guess"])
def test_a_key_that_nobody_made(changed: str) -> None:
    problem(caller(changed).get("/sandboxes"), "invalid_token")


def test_a_wrong_secret_behind_a_right_prefix() -> None:
    _key, plaintext = keys.create_key("agent", scopes=ALL)
    problem(caller(plaintext[:-1] + ("a" if plaintext[-1] != "a" else "b")).get("/sandboxes"), "invalid_token")


def test_an_expired_key() -> None:
    _, plaintext = keys.create_key("agent", scopes=ALL, expires_at=timezone.now() - timedelta(seconds=1))
    problem(caller(plaintext).get("/sandboxes"), "invalid_token")


def test_a_key_that_expires_later_works() -> None:
    _, plaintext = keys.create_key("agent", scopes=ALL, expires_at=timezone.now() + timedelta(minutes=1))
    assert caller(plaintext).get("/sandboxes").status_code == 200


def test_a_revoked_key_ends_at_once_and_once() -> None:
    key, plaintext = keys.create_key("agent", scopes=ALL)
    assert caller(plaintext).get("/sandboxes").status_code == 200
    assert keys.revoke(key, actor=Actor.staff("admin"))
    problem(caller(plaintext).get("/sandboxes"), "invalid_token")
    assert not keys.revoke(key, actor=Actor.staff("admin"))


# Networks


def from_address(plaintext: str, address: str, forwarded: str = "") -> Api:
    api = caller(plaintext, **({"X_Forwarded_For": forwarded} if forwarded else {}))
    api.client.defaults["REMOTE_ADDR"] = address
    return api


def test_a_key_works_from_its_networks_alone() -> None:
    _, plaintext = keys.create_key("agent", scopes=ALL, allowed_networks=["10.0.0.0/8", "2001:db8::/32"])
    assert from_address(plaintext, "10.1.2.3").get("/sandboxes").status_code == 200
    assert from_address(plaintext, "::ffff:10.1.2.3").get("/sandboxes").status_code == 200
    assert from_address(plaintext, "2001:db8::1").get("/sandboxes").status_code == 200
    problem(from_address(plaintext, "192.0.2.1").get("/sandboxes"), "network_not_allowed")


def test_a_forwarded_address_counts_only_from_a_trusted_proxy_and_only_the_last_one(settings: Settings) -> None:
    _, plaintext = keys.create_key("agent", scopes=ALL, allowed_networks=["10.0.0.0/8"])
    api = from_address(plaintext, "192.0.2.1", forwarded="203.0.113.9, 10.1.2.3")
    problem(api.get("/sandboxes"), "network_not_allowed")
    settings.TRUSTED_PROXIES = ["1"]
    assert api.get("/sandboxes").status_code == 200
    forged = from_address(plaintext, "192.0.2.1", forwarded="10.1.2.3, 203.0.113.9")
    problem(forged.get("/sandboxes"), "network_not_allowed")


# Scopes and owners


@pytest.mark.parametrize(
    ("scope", "method", "path"),
    [
        ("sandboxes:read", "GET", "/sandboxes"),
        ("sandboxes:read", "GET", "/operations"),
        ("sandboxes:read", "GET", "/capacity"),
        ("sandboxes:read", "GET", "/owners/me"),
        ("sandboxes:read", "GET", "/usage"),
        ("sandboxes:write", "POST", "/sandboxes"),
        ("sandboxes:write", "POST", "/sandboxes/bulk"),
        ("sandboxes:use", "POST", "/sandboxes/{id}/ensure-running"),
        ("sandboxes:use", "POST", "/sandboxes/{id}/touch"),
        ("sandboxes:write", "POST", "/sandboxes/{id}/stop"),
        ("sandboxes:write", "PATCH", "/sandboxes/{id}"),
        ("sandboxes:write", "DELETE", "/sandboxes/{id}"),
    ],
)
def test_each_scope_opens_what_it_names(scope: str, method: str, path: str) -> None:
    box = rows.sandbox("atlas", of="alice")
    path = path.format(id=box.pk)
    body = {"action": "sync", "ids": [str(box.pk)]} if path.endswith("bulk") else {}
    others = [one for one in ALL if one != scope]
    assert scope in problem(program(scopes=others).call(method, path, body), "missing_scope")["detail"]
    assert program(scopes=[scope]).call(method, path, body).status_code < 300


def test_a_key_must_name_the_owner() -> None:
    problem(program(None).get("/sandboxes"), "owner_required")
    problem(program(None).post("/sandboxes", {}), "owner_required")


def test_a_key_for_any_owner_may_leave_the_owner_out() -> None:
    rows.sandbox("atlas", of="alice")
    rows.sandbox("bobs", of="bob")
    every = program(None, scopes=[*ALL, "sandboxes:any"])
    assert len(every.get("/sandboxes").json()["results"]) == 2
    assert len(every.get("/sandboxes", X_On_Behalf_Of="bob").json()["results"]) == 1
    problem(every.post("/sandboxes", {}), "owner_required")


@pytest.mark.parametrize("name", ["", "x" * 256, "a\tb", "two words", "zo\xc3\xab"])
def test_an_owner_that_cannot_be_one(name: str) -> None:
    found = problem(program(None).get("/sandboxes", X_On_Behalf_Of=name), "invalid_request")
    assert [error["field"] for error in found["errors"]] == ["X-On-Behalf-Of"]


# Peppers and last use


def test_every_pepper_verifies_and_the_first_one_signs(settings: Settings) -> None:
    settings.SERVICE_KEY_PEPPERS = ["old"]
    _key, plaintext = keys.create_key("agent", scopes=ALL)
    settings.SERVICE_KEY_PEPPERS = ["new", "old"]
    assert caller(plaintext).get("/sandboxes").status_code == 200
    settings.SERVICE_KEY_PEPPERS = ["new"]
    assert caller(plaintext).get("/sandboxes").status_code == 200, "its use signed it with the new pepper"
    settings.SERVICE_KEY_PEPPERS = ["other"]
    problem(caller(plaintext).get("/sandboxes"), "invalid_token")


def test_last_use_is_written_at_most_once_a_minute() -> None:
    key, plaintext = keys.create_key("agent", scopes=ALL)
    caller(plaintext).get("/sandboxes")
    key.refresh_from_db()
    first = key.last_used_at
    assert first is not None
    caller(plaintext).get("/sandboxes")
    key.refresh_from_db()
    assert key.last_used_at == first
    ServiceKey.objects.filter(pk=key.pk).update(last_used_at=first - timedelta(minutes=2))
    caller(plaintext).get("/sandboxes")
    key.refresh_from_db()
    assert key.last_used_at is not None
    assert key.last_used_at >= first


# Making keys


@pytest.mark.parametrize(
    "wrong", [{"scopes": []}, {"scopes": ["everything"]}, {"scopes": ALL, "allowed_networks": ["ten/8"]}]
)
def test_a_key_that_makes_no_sense_is_refused(wrong: dict[str, list[str]]) -> None:
    with pytest.raises(Refused) as error:
        keys.create_key("agent", **wrong)  # type: ignore[arg-type]
    assert error.value.code == Code.INVALID_REQUEST


def test_a_name_is_used_once() -> None:
    keys.create_key("agent", scopes=ALL)
    with pytest.raises(Refused, match="agent"):
        keys.create_key("agent", scopes=ALL)


def test_the_command_prints_the_key_once() -> None:
    out = StringIO()
    call_command("create_service_key", "agent", "--scope", "sandboxes:read", "--quiet", stdout=out)
    assert caller(out.getvalue().strip()).get("/sandboxes").status_code == 200


def test_the_command_says_what_is_wrong() -> None:
    keys.create_key("agent", scopes=ALL)
    with pytest.raises(CommandError, match="agent"):
        call_command("create_service_key", "agent", "--scope", "sandboxes:read")
