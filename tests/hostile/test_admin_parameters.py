"""Every parameter of every page of the admin, with values that a database or a number refuses: no 500."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory
from django.urls import reverse

from sandboxes.models import Operation, Owner, Sandbox
from tests.admin import members
from tests.support import rows

HOSTILE = ["a\x00b", "9" * 5_000, "-1"]
OF_EVERY_LIST = ("q", "p", "o", "all", "e", "_to_field", "_popup", "a\x00")


@pytest.fixture
def root(db: None) -> Client:
    browser = Client()
    browser.force_login(members.root())
    return browser


def parameters(model_admin: Any) -> list[str]:
    """Of the filters of a list, whatever they are called."""
    request = RequestFactory().get("/")
    filters = model_admin.get_list_filter(request)
    return [one if isinstance(one, str) else one.parameter_name for one in filters]


LISTS = [
    (model._meta.label_lower, name)
    for model, model_admin in admin.site._registry.items()
    for name in (*parameters(model_admin), *OF_EVERY_LIST)
]


@pytest.mark.parametrize(("model", "name"), LISTS, ids=[f"{model} {name!a}" for model, name in LISTS])
def test_a_list_answers_whatever_its_parameters_are(root: Client, model: str, name: str) -> None:
    address = reverse(f"admin:{model.replace('.', '_')}_changelist")
    for value in HOSTILE:
        answer = root.get(address, {name: value})
        assert answer.status_code in (200, 302, 400), value
        if "\x00" in value + name or len(value) > 4_000:
            assert answer.status_code == 400
            assert "Not understood" in answer.content.decode()


@pytest.mark.parametrize("value", HOSTILE, ids=ascii)
def test_so_does_every_other_page(root: Client, value: str) -> None:
    box = rows.sandbox()
    rows.operation(box, "stop", "succeeded")
    page = reverse("admin:sandboxes_sandbox_change", args=[box.pk])
    asked = [
        (page, "page"), (page, "show"), (reverse("admin:sandboxes_sandbox_changelist"), "ids"),
        (reverse("admin:sandboxes_sandbox_room"), "owner"), (reverse("admin:sandboxes_sandbox_add"), "owner"),
        (reverse("admin:index"), "period"), (reverse("admin:autocomplete"), "term"),
        (reverse("admin:login"), "next"),
    ]  # fmt: skip
    for address, name in asked:
        assert root.get(address, {name: value}).status_code in (200, 302, 400, 403), (address, name)


@pytest.mark.parametrize("model", [Sandbox, Owner, Operation])
@pytest.mark.parametrize("written", ["%00", "_00", "%1B[2J", "_D800", "9" * 5_000, "..", "%2E%2E"])
def test_an_id_in_an_address_is_one_or_there_is_nothing(root: Client, model: type[Any], written: str) -> None:
    address = f"/admin/sandboxes/{model._meta.model_name}/{written}/change/"
    assert root.get(address).status_code in (302, 400, 404)


def test_the_page_says_what_is_wrong_and_where(root: Client) -> None:
    page = root.get(reverse("admin:sandboxes_sandbox_changelist"), {"status": "run\x00ning"}).content.decode()
    assert "“status”: Character 4 is U+0000 (null), which cannot be read. Leave it out." in page
    assert "\x00" not in page
    page = root.get(reverse("admin:sandboxes_sandbox_changelist"), {"p": "9" * 5_000}).content.decode()
    assert "“p” has more than 4,000 characters." in page


def test_what_people_search_for_is_found(root: Client) -> None:
    rows.sandbox("Größe 👩\u200d💻")
    for words in ("größe", "  ", "Größe 👩\u200d💻"):
        assert "Größe" in root.get(reverse("admin:sandboxes_sandbox_changelist"), {"q": words}).content.decode()
