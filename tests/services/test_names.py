"""A sandbox that no person has named: shown under Daytona's name, which is told to nobody as its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core.asked import labels_of
from sandboxes.core.vocabulary import Actor
from sandboxes.services import lifecycle
from tests.admin.members import root
from tests.api.callers import program
from tests.support import rows

if TYPE_CHECKING:
    from django.test import Client

    from sandboxes.models import Sandbox

pytestmark = pytest.mark.django_db
UUID_NAME = "5a91f1c2-0000-4000-8000-000000000001"


def unnamed(**fields: Any) -> Sandbox:
    return rows.sandbox("", of="alice", **({"daytona_name": UUID_NAME} | fields))


def test_it_is_shown_under_daytonas_name_and_that_is_said() -> None:
    alice = program("alice")
    shown = alice.get(f"/sandboxes/{unnamed().pk}").json()
    assert (shown["name"], shown["name_known"]) == (UUID_NAME, False)
    named = alice.get(f"/sandboxes/{rows.sandbox('atlas', of='alice').pk}").json()
    assert (named["name"], named["name_known"]) == ("atlas", True)


def test_without_a_name_in_daytona_its_id_is_shown() -> None:
    assert str(unnamed(daytona_name="", daytona_id="d-1")) == "d-1"


def test_pages_show_it(client: Client) -> None:
    row = unnamed()
    client.force_login(root())
    for page in ("/admin/sandboxes/sandbox/", f"/admin/sandboxes/sandbox/{row.pk}/change/"):
        assert UUID_NAME in client.get(page).content.decode(), page


def test_naming_it_is_a_rename_like_any_other() -> None:
    row = lifecycle.rename(unnamed().pk, "atlas", actor=Actor.owner("alice"))
    assert (row.name, row.name_known, row.pending_changes) == ("atlas", True, {"harness_name": {"value": "atlas"}})


def test_no_label_says_a_name_that_nobody_gave() -> None:
    assert "harness_name" not in labels_of(unnamed())
