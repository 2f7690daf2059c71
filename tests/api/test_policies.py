"""Lifecycle policies over REST: who may say what, whose wins, and whom the rules will touch."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sandboxes import clock
from sandboxes.core.vocabulary import Actor, PolicyScope, Rule
from sandboxes.models import AuditEntry, Policy, Sandbox
from sandboxes.services import policies
from tests.admin import members
from tests.api.callers import ALL, Api, problem, program, signed_in
from tests.support import rows

if TYPE_CHECKING:
    from tests.support.issuer import Issuer

pytestmark = pytest.mark.django_db
EVERY = [*ALL, "sandboxes:any"]
RULES = [f"{rule}_minutes" for rule in Rule]


def everybody() -> Api:
    """A program that may act for every owner, and says for none."""
    return program(None, scopes=EVERY)


def say(address: str, **minutes: int | None) -> None:
    scope, _, subject = address.partition(":")
    said = {Rule(rule): one for rule, one in minutes.items()}
    policies.set_policy(PolicyScope(scope), subject, said, actor=Actor.system("command"))


def listed(api: Api, query: str = "") -> list[str]:
    return [one["id"] for one in api.get(f"/policies?order=changed_at{query}").json()["results"]]


def test_a_rule_is_set_read_changed_and_deleted(atlas: Sandbox) -> None:
    api = everybody()
    never = {"id": "owner:alice", "scope": "owner", "subject": "alice", **dict.fromkeys(RULES), "changed_at": None}
    assert api.get("/policies/owner:alice").json() == never
    body = {"idle_stop_minutes": 60, "expiry_minutes": 0, "reason": "long computations"}
    set_ = api.patch("/policies/owner:alice", body)
    assert set_.status_code == 200
    assert set_.json() == api.get("/policies/owner:alice").json()
    assert (set_.json()["idle_stop_minutes"], set_.json()["expiry_minutes"]) == (60, 0)
    assert api.patch("/policies/owner:alice", {"idle_stop_minutes": None}).json()["expiry_minutes"] == 0
    assert listed(api) == ["owner:alice"]
    assert api.delete("/policies/owner:alice").status_code == 204
    assert listed(api) == []
    first, *_, last = AuditEntry.objects.filter(action="policy").order_by("pk")
    assert (first.owner, first.reason, first.before["idle_stop_minutes"], first.after["expiry_minutes"]) == (
        "alice", "long computations", None, 0,
    )  # fmt: skip
    assert first.actor.startswith("service:program")
    assert (last.before["expiry_minutes"], last.after["expiry_minutes"]) == (0, None)


def test_each_scope_has_its_policies_and_the_list_is_narrowed(atlas: Sandbox) -> None:
    api = everybody()
    for address in ("default", "tier:basic", "owner:alice", f"sandbox:{atlas.daytona_id}"):
        assert api.patch(f"/policies/{address}", {"longest_run_minutes": 90}).status_code == 200
    assert listed(api) == ["default", "tier:basic", "owner:alice", f"sandbox:{atlas.pk}"]
    assert listed(api, "&scope=tier&scope=owner") == ["tier:basic", "owner:alice"]
    assert listed(api, "&subject=alice") == ["owner:alice"]


def test_an_owner_whose_id_is_no_word(atlas: Sandbox) -> None:
    owner = "auth0|a b/ü"
    rows.owner(owner)
    answer = everybody().patch(f"/policies/owner:{quote(owner, safe='')}", {"idle_stop_minutes": 5})
    assert (answer.status_code, answer.json()["subject"]) == (200, owner)


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("tier:enormous", "policy_not_found"), ("owner:nobody", "policy_not_found"),
        ("sandbox:x", "sandbox_not_found"), ("defaults", "not_found"), ("owner:", "not_found"),
        ("owner:%00", "not_found"),
    ],
)  # fmt: skip
def test_a_policy_of_nothing_does_not_exist(address: str, code: str) -> None:
    api = everybody()
    for answer in (
        api.get(f"/policies/{address}"),
        api.patch(f"/policies/{address}", {"expiry_minutes": 90}),
        api.delete(f"/policies/{address}"),
    ):
        problem(answer, code)
        assert answer.status_code == 404
    assert not Policy.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"idle_stop_minutes": -1}, "idle_stop_minutes"), ({"expiry_minutes": 59}, "expiry_minutes"),
        ({"delete_after_minutes": 525_601}, "delete_after_minutes"), ({"idle_stop": 5}, "idle_stop"),
        ({"idle_stop_minutes": "5"}, "idle_stop_minutes"),
    ],
)  # fmt: skip
def test_minutes_that_make_no_sense_are_refused_by_name(body: dict[str, Any], field: str) -> None:
    found = problem(everybody().patch("/policies/default", body), "invalid_request")
    assert [one["field"] for one in found["errors"]] == [field]
    assert not Policy.objects.exists()


def test_who_acts_for_one_owner_sees_and_sets_theirs_alone(atlas: Sandbox) -> None:
    bobs = rows.sandbox("boat", of="bob")
    for address in ("default", "owner:alice", "owner:bob", f"sandbox:{atlas.pk}", f"sandbox:{bobs.pk}"):
        say(address, longest_run=90)
    bob = program("bob")
    assert listed(bob) == ["default", "owner:bob", f"sandbox:{bobs.pk}"]
    for address, code in (("owner:alice", "policy_not_found"), (f"sandbox:{atlas.pk}", "sandbox_not_found")):
        foreign, unknown = address, address.replace("alice", "nobody").replace(str(atlas.pk), str(uuid4()))
        for method in ("GET", "PATCH", "DELETE"):
            body = {"expiry_minutes": 0} if method == "PATCH" else None
            answers = [problem(bob.call(method, f"/policies/{one}", body), code) for one in (foreign, unknown)]
            assert answers[0]["status"] == answers[1]["status"] == 404
    assert bob.patch("/policies/owner:bob", {"longest_run_minutes": 30}).status_code == 200
    assert bob.patch(f"/policies/sandbox:{bobs.pk}", {"longest_run_minutes": 30}).status_code == 200
    for address in ("default", "tier:basic"):
        assert bob.get(f"/policies/{address}").status_code == 200
        problem(bob.patch(f"/policies/{address}", {"longest_run_minutes": 30}), "permission_denied")
        problem(bob.delete(f"/policies/{address}"), "permission_denied")
    assert Policy.objects.get(scope="default").longest_run_minutes == 90


def test_an_end_user_reads_and_sets_nothing(atlas: Sandbox, issuer: Issuer) -> None:
    say("owner:alice", longest_run=90)
    alice = Api(Authorization=f"Bearer {issuer.token('alice')}")
    assert listed(alice) == ["owner:alice"]
    for address in ("default", "owner:alice", f"sandbox:{atlas.pk}"):
        problem(alice.patch(f"/policies/{address}", {"longest_run_minutes": 0}), "permission_denied")
        problem(alice.delete(f"/policies/{address}"), "permission_denied")


def test_a_key_needs_the_scope_and_staff_the_permission(atlas: Sandbox) -> None:
    reader = program("alice", scopes=["sandboxes:read"])
    assert reader.get("/policies").status_code == 200
    problem(reader.patch("/policies/owner:alice", {"longest_run_minutes": 0}), "missing_scope")
    problem(program("alice", scopes=["sandboxes:use"]).get("/policies"), "missing_scope")
    problem(signed_in(members.member("nobody")).get("/policies"), "permission_denied")
    viewer = signed_in(members.member("ann", "view_policy"))
    assert viewer.get("/policies").status_code == 200
    problem(viewer.patch("/policies/default", {"longest_run_minutes": 60}), "permission_denied")
    changer = signed_in(members.member("bea", "view_policy", "change_policy"))
    assert changer.patch("/policies/default", {"longest_run_minutes": 60}).json()["changed_by"] == "staff:bea"
    assert "changed_by" not in reader.get("/policies/default").json()


def test_the_most_specific_rule_holds_for_a_sandbox(alice: Api, atlas: Sandbox) -> None:
    say("default", idle_stop=60, longest_run=600, delete_after=6000)
    say("tier:basic", longest_run=300)
    say("owner:alice", idle_stop=0)
    policies.apply_all()
    answer = alice.get(f"/sandboxes/{atlas.pk}/policy").json()
    assert answer["sandbox"] == str(atlas.pk)
    assert [(one["rule"], one["action"], one["minutes"], one["scope"]) for one in answer["rules"]] == [
        ("idle_stop", "stop", 0, "owner"), ("longest_run", "stop", 300, "tier"),
        ("delete_after", "delete", 6000, "default"),
    ]  # fmt: skip
    assert [one["at"] is not None for one in answer["rules"]] == [False, True, False]


def running(name: str, owner: str, *, minutes: int) -> Sandbox:
    """One that has run for so long."""
    since = rows.ago(minutes=minutes)
    return rows.sandbox(name, of=owner, status_changed_at=since, created_at=since, last_accessed_at=since,
        observed_auto_stop=0)  # fmt: skip


def preview(api: Api, query: str = "") -> list[tuple[str, str, str]]:
    lines = api.get(f"/policies/preview?{query}").json()["results"]
    return [(line["name"], line["rule"], line["scope"]) for line in lines]


def test_the_preview_says_whom_rules_will_touch(issuer: Issuer) -> None:
    running("early", "alice", minutes=50), running("late", "bob", minutes=0)
    running("never", "carol", minutes=50)
    say("default", longest_run=120)
    say("owner:carol", longest_run=0)
    policies.apply_all()
    api = everybody()
    assert preview(api, "hours=1.5") == [("early", "longest_run", "default")]
    assert preview(api) == [("early", "longest_run", "default"), ("late", "longest_run", "default")]
    assert preview(api, "owner=bob") == [("late", "longest_run", "default")]
    assert preview(program("bob")) == [("late", "longest_run", "default")]
    assert preview(program("bob"), "owner=alice") == []
    assert preview(Api(Authorization=f"Bearer {issuer.token('alice')}"))[0][0] == "early"
    (line,) = api.get("/policies/preview?owner=alice").json()["results"]
    assert (line["owner"], line["action"], line["minutes"]) == ("alice", "stop", 120)
    early = Sandbox.objects.get(name="early")
    assert line["at"] == alice_stops_at(api, early)


def alice_stops_at(api: Api, row: Sandbox) -> str:
    found: str = api.get(f"/sandboxes/{row.pk}").json()["stops_at"]
    return found


def test_of_an_action_the_first_rule_is_told_and_nothing_after_a_delete(alice: Api) -> None:
    running("atlas", "alice", minutes=10)
    say("default", longest_run=200, idle_stop=100, expiry=150, archive_after=60)
    policies.apply_all()
    assert preview(alice) == [("atlas", "idle_stop", "default"), ("atlas", "expiry", "default")]


def test_the_preview_is_paged_in_a_fixed_number_of_queries() -> None:
    for number in range(5):
        running(f"box{number}", "alice", minutes=50 - number)
    say("default", longest_run=120)
    policies.apply_all()
    api = everybody()
    found, path, counts = [], "/policies/preview?limit=2", set()
    while path:
        with CaptureQueriesContext(connection) as queries:
            page = api.get(path).json()
        counts.add(len(queries))
        found += [line["name"] for line in page["results"]]
        path = (page["next"] or "").partition("/api/v1")[2]
    assert found == [f"box{number}" for number in range(5)]
    assert len(counts - {max(counts)}) <= 1, "a key's first use is written down; nothing else differs"


@pytest.mark.parametrize(
    "query", ["hours=-1", "hours=9000", "hours=x", "hours=nan", "days=1", "limit=0", "order=name"]
)
def test_a_preview_of_nonsense_is_refused(query: str) -> None:
    found = problem(everybody().get(f"/policies/preview?{query}"), "invalid_request")
    assert [one["field"] for one in found["errors"]] == [query.partition("=")[0]]


def test_a_touch_moves_what_the_preview_says(alice: Api, atlas: Sandbox) -> None:
    row = running("used", "alice", minutes=30)
    say("default", idle_stop=60)
    policies.apply_all()
    assert ("used", "idle_stop", "default") in preview(alice, "hours=0.75")
    Sandbox.objects.filter(pk=row.pk).update(last_accessed_at=clock.now() + timedelta(seconds=1))
    assert ("used", "idle_stop", "default") not in preview(alice, "hours=0.75")
