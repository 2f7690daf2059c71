from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.admin import members
from tests.api.callers import ALL, Api, problem, program, signed_in
from tests.support import rows

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db


def test_what_is_in_use_is_summed_per_region_and_class(alice: Api) -> None:
    rows.sandbox("a", of="alice", cpu=2, memory_gb=4)
    rows.sandbox("b", of="bob", cpu=4, memory_gb=8)
    rows.sandbox("c", of="alice", status="stopping", cpu=1, memory_gb=1)
    rows.sandbox("rests", of="alice", status="stopped", cpu=16)
    rows.sandbox("far", of="bob", target="us")
    assert alice.get("/capacity").json()["in_use"] == [
        {
            "target": "eu", "sandbox_class": "container", "sandboxes": 3, "in_use_cpu": 7, "in_use_memory_gb": 13,
            "own_sandboxes": 2, "own_cpu": 3, "own_memory_gb": 5,
        },
        {
            "target": "us", "sandbox_class": "container", "sandboxes": 1, "in_use_cpu": 1, "in_use_memory_gb": 1,
            "own_sandboxes": 0, "own_cpu": 0, "own_memory_gb": 0,
        },
    ]  # fmt: skip


def test_nothing_in_use(alice: Api) -> None:
    assert alice.get("/capacity").json() == {
        "owner": {"id": "alice", "used": 0, "limit": 5, "on_hold": False, "hold_reason": ""},
        "in_use": [], "last_refusal": None, "next": {"own": [], "others": {}},
        "next_archived": {"own": [], "others": {}},
    }  # fmt: skip


def test_it_says_of_the_owner_what_the_owner_may_have(alice: Api) -> None:
    rows.sandbox("a", of="alice")
    shown = alice.get("/capacity").json()["owner"]
    in_full = alice.get("/owners/me").json()
    assert shown == {name: in_full[name] for name in shown}
    assert (shown["id"], shown["used"]) == ("alice", 1)
    every = program(None, scopes=[*ALL, "sandboxes:any"])
    assert every.get("/capacity").json()["owner"] is None


def test_the_last_refusal_of_ones_own(alice: Api) -> None:
    box, his = rows.sandbox("a", of="alice"), rows.sandbox("b", of="bob")
    rows.operation(box, "start", "failed", code="capacity_exhausted", at=rows.ago(hours=2))
    mine = rows.operation(box, "start", "failed", code="quota_too_small", at=rows.ago(hours=1))
    rows.operation(box, "start", "failed", code="timeout")
    latest = rows.operation(his, "start", "failed", code="capacity_exhausted")
    assert alice.get("/capacity").json()["last_refusal"]["id"] == str(mine.pk)
    every = program(None, scopes=[*ALL, "sandboxes:any"])
    assert every.get("/capacity").json()["last_refusal"]["id"] == str(latest.pk)


def test_who_is_next_and_why(alice: Api, settings: Settings) -> None:
    settings.EVICTION_SCOPE = "organization"
    settings.EVICTION_MIN_IDLE = 120
    wanted = rows.sandbox("wanted", of="alice", status="stopped", intent="running")
    rows.sandbox("idle", of="alice", last_accessed_at=rows.ago(hours=2))
    rows.sandbox("busy", of="alice", last_accessed_at=rows.ago(seconds=5))
    rows.sandbox("bobs", of="bob", last_accessed_at=rows.ago(hours=5))
    rows.sandbox("brief", of="bob", ephemeral=True, last_accessed_at=rows.ago(hours=6))
    shown = alice.get(f"/capacity?sandbox={wanted.pk}")
    ranked = shown.json()["next"]
    assert [(line["name"], line["broken"]) for line in ranked["own"]] == [("idle", []), ("busy", ["idle"])]
    assert ranked["others"] == {"may_be_stopped": 1, "survives_a_stop": 1}
    assert "bob" not in shown.content.decode()


def test_a_key_for_any_owner_sees_others_only_while_it_acts_for_nobody(settings: Settings) -> None:
    settings.EVICTION_SCOPE = "organization"
    wanted = rows.sandbox("wanted", of="alice", status="stopped", intent="running")
    rows.sandbox("hers", of="alice", last_accessed_at=rows.ago(hours=2))
    rows.sandbox("bobs", of="bob", last_accessed_at=rows.ago(hours=5))
    scopes = [*ALL, "sandboxes:any"]
    shown = program("alice", scopes=scopes).get(f"/capacity?sandbox={wanted.pk}")
    assert [line["name"] for line in shown.json()["next"]["own"]] == ["hers"]
    assert shown.json()["next"]["others"] == {"may_be_stopped": 1}
    assert "bob" not in shown.content.decode()
    every = program(None, scopes=scopes).get(f"/capacity?sandbox={wanted.pk}").json()["next"]
    assert [line["name"] for line in every["own"]] == ["hers", "bobs"]


def test_staff_see_every_candidate(settings: Settings) -> None:
    settings.EVICTION_SCOPE = "organization"
    wanted = rows.sandbox("wanted", of="alice", status="stopped")
    rows.sandbox("bobs", of="bob", last_accessed_at=rows.ago(hours=5))
    ranked = signed_in(members.viewer()).get(f"/capacity?sandbox={wanted.daytona_id}").json()["next"]
    assert [line["name"] for line in ranked["own"]] == ["bobs"]
    assert ranked["others"] == {}


def test_for_a_new_sandbox_in_a_region(alice: Api) -> None:
    rows.sandbox("here", of="alice", target="eu")
    assert [line["name"] for line in alice.get("/capacity?target=eu").json()["next"]["own"]] == ["here"]
    assert alice.get("/capacity?target=us").json()["next"]["own"] == []


@pytest.mark.parametrize("query", ["region=eu", "target=a%20b", "sandbox="])
def test_a_query_that_does_not_fit(alice: Api, query: str) -> None:
    problem(alice.get(f"/capacity?{query}"), "invalid_request")


def test_who_would_be_archived_for_disk(alice: Api, settings: Settings) -> None:
    rows.sandbox("rests", of="alice", status="stopped", last_accessed_at=rows.ago(hours=2))
    rows.sandbox("runs", of="alice", last_accessed_at=rows.ago(hours=3))
    rows.sandbox("bobs", of="bob", status="stopped", last_accessed_at=rows.ago(hours=5))
    assert alice.get("/capacity?target=eu").json()["next_archived"] == {"own": [], "others": {}}
    settings.EVICTION_DISK_SCOPE = "organization"
    ranked = alice.get("/capacity?target=eu").json()["next_archived"]
    assert [(line["name"], line["broken"]) for line in ranked["own"]] == [("runs", ["stopped"]), ("rests", [])]
    assert ranked["others"] == {"may_be_archived": 1}
