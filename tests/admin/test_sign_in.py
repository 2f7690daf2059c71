from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from tests.admin import members
from tests.admin.pages import text_of

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django import Settings

SECRET = "correct horse battery staple"


def sign_in(browser: Client, password: str, *, address: str = "192.0.2.7", follow: bool = False) -> Any:
    data = {"username": "admin", "password": password}
    return browser.post(reverse("admin:login"), data, REMOTE_ADDR=address, follow=follow)


def test_signing_in_leads_to_the_dashboard(client: Client, db: None) -> None:
    members.root(password=SECRET)
    assert "Operations per hour" in text_of(sign_in(client, SECRET, follow=True))


def test_too_many_failed_sign_ins_lock_the_name_and_address_for_a_while(
    client: Client, db: None, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    members.root(password=SECRET)
    answers = [sign_in(client, "wrong").status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    locked = sign_in(client, SECRET)
    assert locked.status_code == 429
    assert "Too many failed sign-ins." in locked.content.decode()
    assert sign_in(client, SECRET, address="192.0.2.8").status_code == 302
    assert "locking out" in caplog.text.lower()
    assert "wrong" not in caplog.text


def test_behind_a_trusted_proxy_the_address_is_the_one_that_it_appended(
    client: Client, db: None, settings: Settings
) -> None:
    settings.AXES_FAILURE_LIMIT = 2
    settings.TRUSTED_PROXIES = ["10.0.0.1"]
    members.root(password=SECRET)

    def try_from(forwarded: str) -> int:
        data = {"username": "admin", "password": "wrong"}
        answer = client.post(reverse("admin:login"), data, HTTP_X_FORWARDED_FOR=forwarded, REMOTE_ADDR="10.0.0.1")
        return int(answer.status_code)

    assert [try_from("1.2.3.4, 192.0.2.7"), try_from("9.9.9.9, 192.0.2.7")] == [200, 429]
    assert try_from("192.0.2.8") == 200


def test_every_page_carries_a_content_security_policy_and_may_not_be_framed(client: Client, db: None) -> None:
    answer = client.get(reverse("admin:login"))
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Frame-Options"] == "DENY"


@pytest.mark.django_db
def test_a_session_outlives_the_rotation_of_the_secret_key(client: Client, settings: Settings) -> None:
    client.force_login(members.root())
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a-new-one" * 8, [settings.SECRET_KEY]
    assert client.get(reverse("admin:index")).status_code == 200
    # The session is signed anew at its first use, so the old key may go at any time after that.
    settings.SECRET_KEY_FALLBACKS = []
    assert client.get(reverse("admin:index")).status_code == 200


@pytest.mark.django_db
def test_without_the_old_secret_key_a_session_ends(client: Client, settings: Settings) -> None:
    client.force_login(members.root())
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "a-new-one" * 8, []
    assert client.get(reverse("admin:index")).status_code == 302
