from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from sandboxes.core.codes import NoticeCode
from sandboxes.models import AuditEntry, Orphan
from sandboxes.services import notices
from tests.admin import members
from tests.admin.pages import text_of
from tests.support import rows


def orphan(key: str = "stray", owner: str = "user_bob", **fields: Any) -> Orphan:
    values = {"name": "lost box", "state": "started", "cpu": 2, "memory_gb": 4, "disk_gb": 8, "target": "eu"}
    moments = {"created_at": rows.ago(days=40), "first_seen_at": rows.ago(hours=2), "seen_at": rows.ago(seconds=9)}
    return Orphan.objects.create(daytona_id=key, owner=owner, **{**values, **moments, **fields})


def decide(browser: Client, decision: str, *keys: str, **fields: str) -> Any:
    data = {"_selected_action": keys or ["stray"], "decision": decision, "reason": "it was lost", **fields}
    return browser.post(reverse("admin:sandboxes_orphan_decide"), data, follow=True)


def listing(browser: Client, **query: str) -> str:
    return text_of(browser.get(reverse("admin:sandboxes_orphan_changelist"), query))


def test_the_list_says_what_each_is_and_what_it_takes(admin: Client) -> None:
    orphan()
    orphan("theirs", "", name="theirs")
    words = listing(admin)
    assert "lost box stray user_bob started 2 vCPU, 4 GiB, 8 GiB disk 40 d ago" in words
    assert "theirs theirs help somebody else's started" in words
    assert "lost box" not in listing(admin, which="foreign")


def test_the_notice_leads_there(admin: Client) -> None:
    notices.tell(NoticeCode.ORPHANS, "Daytona has 1 sandbox with an owner that has no row here.")
    content = admin.get(reverse("admin:index")).content.decode()
    assert f'href="{reverse("admin:sandboxes_orphan_changelist")}">Orphans' in content


@pytest.mark.parametrize("decision", ["adopt", "delete"])
def test_a_decision_is_noted_for_the_next_sweep(operator: Client, decision: str) -> None:
    orphan()
    words = text_of(decide(operator, decision, owner="user_bob"))
    assert "Noted: the next sweep carries it out." in words
    row = Orphan.objects.get()
    assert (row.decision, row.decided_by, row.adopt_for, row.reason) == (decision, "staff:otto", "", "it was lost")
    told = AuditEntry.objects.get(action="orphan")
    assert (told.owner, told.reason, told.after) == ("user_bob", "it was lost", {"decision": decision})
    assert "Taken back: nothing is decided." in text_of(decide(operator, ""))
    assert Orphan.objects.get().decision == ""


def test_what_is_ignored_leaves_the_list_until_it_is_asked_for(operator: Client) -> None:
    orphan()
    decide(operator, "ignore")
    assert "lost box" not in listing(operator)
    assert "lost box" in listing(operator, which="ignored")


def test_what_has_no_owner_asks_for_one(operator: Client) -> None:
    orphan(owner="")
    answer = decide(operator, "adopt")
    assert answer.status_code == 400
    assert "Say whose it is: it has no owner by its labels." in answer.content.decode()
    decide(operator, "adopt", owner="user_eve")
    assert Orphan.objects.get().adopt_for == "user_eve"


def test_a_reason_is_needed(operator: Client) -> None:
    orphan()
    assert decide(operator, "delete", reason=" ").status_code == 400
    assert Orphan.objects.get().decision == ""


def test_each_decision_needs_its_permission(viewer: Client) -> None:
    orphan()
    assert "lost box" in listing(viewer)
    for decision in ("adopt", "delete", "ignore", ""):
        assert decide(viewer, decision, owner="user_bob").status_code == 403
    adopter = Client()
    adopter.force_login(members.member("ann", "view_sweep", "add_sandbox"))
    assert decide(adopter, "delete", owner="user_bob").status_code == 403
    assert decide(adopter, "adopt", owner="user_bob").status_code == 200
    nobody = Client()
    nobody.force_login(members.member("nora", "view_sandbox"))
    assert nobody.get(reverse("admin:sandboxes_orphan_changelist")).status_code == 403


def test_what_a_sweep_could_not_do_is_said(admin: Client) -> None:
    orphan(
        decision="adopt",
        decided_by="staff:otto",
        decided_at=rows.ago(),
        message="Convex shows it to 'user_eve': left alone",
    )
    assert "Convex shows it to 'user_eve': left alone" in listing(admin)


def test_several_are_asked_about_on_one_page(operator: Client) -> None:
    for key in ("one", "two"):
        orphan(key, name=key)
    answer = operator.post(reverse("admin:sandboxes_orphan_decide"), {"_selected_action": ["one", "two"]})
    words = text_of(answer)
    assert "Decide about 2 orphans" in words
    assert "one user_bob started 2 vCPU, 4 GiB, 8 GiB disk two user_bob" in words
    assert not Orphan.objects.exclude(decision="").exists()


def test_the_outcome_of_each_is_said_and_follows_the_sweeps(operator: Client) -> None:
    orphan("mine", name="mine")
    orphan("theirs", "", name="theirs")
    words = text_of(decide(operator, "adopt", "mine", "theirs"))
    assert "theirs: Say whose it is: it has no owner by its labels." in words
    assert "Noted: the next sweep carries it out." in words
    assert "mine add_home adopt: by the next sweep staff:otto" in words
    assert "theirs nothing is decided" in words
    Orphan.objects.filter(pk="mine").delete()
    Orphan.objects.filter(pk="theirs").delete()
    rows.sandbox("kept", of="user_bob", daytona_id="mine")
    words = text_of(operator.get(reverse("admin:sandboxes_orphan_decided"), {"ids": ["mine", "theirs"]}))
    assert "kept adopted for user_bob play_circle running" in words
    assert "theirs no orphan any more" in words


def test_none_is_decided_where_none_can_be(operator: Client) -> None:
    orphan("one", "")
    orphan("two", "")
    answer = decide(operator, "delete", "one", "two")
    assert answer.status_code == 400
    assert not Orphan.objects.exclude(decision="").exists()
    assert "None of them is an orphan any more." in text_of(decide(operator, "delete", "nowhere"))


def test_who_may_decide_nothing_sees_no_checkboxes(operator: Client, viewer: Client) -> None:
    orphan()
    address = reverse("admin:sandboxes_orphan_changelist")
    assert 'name="_selected_action"' in operator.get(address).content.decode()
    assert 'name="_selected_action"' not in viewer.get(address).content.decode()
