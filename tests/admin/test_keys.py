from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from sandboxes.core.codes import Refused
from sandboxes.models import ServiceKey
from sandboxes.services import keys
from tests.admin.pages import text_of

if TYPE_CHECKING:
    from django.test import Client

ADD = "admin:sandboxes_servicekey_add"
GOOD: dict[str, Any] = {"name": "harness", "scopes": ["sandboxes:read", "sandboxes:use"]}


def make(browser: Client, **changes: Any) -> Any:
    return browser.post(reverse(ADD), {**GOOD, **changes})


def secret_in(response: Any) -> str:
    found = re.search(r'id="secret"><span class="sk-mono">([^<]+)<', response.content.decode())
    assert found is not None
    return found[1]


def test_a_key_is_shown_once_and_works(admin: Client) -> None:
    answer = make(admin)
    secret = secret_in(answer)
    assert "no-store" in answer.headers["Cache-Control"]
    assert keys.authenticate(secret, address="127.0.0.1").name == "harness"
    key = ServiceKey.objects.get()
    assert (key.scopes, key.created_by, key.expires_at) == (["sandboxes:read", "sandboxes:use"], "admin", None)
    for address in ("admin:sandboxes_servicekey_changelist", "admin:index"):
        assert secret not in admin.get(reverse(address)).content.decode()
    page = admin.get(reverse("admin:sandboxes_servicekey_change", args=[key.pk])).content.decode()
    assert secret not in page
    assert key.digest not in page


def test_the_list_shows_state_scopes_and_last_use(admin: Client) -> None:
    secret = secret_in(make(admin, expires="30"))
    keys.authenticate(secret, address="127.0.0.1")
    words = text_of(admin.get(reverse("admin:sandboxes_servicekey_changelist")))
    assert "active" in words
    assert "read, use" in words
    assert "in 30 d" in words
    assert "never" not in words


def test_a_revoked_key_is_refused_from_then_on(admin: Client) -> None:
    secret = secret_in(make(admin))
    key = ServiceKey.objects.get()
    address = reverse("admin:sandboxes_servicekey_revoke", args=[key.pk])
    page_of_key = reverse("admin:sandboxes_servicekey_change", args=[key.pk])
    assert admin.get(address, {"confirmed": "1"}).headers["Location"] == page_of_key
    assert "Revoke harness?" in text_of(admin.post(address))
    assert keys.authenticate(secret, address="127.0.0.1")
    assert "“harness” is revoked" in text_of(admin.post(address, {"confirmed": "1"}, follow=True))
    with pytest.raises(Refused):
        keys.authenticate(secret, address="127.0.0.1")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": ""}, "This field is required."),
        ({"scopes": []}, "Choose at least one scope."),
        ({"networks": "10.0.0.0/8 nonsense"}, "nonsense"),
        ({"scopes": ["sandboxes:everything"]}, "Select a valid choice."),
    ],
)
def test_a_wrong_form_makes_no_key(admin: Client, changes: dict[str, Any], words: str) -> None:
    assert words in text_of(make(admin, **changes))
    assert not ServiceKey.objects.exists()


def test_a_name_is_used_once(admin: Client) -> None:
    make(admin)
    assert "There is a key named “harness” already." in text_of(make(admin))
    assert ServiceKey.objects.count() == 1


def test_making_and_revoking_keys_needs_permission(operator: Client, admin: Client) -> None:
    make(admin)
    key = ServiceKey.objects.get()
    assert make(operator, name="other").status_code == 403
    revoke = reverse("admin:sandboxes_servicekey_revoke", args=[key.pk])
    assert operator.post(revoke, {"confirmed": "1"}).status_code == 403
    key.refresh_from_db()
    assert key.revoked_at is None
