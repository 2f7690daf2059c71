"""Lifecycle policies in the admin: who may say what, and where it is shown what they will do."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from sandboxes.core.vocabulary import Actor, PolicyScope, Rule
from sandboxes.models import AuditEntry, Policy, Sandbox
from sandboxes.services import policies
from tests.admin import members
from tests.admin.pages import page, text_of
from tests.support import rows

pytestmark = pytest.mark.django_db
LIST, ADD = "admin:sandboxes_policy_changelist", "admin:sandboxes_policy_add"
NO_RULES = {f"{rule}_minutes": "" for rule in Rule}


@pytest.fixture
def viewer() -> Client:
    browser = Client()
    browser.force_login(members.member("vera", *members.GROUPS.VIEW, "view_policy"))
    return browser


def say(scope: PolicyScope = PolicyScope.DEFAULT, subject: str = "", **minutes: int) -> Policy:
    said = {Rule(rule): one for rule, one in minutes.items()}
    row = policies.set_policy(scope, subject, said, actor=Actor.staff("bob"))
    policies.apply_all()
    return row


def create(browser: Client, **fields: Any) -> Any:
    form = {"scope": "default", "subject": "", **NO_RULES, "reason": "costs", **fields}
    return browser.post(reverse(ADD), form, follow=True)


def change(browser: Client, row: Policy, **fields: Any) -> Any:
    address = reverse("admin:sandboxes_policy_change", args=[row.pk])
    return browser.post(address, {**NO_RULES, "reason": "costs", **fields}, follow=True)


def remove(browser: Client, row: Policy, **fields: str) -> Any:
    return browser.post(reverse("admin:sandboxes_policy_remove", args=[row.pk]), fields, follow=True)


def idle(name: str = "atlas", of: str = "user_alice", **fields: Any) -> Sandbox:
    since = rows.ago(minutes=30)
    moments = {
        "observed_auto_stop": 0,
        "status_changed_at": since,
        "created_at": since,
        "last_accessed_at": since,
        "intent_at": since,
    }
    return rows.sandbox(name, of=of, **{**moments, **fields})


def test_a_policy_is_created_changed_and_deleted_with_who_and_why(admin: Client) -> None:
    rows.owner("user_alice")
    assert "No rule stops, archives or deletes a sandbox." in text_of(admin.get(reverse(LIST)))
    answer = create(admin, scope="owner", subject="user_alice", idle_stop_minutes="90", expiry_minutes="0")
    assert "The policy of owner user_alice is set." in text_of(answer)
    words = text_of(admin.get(reverse(LIST)))
    assert "owner user_alice Idle stop: 90 min Expiry: never" in words
    row = Policy.objects.get()
    change(admin, row, longest_run_minutes="1440", reason="a demo")
    row.refresh_from_db()
    assert {rule: one for rule, one in row.minutes.items() if one is not None} == {Rule.LONGEST_RUN: 1440}
    assert "What it said: Longest run: 1 d" in text_of(remove(admin, row))
    assert policies.listed(Actor.system("command")).exists()
    assert "It says nothing any more" in text_of(remove(admin, row, confirmed="1"))
    assert not policies.listed(Actor.system("command")).exists()
    told = AuditEntry.objects.filter(action="policy").order_by("pk").values_list("actor", "owner", "reason")
    assert list(told) == [
        ("staff:admin", "user_alice", "costs"), ("staff:admin", "user_alice", "a demo"),
        ("staff:admin", "user_alice", ""),
    ]  # fmt: skip


def test_what_a_new_one_leaves_empty_stays(admin: Client) -> None:
    say(idle_stop=60)
    create(admin, longest_run_minutes="600")
    assert (Policy.objects.get().idle_stop_minutes, Policy.objects.get().longest_run_minutes) == (60, 600)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Say a rule."), ({"idle_stop_minutes": "5", "reason": ""}, "Say why"),
        ({"expiry_minutes": "59"}, "expiry is 0 (never), or 60 to 525600 minutes, a year."),
        ({"idle_stop_minutes": "-1"}, "greater than or equal to 0"),
        ({"idle_stop_minutes": "5", "subject": "x"}, "Leave it empty for all sandboxes."),
        ({"idle_stop_minutes": "5", "scope": "tier", "subject": "huge"}, "There is no tier “huge”."),
        ({"idle_stop_minutes": "5", "scope": "owner", "subject": "nobody"}, "There is no owner “nobody”."),
        ({"idle_stop_minutes": "5", "scope": "sandbox", "subject": "x"}, "No sandbox x."),
    ],
)  # fmt: skip
def test_what_is_not_in_order_is_said(admin: Client, fields: dict[str, str], words: str) -> None:
    assert words in text_of(create(admin, **fields))
    assert not Policy.objects.exists()


def test_a_viewer_sees_and_changes_nothing(viewer: Client) -> None:
    row = say(idle_stop=60)
    box = idle()
    assert reverse(ADD) not in viewer.get(reverse(LIST)).content.decode()
    shown = viewer.get(reverse("admin:sandboxes_policy_change", args=[row.pk]))
    assert "Idle stop: 1 h" in text_of(shown)
    assert "<form method" not in shown.content.decode().partition("sk-facts")[2]
    assert "Own rules" not in text_of(page(viewer, box))
    assert viewer.get(reverse(ADD)).status_code == 403
    for answer in (create(viewer, idle_stop_minutes="5"), change(viewer, row), remove(viewer, row, confirmed="1")):
        assert answer.status_code == 403
    assert Policy.objects.get().idle_stop_minutes == 60


def test_each_page_needs_its_permission() -> None:
    row = say(idle_stop=60)
    addresses = (
        reverse(LIST), reverse("admin:sandboxes_policy_change", args=[row.pk]),
        reverse("admin:sandboxes_policy_preview"),
    )  # fmt: skip
    for codenames, expected in (
        ((), [403, 403, 403]), (("view_policy",), [200, 200, 403]), (("view_policy", "view_sandbox"), [200] * 3),
    ):  # fmt: skip
        browser = Client()
        browser.force_login(members.member(f"mia{len(codenames)}", *codenames))
        assert [browser.get(address).status_code for address in addresses] == expected
    browser.force_login(members.member("cem", "view_policy", "change_policy"))
    assert create(browser, expiry_minutes="600").status_code == 200
    assert Policy.objects.get().expiry_minutes == 600


def test_the_preview_says_who_is_touched_in_that_time(viewer: Client) -> None:
    idle(), idle("later", "user_bob", protected_until=rows.ago(hours=-40))
    say(idle_stop=60)
    words = text_of(viewer.get(reverse("admin:sandboxes_policy_preview")))
    assert "in 30 min atlas user_alice Stop Idle stop by default, 1 h without use" in words
    assert "later" not in words
    far = text_of(viewer.get(reverse("admin:sandboxes_policy_preview"), {"hours": "72"}))
    assert far.index("atlas") < far.index("later")
    nonsense = text_of(viewer.get(reverse("admin:sandboxes_policy_preview"), {"hours": "1e99"}))
    assert "in the next day" in nonsense


def test_a_sandbox_says_what_happens_to_it_by_which_rule(viewer: Client, admin: Client) -> None:
    box = idle(observed_auto_stop=2000)
    assert "Stop in 1 d Daytona's own auto-stop, 2,000 min" in text_of(page(viewer, box))
    say(idle_stop=60, longest_run=600)
    say(PolicyScope.OWNER, "user_alice", longest_run=0, delete_after=6000)
    words = text_of(page(admin, box))
    assert "Stop in 30 min Idle stop by default, 1 h without use" in words
    assert "Longest run never of the owner Delete after 100 h of the owner; not as it is now" in words
    own = f"{reverse(ADD)}?scope=sandbox&amp;subject={box.pk}"
    assert own in page(admin, box).content.decode()


def test_an_owner_has_their_rules_and_what_they_will_do(viewer: Client) -> None:
    idle(), idle("boat", "user_bob")
    say(idle_stop=60, longest_run=600)
    say(PolicyScope.TIER, "basic", longest_run=300)
    say(PolicyScope.OWNER, "user_alice", idle_stop=90)
    words = text_of(viewer.get(reverse("admin:sandboxes_owner_change", args=["user_alice"])))
    assert "atlas Stop Idle stop of the owner, 90 min without use" in words
    assert "boat" not in words
    held = ("Idle stop 90 min of the owner", "Longest run 10 h by default", "Longest run 5 h of the tier basic")
    assert f"Lifecycle rules {' '.join(held)}" in words
