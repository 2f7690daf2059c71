"""What all answers have in common: compressed where that pays, and a warning where the address is to go."""

from __future__ import annotations

import gzip
import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.api import deprecated
from sandboxes.api.deprecated import Deprecated
from tests.support import rows

if TYPE_CHECKING:
    from django.test import Client

    from sandboxes.models import Sandbox
    from tests.api.callers import Api

pytestmark = pytest.mark.django_db
GZIP = {"Accept-Encoding": "gzip"}
TOUCH = Deprecated(
    "POST", "/api/v1/sandboxes/{sandbox_id}/touch", date(2027, 1, 1), date(2028, 1, 1), "/api/v1/docs"
)


def test_a_list_is_compressed_for_who_accepts_it(alice: Api) -> None:
    for name in ("atlas", "best"):
        rows.sandbox(name, of="alice")
    answer = alice.get("/sandboxes", **GZIP)
    plain = alice.get("/sandboxes")
    assert (answer["Content-Encoding"], answer["Vary"]) == ("gzip", "origin, Accept-Encoding")
    assert json.loads(gzip.decompress(answer.content)) == plain.json()
    assert "Content-Encoding" not in plain
    assert len(answer.content) < len(plain.content) / 2


def test_what_is_short_or_has_a_strong_etag_stays_as_it_is(alice: Api, atlas: Sandbox) -> None:
    assert "Content-Encoding" not in alice.get("/operations", **GZIP)
    one = alice.get(f"/sandboxes/{atlas.pk}", **GZIP)
    assert len(one.content) > 1_024
    assert "Content-Encoding" not in one
    assert alice.patch(f"/sandboxes/{atlas.pk}", {"name": "best"}, If_Match=one["ETag"]).status_code == 200


def test_the_schema_is_compressed_and_known_again(client: Client) -> None:
    first = client.get("/api/v1/schema", headers=GZIP)
    assert first["Content-Encoding"] == "gzip"
    assert len(first.content) < 40_000
    again = client.get("/api/v1/schema", headers=GZIP | {"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_pages_of_the_admin_are_not_compressed(admin_client: Client) -> None:
    assert "Content-Encoding" not in admin_client.get("/admin/", headers=GZIP)


@pytest.fixture
def leaving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deprecated, "DEPRECATED", (TOUCH,))


@pytest.mark.usefixtures("leaving")
def test_a_deprecated_address_says_since_when_and_until_when(alice: Api, atlas: Sandbox) -> None:
    for sandbox in (atlas.pk, "no-such-one"):
        answer = alice.post(f"/sandboxes/{sandbox}/touch")
        assert {name: answer[name] for name in ("Deprecation", "Sunset", "Link")} == {
            "Deprecation": "@1798761600",
            "Sunset": "Sat, 01 Jan 2028 00:00:00 GMT",
            "Link": '</api/v1/docs>; rel="deprecation"',
        }
    assert "Deprecation" not in alice.post(f"/sandboxes/{atlas.pk}/sync")
    assert "Deprecation" not in alice.get(f"/sandboxes/{atlas.pk}/touch")
    assert "Deprecation" not in alice.get("/no-such-address")


@pytest.mark.usefixtures("leaving")
def test_the_document_marks_it() -> None:
    paths: dict[str, Any] = {TOUCH.path: {"post": {"description": "Keeps it."}}}
    deprecated.mark(paths)
    assert paths[TOUCH.path]["post"] == {
        "deprecated": True,
        "description": "Deprecated since 2027-01-01, gone on 2028-01-01: see /api/v1/docs.\n\nKeeps it.",
    }


def test_nothing_goes_within_a_year_of_its_warning() -> None:
    assert [one for one in (TOUCH, *deprecated.DEPRECATED) if (one.until - one.since).days < 365] == []
