"""Text that people write and others read: refused with its code point and place, kept in NFC, found in any case."""

from __future__ import annotations

import importlib
import pkgutil
import re
import unicodedata
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from django import forms
from django.contrib import admin as site
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.test import Client, RequestFactory
from django.urls import reverse
from rest_framework import serializers

import sandboxes.admin
import sandboxes.api
from project import readable
from sandboxes import html
from sandboxes.admin import search
from sandboxes.admin.fields import FormText
from sandboxes.api.fields import ApiText
from sandboxes.api.requests import Strict
from sandboxes.models import Owner, Sandbox
from tests.admin import members
from tests.api.callers import Api, problem, program
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.issuer import Issuer

# A name, what is wrong with it, and how it is shown.
UNREADABLE = [
    ("x\x1b[2J\x1b[31mALL WELL", "Character 2 is U+001B (escape)", "x␛[2J␛[31mALL WELL"),
    ("a\x00b", "Character 2 is U+0000 (null)", "a␀b"),
    ("one\ntwo", "Character 4 is U+000A (line feed)", "one␊two"),
    ("a\x7fb", "Character 2 is U+007F", "a␡b"),
    ("\x9b2Jx", "Character 1 is U+009B", "⟨U+009B⟩2Jx"),
    ("gpj.\u202eexe", "Character 5 is U+202E (right-to-left override)", "gpj.⟨U+202E⟩exe"),
    ("ad\u200bmin", "Character 3 is U+200B (zero width space)", "ad⟨U+200B⟩min"),
    ("a\u2028b", "Character 2 is U+2028 (line separator)", "a⟨U+2028⟩b"),
    ("\u3164", "Character 1 is U+3164 (hangul filler)", "⟨U+3164⟩"),
    ("a\U000e0041", "Character 2 is U+E0041 (tag latin capital letter a)", "a⟨U+E0041⟩"),
    ("a\ue000", "Character 2 is U+E000", "a⟨U+E000⟩"),
    ("a\U000effff", "Character 2 is U+EFFFF", "a⟨U+EFFFF⟩"),
    ("a\u200d b", "Character 2 is U+200D (zero width joiner)", "a⟨U+200D⟩ b"),
    ("a\ufe0f\ufe0f", "Character 3 is U+FE0F (variation selector-16)", "a\ufe0f⟨U+FE0F⟩"),
]
READABLE = [
    "atlas", "Größe 3", "👩\u200d💻 lab", "❤\ufe0f", "🏳\ufe0f\u200d🌈", "👨🏽\u200d🚀", "1\ufe0f\u20e3",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian
    "क्\u200dष", "葛\U000e0100", "日本語\u3000名", "a\u00a0b", "O\u2019Neil \u2013 “x” <b>",
]  # fmt: skip
# Unicode calls them format characters, and everybody sees them: Arabic and Syriac number signs.
SEEN_FORMATS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
NO_OWNERS = [".", "..", " a", "a ", "", "x" * 256, "a\x1b", "a\n", "a\u202eb", "a\u200bb", "\u3164"]
OWNERS = [
    "user_2abc", "auth0|5f7c", "auth0|x y", "a/b", "a\\b", "../a", "a.b", "...", "me@example.org", "ü@example.com",
    "50%", "a_2Fb", "u\u0308", "x" * 255, "👩" * 255,
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem", "shown"), UNREADABLE, ids=[ascii(text) for text, _, _ in UNREADABLE])
def test_what_cannot_be_read_is_refused_and_shown_by_signs(text: str, problem: str, shown: str) -> None:
    with pytest.raises(readable.UnreadableText, match="cannot be read") as refused:
        readable.checked(text)
    assert str(refused.value).startswith(problem)
    assert readable.visible(text) == shown
    assert readable.visible(readable.visible(text)) == shown


@pytest.mark.parametrize("text", READABLE)
def test_what_people_write_in_their_languages_is_left_as_it_is(text: str) -> None:
    assert readable.checked(text) == readable.visible(text) == text


@pytest.mark.parametrize("text", ["\u00a0", "\u3000", "\u0301"])
def test_text_of_which_nothing_is_seen_is_refused(text: str) -> None:
    with pytest.raises(readable.UnreadableText, match="Nothing of it can be seen"):
        readable.checked(text)


def test_every_code_point_is_either_plain_or_shown_by_a_sign() -> None:
    """By Unicode's categories, so that a table of ours cannot have forgotten one (of the far ones, each 89th)."""
    for number in [*range(0x3000), *range(0x3000, 0x110000, 89), 0xE0001, 0xFEFF, 0xFFFF]:
        character = chr(number)
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            is_shown = readable.visible(f" {character} ") != f" {character} "
            assert is_shown or character in SEEN_FORMATS, f"U+{number:04X}"


def test_lines_stay_where_they_are_meant() -> None:
    assert readable.visible("one\n\ttwo\r\x1b", lines=True) == "one\n\ttwo␍␛"


# --- where it comes in ----------------------------------------------------------------------------------------


def modules(package: Any) -> Iterator[None]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(found.name)
        yield


def subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


def test_every_text_that_a_client_may_send_is_checked() -> None:
    list(modules(sandboxes.api))
    found = []
    for body in subclasses(Strict):
        fields = [getattr(field, "child", field) for field in body().fields.values()]
        texts = [field for field in fields if isinstance(field, serializers.CharField)]
        # A pattern of its own says exactly what may be sent.
        found += [field for field in texts if not isinstance(field, serializers.RegexField)]
    assert len(found) > 5
    assert [field for field in found if not isinstance(field, ApiText)] == []


def test_every_text_that_staff_may_write_is_checked() -> None:
    list(modules(sandboxes.admin))
    ours = [form for form in subclasses(forms.Form) if form.__module__.startswith("sandboxes.")]
    assert len(ours) >= 5
    fields = [(form, name, field) for form in ours for name, field in form.base_fields.items()]
    request = RequestFactory().get("/")
    request.user = members.User(is_superuser=True, is_active=True)
    for model_admin in (
        site.site._registry[members.User],
        site.site._registry[Group],
    ):
        form = model_admin.get_form(request)
        fields += [(form, name, field) for name, field in form.base_fields.items()]
    plain = [(form, name, field) for form, name, field in fields if type(field) is forms.CharField]
    # Nobody reads a password.
    assert [(form, name) for form, name, one in plain if not isinstance(one.widget, forms.PasswordInput)] == []
    assert sum(isinstance(field, FormText) for _, _, field in fields) >= 12


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/sandboxes", {"name": "x\x1b[2J"}),
        ("PATCH", "/sandboxes/{id}", {"name": "a\u202eb"}),
        ("POST", "/sandboxes/{id}/stop", {"reason": "\u200b"}),
        ("POST", "/sandboxes/bulk", {"action": "stop", "ids": ["a\u0000"]}),
    ],
)
def test_the_api_says_which_character_of_which_field(
    alice: Api, atlas: Sandbox, method: str, path: str, body: dict[str, Any]
) -> None:
    answer = alice.call(method, path.format(id=atlas.pk), body)
    assert answer.status_code == 400
    problem = answer.json()
    [error] = problem["errors"]
    assert error["field"].split(".")[0] in body
    assert error["code"] == "unreadable_text"
    assert "U+" in error["message"]
    assert "position" not in error["message"]


