from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Action, Actor, Intent, Source, Status
from sandboxes.models import Operation, Owner
from sandboxes.services import intent
from tests.admin.pages import text_of
from tests.support import rows

if TYPE_CHECKING:
    from django.test import Client


def post(browser: Client, name: str, owner: str = "user_alice", **fields: str) -> Any:
    return browser.post(reverse(f"admin:sandboxes_owner_{name}", args=[owner]), fields, follow=True)


def shown(browser: Client, owner: str = "user_alice") -> str:
    return text_of(browser.get(reverse("admin:sandboxes_owner_change", args=[owner])))


def test_the_page_shows_sandboxes_and_how_much_of_the_cap_is_used(admin: Client) -> None:
    rows.sandbox("atlas")
    rows.sandbox("gone before", status=Status.GONE)
    words = shown(admin)
    assert "1 of 5 the default" in words
    assert "atlas" in words
    assert "gone before" not in words


def test_a_hold_first_names_what_it_stops(admin: Client) -> None:
    rows.sandbox("runs")
    rows.sandbox("rests", status=Status.STOPPED)
    rows.sandbox("fleeting", ephemeral=True)
    rows.sandbox("doomed", observed_auto_delete=60)
    words = text_of(post(admin, "hold"))
    assert "Stopping 1 sandbox " in words
    assert "runs" in words
    assert "rests" not in words
    destroyed = words.split("A stop would destroy 2 within a day")[1]
    assert "fleeting" in destroyed
    assert "doomed" in destroyed
    assert not Owner.objects.get().on_hold


def test_a_hold_does_not_name_what_is_being_deleted(admin: Client) -> None:
    rows.sandbox("doomed", status=Status.STOPPING, intent=Intent.DELETED, intent_met_at=None)
    words = text_of(post(admin, "hold"))
    assert "doomed" not in words
    assert "On hold; nothing had to be stopped." in text_of(post(admin, "hold", confirmed="1", reason="abuse"))


def test_a_hold_stops_all_and_refuses_programs_until_it_is_lifted(admin: Client) -> None:
    row = rows.sandbox("runs")
    words = text_of(post(admin, "hold", confirmed="1", reason="mining coins"))
    assert "On hold; 1 sandbox will stop." in words
    assert "by staff:admin: “mining coins”" in words
    assert Operation.objects.get().action == Action.STOP
    Operation.objects.all().delete()
    row.intent = "running"
    row.save()
    with pytest.raises(Refused) as refused:
        intent.ensure_running(row.pk, actor=Actor.owner("user_alice"), source=Source.API)
    assert refused.value.code == Code.OWNER_ON_HOLD
    assert "The hold is lifted." in text_of(post(admin, "lift"))
    assert not Owner.objects.get().on_hold


def test_a_hold_leaves_ephemeral_ones_running_unless_agreed(admin: Client) -> None:
    rows.sandbox("fleeting", ephemeral=True)
    post(admin, "hold", confirmed="1", reason="abuse")
    assert not Operation.objects.exists()
    post(admin, "hold", confirmed="1", reason="abuse", destroy="on")
    assert Operation.objects.get().parameters == {"force": True}


def test_a_hold_without_a_reason_asks_again(admin: Client) -> None:
    rows.owner()
    assert "Say why" in text_of(post(admin, "hold", confirmed="1", reason=""))
    assert not Owner.objects.get().on_hold


def test_a_limit_of_their_own_takes_a_reason(admin: Client) -> None:
    rows.owner()
    assert post(admin, "limit", limit="9", reason="").status_code == 400
    assert Owner.objects.get().sandbox_limit is None
    words = text_of(post(admin, "limit", limit="9", reason="paying customer"))
    assert "0 of 9 own limit. staff:admin: paying customer" in words
    text_of(post(admin, "limit", limit="", reason="no longer"))
    assert Owner.objects.get().sandbox_limit is None


@pytest.mark.parametrize("limit", ["-1", "many", "99999999"])
def test_a_limit_that_is_no_number_is_refused(admin: Client, limit: str) -> None:
    rows.owner()
    assert post(admin, "limit", limit=limit, reason="why not").status_code == 400
    assert Owner.objects.get().sandbox_limit is None


@pytest.mark.parametrize("name", ["hold", "lift", "limit"])
def test_a_get_changes_nothing(admin: Client, name: str) -> None:
    rows.owner()
    answer = admin.get(reverse(f"admin:sandboxes_owner_{name}", args=["user_alice"]), {"confirmed": "1"})
    assert answer.headers["Location"] == reverse("admin:sandboxes_owner_change", args=["user_alice"])


def test_while_on_hold_nothing_can_be_created(admin: Client) -> None:
    rows.owner(hold_since=rows.ago(hours=1), hold_reason="abuse")
    content = admin.get(reverse("admin:sandboxes_owner_change", args=["user_alice"])).content.decode()
    assert 'data-why="Lift the hold first."' in content
    assert "add/?owner=user_alice" not in content


def test_an_owner_with_an_odd_id_has_a_page(admin: Client) -> None:
    odd = "auth0|5f7c/8 é_2F"
    rows.sandbox("atlas", of=odd)
    listed = admin.get(reverse("admin:sandboxes_sandbox_changelist")).content.decode()
    address = listed.split('<a class="sk-plain sk-name" href="')[1].split('"')[0]
    words = text_of(admin.get(address))
    assert odd in words
    assert "atlas" in words
    form = admin.get(address).content.decode().split('id="hold"')[0].rsplit('action="', 1)[1].split('"')[0]
    assert "Put on hold" in text_of(admin.post(form))


def test_an_unknown_owner_is_not_found(admin: Client) -> None:
    assert admin.get(reverse("admin:sandboxes_owner_change", args=["nobody"])).status_code == 404


def test_the_list_counts_for_its_own_page_only_and_finds_by_the_start_of_an_id(admin: Client) -> None:
    for number in range(30):
        rows.sandbox(of=f"user_{number}")
    rows.sandbox("second", of="user_7", status=Status.STOPPED)
    address = reverse("admin:sandboxes_owner_changelist")
    with CaptureQueriesContext(connection) as queries:
        admin.get(address)
    assert len(queries) <= 12
    words = text_of(admin.get(address, {"q": "user_7"}))
    assert "2 of 5, 1 running" in words
    assert "user_8" not in words


def test_owners_on_hold_can_be_filtered(admin: Client) -> None:
    rows.owner("held", hold_since=rows.ago(hours=1))
    rows.owner("free")
    found = admin.get(reverse("admin:sandboxes_owner_changelist"), {"hold": "yes"}).context["cl"].result_list
    assert [owner.pk for owner in found] == ["held"]
