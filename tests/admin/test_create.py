from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from sandboxes.core.vocabulary import Action
from sandboxes.models import Operation, Owner, Sandbox
from tests.admin.pages import text_of
from tests.support import rows

if TYPE_CHECKING:
    from django.test import Client

ADD = "admin:sandboxes_sandbox_add"
GOOD = {"owner": "user_alice", "name": "atlas", "tier": "standard", "language": "python"}


def create(browser: Client, **changes: str) -> Any:
    return browser.post(reverse(ADD), {**GOOD, **changes}, follow=True)


def test_a_create_makes_the_sandbox_and_shows_its_page(admin: Client) -> None:
    words = text_of(
        create(admin, region="eu", harness_id="h-1", git_repo="https://example.org/x.git", ephemeral="on")
    )
    row = Sandbox.objects.get()
    assert "The create was requested" in words
    assert "atlas" in words
    assert (row.owner_id, row.name, row.resource_tier, row.language) == (
        "user_alice",
        "atlas",
        "standard",
        "python",
    )
    assert (row.target, row.harness_id, row.git_repo, row.ephemeral) == (
        "eu",
        "h-1",
        "https://example.org/x.git",
        True,
    )
    operation = Operation.objects.get()
    assert (operation.action, operation.actor_kind, operation.actor_id) == (Action.CREATE, "staff", "admin")


@pytest.mark.parametrize("field", ["owner", "name", "tier", "language"])
def test_what_is_missing_is_named_and_nothing_is_made(admin: Client, field: str) -> None:
    words = text_of(create(admin, **{field: ""}))
    assert "This field is required." in words
    assert not Sandbox.objects.exists()


def test_the_room_under_the_cap_is_said_before_the_button(admin: Client) -> None:
    rows.owner(sandbox_limit=3)
    rows.sandbox("one")
    content = admin.get(reverse(ADD), {"owner": "user_alice"}).content.decode()
    assert "1 of 3 sandboxes exist." in content
    assert content.index("3 sandboxes exist") < content.index("</span>Create</button>")


def test_a_full_cap_is_said_before_and_refused_after(admin: Client) -> None:
    rows.owner(sandbox_limit=1)
    rows.sandbox("one")
    assert "At the limit: 1 of 1 sandboxes exist." in text_of(admin.get(reverse(ADD), {"owner": "user_alice"}))
    words = text_of(create(admin))
    assert "At the limit" not in words, "it is said once"
    assert "The owner has 1 of 1 sandboxes. Delete one, or set a higher limit on the owner's page." in words
    assert Sandbox.objects.count() == 1


def test_a_hold_is_said_before_and_refused_after(admin: Client) -> None:
    rows.owner(hold_since=rows.ago(hours=1), hold_reason="abuse")
    before = admin.get(reverse(ADD), {"owner": "user_alice"})
    assert "This owner is on hold: abuse." in text_of(before)
    assert 'id="create" disabled' in before.content.decode()
    assert "The owner is on hold." in text_of(create(admin))
    assert not Sandbox.objects.exists()


def test_what_helps_with_a_field_and_what_is_wrong_with_it_belong_to_it(admin: Client) -> None:
    content = create(admin, owner="", name="", region="x" * 101).content.decode()
    for field, described in (("owner", "helptext error"), ("name", "error"), ("region", "helptext error")):
        (tag,) = re.findall(rf'<input[^>]* name="{field}"[^>]*>', content)
        ids = [f"id_{field}_{part}" for part in described.split()]
        assert f'aria-describedby="{" ".join(ids)}"' in tag
        assert all(f'id="{found}"' in content for found in ids)


def test_the_room_is_asked_for_while_typing_and_makes_no_owner(admin: Client) -> None:
    address = reverse("admin:sandboxes_sandbox_room")
    assert "0 of 5 sandboxes exist" in text_of(admin.get(address, {"owner": "user_new"}))
    assert "This owner is new here." in text_of(admin.get(address, {"owner": "user_new"}))
    assert "Enter an owner" in text_of(admin.get(address))
    assert not Owner.objects.exists()


def test_the_room_is_for_those_who_may_create(viewer: Client) -> None:
    assert viewer.get(reverse("admin:sandboxes_sandbox_room"), {"owner": "user_alice"}).status_code == 403
    assert viewer.post(reverse(ADD), GOOD).status_code == 403
    assert not Sandbox.objects.exists()