def test_a_line_feed_at_the_end_is_no_offence(alice: Api, atlas: Sandbox) -> None:
    assert alice.patch(f"/sandboxes/{atlas.pk}", {"name": "borealis\n"}).status_code == 200
    atlas.refresh_from_db()
    assert atlas.name == "borealis"


def test_the_admin_says_which_character(db: None) -> None:
    browser = Client()
    browser.force_login(members.root())
    box = rows.sandbox()
    data = {"name": "a\u202eb", "auto_stop": 15, "auto_archive": 10, "auto_delete": -1, "confirmed": "1"}
    page = browser.post(f"/admin/sandboxes/sandbox/{box.pk}/settings/", data)
    assert "Character 2 is U+202E (right-to-left override)" in page.content.decode()
    assert "a⟨U+202E⟩b" in page.content.decode()
    box.refresh_from_db()
    assert box.name == "atlas"


def test_a_key_with_an_unreadable_name_is_not_made(db: None) -> None:
    with pytest.raises(CommandError, match=r"U\+001B"):
        call_command("create_service_key", "a\x1b[2J", "--scope", "sandboxes:read")


@pytest.mark.parametrize("owner", NO_OWNERS)
def test_what_nobody_can_read_is_no_owner(alice: Api, owner: str) -> None:
    with pytest.raises(readable.UnreadableText):
        readable.checked_owner_id(owner)
    assert alice.get("/sandboxes", X_On_Behalf_Of=quote(owner)).status_code == 400


