from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from sandboxes import clock
from sandboxes.api import jwks
from tests.api.callers import Api, problem
from tests.support import rows
from tests.support.issuer import AUDIENCE, Issuer

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db


def caller(token: str) -> Api:
    return Api(Authorization=f"Bearer {token}")


def ask(token: str) -> Any:
    return caller(token).get("/sandboxes")


@pytest.mark.parametrize("elliptic", [False, True], ids=["RS256", "ES256"])
def test_an_owner_sees_their_own_sandboxes(issuer: Issuer, elliptic: bool) -> None:
    issuer.add_key("signing", elliptic=elliptic)
    rows.sandbox("atlas", of="alice")
    rows.sandbox("bobs", of="bob")
    found = ask(issuer.token("alice", kid="signing")).json()["results"]
    assert [row["name"] for row in found] == ["atlas"]


def test_an_owner_may_do_everything_to_them(issuer: Issuer) -> None:
    box = rows.sandbox("atlas", of="alice")
    api = caller(issuer.token("alice"))
    assert api.post(f"/sandboxes/{box.pk}/stop").status_code == 202
    assert api.delete(f"/sandboxes/{box.pk}").status_code == 202


def test_the_keys_are_found_by_discovery_without_a_url_of_their_own(issuer: Issuer, settings: Settings) -> None:
    settings.OIDC_JWKS_URL = ""
    assert ask(issuer.token()).status_code == 200


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"nbf": int(time.time()) + 100_000}, "not valid yet"),
        ({"iss": "https://elsewhere.example"}, "another issuer"),
        ({"aud": "https://other.example"}, "another application"),
        ({"aud": None}, "another application"),
        ({"aud": None, "azp": "https://other.example"}, "another application"),
        ({"aud": "https://other.example", "azp": AUDIENCE}, "another application"),
        ({"aud": [], "azp": AUDIENCE}, "another application"),
        ({"aud": [1, {"a": 1}]}, "another application"),
        ({"aud": {AUDIENCE: 1}}, "another application"),
        ({"exp": None}, "exp"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": "a\u0000b"}, "sub"),
        ({"sub": "x" * 256}, "sub"),
    ],
)
def test_a_token_that_is_not_good_is_refused_with_the_reason(
    issuer: Issuer, claims: dict[str, Any], words: str
) -> None:
    refusal = problem(ask(issuer.token(**claims)), "invalid_token")
    assert words in refusal["detail"]


def test_one_of_several_audiences_is_enough(issuer: Issuer) -> None:
    assert ask(issuer.token(aud=["https://other.example", AUDIENCE])).status_code == 200


def test_azp_counts_where_there_is_no_audience(issuer: Issuer) -> None:
    assert ask(issuer.token(aud=None, azp=AUDIENCE)).status_code == 200


def test_a_required_claim_must_be_there(issuer: Issuer, settings: Settings) -> None:
    settings.OIDC_REQUIRED_CLAIMS = ["sid"]
    assert "sid" in problem(ask(issuer.token()), "invalid_token")["detail"]
    assert ask(issuer.token(sid="sess_1")).status_code == 200


def test_a_token_signed_by_a_stranger_with_our_kid_is_refused(issuer: Issuer) -> None:
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert "signature" in problem(ask(issuer.token(key=stranger)), "invalid_token")["detail"]


def test_no_signature_and_a_shared_secret_are_refused(issuer: Issuer) -> None:
    good = issuer.token()
    _header, payload, _ = good.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": "first"}).encode()).decode().rstrip("=")
    problem(ask(f"{none}.{payload}."), "invalid_token")
    shared = jwt.encode(jwt.decode(good, options={"verify_signature": False}), "x" * 32, "HS256", {"kid": "first"})
    problem(ask(shared), "invalid_token")


@pytest.mark.parametrize("credentials", ["nonsense", "a.b.c", "eyJhbGciOiJSUzI1NiJ9.e30.x"])
def test_what_is_no_token_is_refused(issuer: Issuer, credentials: str) -> None:
    problem(ask(credentials), "invalid_token")


def test_without_an_issuer_no_token_is_taken(settings: Settings) -> None:
    settings.OIDC_ISSUER = ""
    assert "OIDC_ISSUER" in problem(ask("a.b.c"), "invalid_token")["detail"]


def test_a_token_names_no_other_owner(issuer: Issuer) -> None:
    api = caller(issuer.token("alice"))
    problem(api.get("/sandboxes", X_On_Behalf_Of="bob"), "permission_denied")
    assert api.get("/sandboxes", X_On_Behalf_Of="alice").status_code == 200


# The key set


def test_the_keys_are_fetched_once_for_many_requests(issuer: Issuer) -> None:
    for _ in range(5):
        assert ask(issuer.token()).status_code == 200
    assert issuer.fetches == 1


def test_unknown_key_ids_cause_no_storm(issuer: Issuer) -> None:
    assert ask(issuer.token()).status_code == 200
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for number in range(20):
        problem(ask(issuer.token(kid=f"unknown-{number}", key=stranger)), "invalid_token")
    assert issuer.fetches == 1


def test_a_new_key_of_the_issuer_is_found_after_the_pause(issuer: Issuer) -> None:
    assert ask(issuer.token()).status_code == 200
    issuer.add_key("rotated")
    clock.move(jwks.PAUSE_SECONDS + 1)
    assert ask(issuer.token(kid="rotated")).status_code == 200
    assert issuer.fetches == 2


def test_the_last_good_keys_serve_for_an_hour_while_the_issuer_is_down(issuer: Issuer) -> None:
    assert ask(issuer.token()).status_code == 200
    issuer.down = True
    clock.move(jwks.KEPT_SECONDS - 60)
    assert ask(issuer.token()).status_code == 200
    assert issuer.fetches == 2


def test_after_an_hour_without_the_issuer_nobody_gets_in(issuer: Issuer) -> None:
    assert ask(issuer.token()).status_code == 200
    issuer.down = True
    clock.move(jwks.KEPT_SECONDS + 60)
    refusal = problem(ask(issuer.token()), "identity_provider_unavailable")
    assert refusal["retry_after"] > 0


def test_an_issuer_that_never_answered_is_asked_seldom(issuer: Issuer) -> None:
    issuer.down = True
    for _ in range(5):
        problem(ask(issuer.token()), "identity_provider_unavailable")
    assert issuer.fetches == 1
