"""A list of the admin answers to its own filters alone, on no field and on no field behind another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import reverse

from sandboxes.services import keys
from tests.admin import members

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model

# What the filters of Django's own list of users ask for.
OF_USERS = ("is_staff", "is_superuser", "is_active", "groups")
EXACT = ("__exact", "__isnull", "__id__exact")
ENDS = ("", "__exact", "__startswith", "__regex", "__gt", "__in", *EXACT)


@pytest.fixture
def root(db: None) -> Client:
    browser = Client()
    browser.force_login(members.root())
    return browser


def paths(model: type[Model], *, deep: int = 2) -> Iterator[str]:
    """Every field of a model, and of those that it is tied to in either direction."""
    for field in model._meta.get_fields():
        yield field.name
        if field.is_relation and field.related_model and deep:
            yield from (f"{field.name}__{inner}" for inner in paths(field.related_model, deep=deep - 1))


@pytest.mark.parametrize("model", admin.site._registry, ids=lambda model: model.__name__)
def test_no_field_can_be_looked_up_but_by_a_filter_of_the_list(model: type[Model]) -> None:
    model_admin: Any = admin.site._registry[model]
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True, is_active=True)
    allowed = {f"{path}{end}" for path in paths(model) for end in ENDS
               if model_admin.lookup_allowed(f"{path}{end}", "x", request)}  # fmt: skip
    filters = model_admin.get_list_filter(request)
    assert {one for one in filters if isinstance(one, str)} <= set(OF_USERS)
    words = {one.parameter_name for one in filters if not isinstance(one, str)}
    assert allowed <= words | {f"{name}{end}" for name in OF_USERS for end in EXACT}


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("servicekey", "digest__startswith"),
        ("servicekey", "digest__regex"),
        ("sandbox", "lease_token__startswith"),
        ("operation", "sandbox__lease_token__startswith"),
        ("sandboxevent", "sandbox__owner__hold_reason__contains"),
    ],
)
def test_a_right_and_a_wrong_guess_are_answered_alike(root: Client, model: str, lookup: str) -> None:
    key, _ = keys.create_key("runtime", scopes=["sandboxes:read"])
    address = reverse(f"admin:sandboxes_{model}_changelist")
    answers = [root.get(address, {lookup: guess}) for guess in (key.digest[:1], "z")]
    assert [answer.status_code for answer in answers] == [400, 400]
    assert "asks for what there is not" in answers[0].content.decode()
    assert "runtime" not in answers[0].content.decode()


def test_the_filters_of_the_lists_still_work(root: Client) -> None:
    users = reverse("admin:auth_user_changelist")
    assert "admin" in root.get(users, {"is_staff__exact": "1"}).content.decode()
    assert root.get(users, {"password__startswith": "md5"}).status_code == 400
    assert root.get(reverse("admin:sandboxes_sandbox_changelist"), {"status": "running"}).status_code == 200