@pytest.mark.parametrize("owner", OWNERS)
def test_any_readable_sub_signs_in_and_can_be_acted_for(db: None, issuer: Issuer, owner: str) -> None:
    row = rows.sandbox(of=owner)
    path = f"/sandboxes/{row.pk}"
    for api in (
        Api(Authorization=f"Bearer {issuer.token(owner)}"),
        program(owner),
        program(owner, scopes=["sandboxes:read", "sandboxes:any"]),
    ):
        assert api.get(path).json()["owner"] == owner
    everybodys = program(None, scopes=["sandboxes:read", "sandboxes:any"])
    rows.sandbox(of="somebody else")
    found = everybodys.get(f"/sandboxes?owner={quote(owner, safe='')}").json()["results"]
    assert [one["id"] for one in found] == [str(row.pk)]


@pytest.mark.parametrize("given", ["a b", "é", "%ff", "%00", "%2e%2E", "%20a"])
def test_a_header_that_is_not_encoded_or_names_no_owner_is_refused(alice: Api, given: str) -> None:
    found = problem(alice.get("/sandboxes", X_On_Behalf_Of=given), "invalid_request")
    assert [error["field"] for error in found["errors"]] == ["X-On-Behalf-Of"]


@pytest.mark.parametrize("owner", OWNERS)
def test_every_page_and_form_of_an_owner_can_be_reached(db: None, owner: str) -> None:
    browser = Client()
    browser.force_login(members.root())
    row = rows.sandbox(of=owner)
    shown = browser.get(reverse("admin:sandboxes_sandbox_change", args=[row.pk])).content.decode()
    address = html.owner_url(owner)
    assert f'href="{address}"' in shown
    page = browser.get(address)
    assert page.context["owner"].pk == owner
    held = re.search(r'action="([^"]+/hold/)"', page.content.decode())
    assert held is not None
    browser.post(held[1], {"reason": "x", "confirmed": "1"})
    assert Owner.objects.get(pk=owner).on_hold


# --- names in any spelling ------------------------------------------------------------------------------------

DECOMPOSED = unicodedata.normalize("NFD", "Größe Ä")


@pytest.mark.parametrize("words", ["größe", "GRÖ", "ÖßE", "g", "ße ä", unicodedata.normalize("NFD", "grö"), "GRö"])
def test_a_name_is_found_in_any_spelling_and_case(alice: Api, words: str) -> None:
    box = rows.sandbox("Größe Ä", of="alice")
    rows.sandbox("other", of="alice")
    found = alice.client.get("/api/v1/sandboxes", {"q": words}, headers=alice.headers).json()["results"]
    assert [row["id"] for row in found] == [str(box.pk)]


@pytest.mark.parametrize("words", ["größe", "GRÖ", unicodedata.normalize("NFD", "Größe ä")])
def test_the_admin_finds_the_beginning_of_a_name_in_any_case(db: None, words: str) -> None:
    box = rows.sandbox(DECOMPOSED)
    assert list(search.sandboxes(Sandbox.objects.all(), words)) == [box]


@pytest.mark.parametrize("words", ["100%ä", "a_ä", "\\ä"])
def test_signs_of_a_pattern_are_looked_for_as_they_are(db: None, words: str) -> None:
    rows.sandbox("1000ä abä")
    assert not Sandbox.objects.filter(name__icontains=words).exists()
    box = rows.sandbox(f"x {words.upper()}")
    assert list(Sandbox.objects.filter(name__icontains=words)) == [box]


def test_a_name_is_kept_and_compared_in_nfc(alice: Api, atlas: Sandbox) -> None:
    assert alice.patch(f"/sandboxes/{atlas.pk}", {"name": DECOMPOSED}).json()["name"] == "Größe Ä"
    assert Sandbox.objects.filter(name=DECOMPOSED).get() == atlas
    assert rows.sandbox(DECOMPOSED).name == "Größe Ä"


def test_two_keys_do_not_differ_by_case_alone(db: None) -> None:
    call_command("create_service_key", "Büro", "--scope", "sandboxes:read")
    with pytest.raises(CommandError, match="already"):
        call_command("create_service_key", unicodedata.normalize("NFD", "BÜRO"), "--scope", "sandboxes:read")
