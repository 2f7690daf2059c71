from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from sandboxes.core.vocabulary import Actor
from sandboxes.models import Operation, Sandbox
from sandboxes.services import owners
from tests.api.callers import Api, problem
from tests.support import rows

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db

# Creating


def test_a_sandbox_is_created_as_asked(alice: Api) -> None:
    body: dict[str, Any] = {
        "name": "Research box", "tier": "standard", "language": "typescript", "harness_id": "h1", "target": "eu",
        "git_repo": "https://example.com/repo.git", "auto_stop_minutes": 30, "auto_archive_minutes": 60,
        "auto_delete_minutes": -1, "reason": "a chat began",
    }  # fmt: skip
    answer = alice.post("/sandboxes", body)
    assert answer.status_code == 202
    operation = answer.json()
    assert answer["Location"] == f"/api/v1/operations/{operation['id']}"
    assert (operation["action"], operation["owner"], operation["reason"]) == ("create", "alice", "a chat began")
    shown = alice.get(f"/sandboxes/{operation['sandbox']}").json()
    assert {name: shown[name] for name in body if name != "reason"} == {
        k: v for k, v in body.items() if k != "reason"
    }
    assert shown["resources"] == {"cpu": 2, "memory_gb": 4, "disk_gb": 8}
    assert (shown["status"], shown["intent"], shown["daytona_id"]) == ("creating", "running", None)
    assert shown["intent_set"]["by"].startswith("service:")
    assert shown["operation"]["id"] == operation["id"]


def test_an_empty_body_creates_a_sandbox_of_the_defaults(alice: Api) -> None:
    operation = alice.post("/sandboxes").json()
    shown = alice.get(f"/sandboxes/{operation['sandbox']}").json()
    assert (shown["name"], shown["tier"], shown["language"], shown["ephemeral"]) == (
        "sandbox",
        "basic",
        "python",
        False,
    )


def test_the_cap_refuses_with_its_numbers(alice: Api, settings: Settings) -> None:
    settings.SANDBOXES_PER_OWNER = 1
    assert alice.post("/sandboxes").status_code == 202
    found = problem(alice.post("/sandboxes"), "sandbox_limit_reached")
    assert (found["used"], found["limit"], found["on_hold"], found["hold_reason"]) == (1, 1, False, "")
    assert Sandbox.objects.count() == 1


def test_an_owner_on_hold_creates_nothing(alice: Api) -> None:
    owners.hold("alice", actor=Actor.staff("admin"), reason="unpaid")
    found = problem(alice.post("/sandboxes"), "owner_on_hold")
    assert (found["used"], found["limit"], found["on_hold"], found["hold_reason"]) == (0, 5, True, "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 201),
        ("name", "nul\x00"),
        ("name", None),
        ("tier", "huge"),
        ("language", "cobol"),
        ("target", "a b"),
        ("ephemeral", "perhaps"),
        ("auto_stop_minutes", -1),
        ("auto_stop_minutes", 10**30),
        ("auto_stop_minutes", "soon"),
        ("auto_delete_minutes", -2),
        ("auto_delete_minutes", 0),
        ("git_repo", "x" * 501),
        ("owner", "bob"),
    ],
)
def test_a_field_that_does_not_fit_is_named(alice: Api, field: str, value: Any) -> None:
    found = problem(alice.post("/sandboxes", {field: value}), "invalid_request")
    assert [error["field"] for error in found["errors"]] == [field]
    assert not Sandbox.objects.exists()


@pytest.mark.parametrize("minutes", [0, 60])
def test_an_ephemeral_sandbox_has_no_auto_delete_of_its_own(alice: Api, minutes: int) -> None:
    found = problem(
        alice.post("/sandboxes", {"ephemeral": True, "auto_delete_minutes": minutes}), "invalid_request"
    )
    assert [error["field"] for error in found["errors"]] == ["auto_delete_minutes"]
    assert alice.post("/sandboxes", {"ephemeral": True, "auto_delete_minutes": -1}).status_code == 202
    assert Sandbox.objects.get().auto_delete_minutes == 0


def test_no_region_is_ours(alice: Api, settings: Settings) -> None:
    settings.DAYTONA_TARGET = "eu"
    assert alice.post("/sandboxes", {"target": ""}).status_code == 202
    assert Sandbox.objects.get().target == "eu"


def test_creating_without_credentials() -> None:
    problem(Api().post("/sandboxes", {}), "unauthenticated")


# Looking


def test_a_sandbox_is_shown_whole(alice: Api, atlas: Sandbox) -> None:
    shown = alice.get(f"/sandboxes/{atlas.pk}").json()
    assert shown["id"] == str(atlas.pk)
    assert shown["daytona_id"] == atlas.daytona_id
    assert shown["operation"] is None
    assert "start" in shown["allowed_actions"]
    assert alice.get(f"/sandboxes/{atlas.daytona_id}").json() == shown


def test_the_active_operation_is_shown(alice: Api, atlas: Sandbox) -> None:
    operation = rows.operation(atlas, "stop", "in_progress")
    assert alice.get(f"/sandboxes/{atlas.pk}").json()["operation"]["id"] == str(operation.pk)
    assert alice.get("/sandboxes").json()["results"][0]["operation"]["id"] == str(operation.pk)


def test_a_sandbox_that_is_gone_can_still_be_looked_at(alice: Api) -> None:
    box = rows.sandbox(of="alice", status="gone")
    shown = alice.get(f"/sandboxes/{box.pk}").json()
    assert (shown["status"], shown["allowed_actions"]) == ("gone", [])


# Changing


def test_a_patch_changes_what_it_names_and_nothing_else(alice: Api, atlas: Sandbox) -> None:
    until = (timezone.now() + timedelta(hours=1)).replace(microsecond=0)
    body = {"name": "renamed", "auto_stop_minutes": 0, "protected_until": until.isoformat(), "reason": "demo"}
    shown = alice.patch(f"/sandboxes/{atlas.pk}", body).json()
    assert (shown["name"], shown["auto_stop_minutes"], shown["protected_reason"]) == ("renamed", 0, "demo")
    assert (shown["auto_archive_minutes"], shown["auto_delete_minutes"]) == (10080, -1)
    atlas.refresh_from_db()
    assert atlas.protected_until == until
    assert atlas.pending_changes == {"harness_name": {"value": "renamed"}, "auto_stop": {"value": 0}}
    assert not Operation.objects.exists()


PATCHABLE = ("name", "auto_stop_minutes", "auto_archive_minutes", "auto_delete_minutes", "protected_until")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"ephemeral": True},
        {"auto_stop_minutes": None, "auto_archive_minutes": None, "auto_delete_minutes": None},
        {"auto_archive_minutes": 10_080, "observed_auto_archive": 43_200, "observed_auto_delete": 1},
        {"protected_until": rows.ago(days=1), "protected_reason": "demo"},
        {"protected_until": rows.ago(days=-300), "protected_reason": "staff said so"},
    ],
)
def test_what_a_get_gave_is_accepted_back_and_changes_nothing(alice: Api, fields: dict[str, Any]) -> None:
    box = rows.sandbox(of="alice", **fields)
    before = alice.get(f"/sandboxes/{box.pk}").json()
    answer = alice.patch(f"/sandboxes/{box.pk}", {name: before[name] for name in PATCHABLE})
    assert answer.status_code == 200, answer.json()
    unmoved = {**before, "updated_at": answer.json()["updated_at"]}
    assert answer.json() == unmoved
    box.refresh_from_db()
    assert box.pending_changes == {}
    assert not box.events.exists()


def test_what_daytona_holds_otherwise_is_shown_and_can_be_told_again(alice: Api) -> None:
    box = rows.sandbox(of="alice", observed_auto_delete=1)
    shown = alice.get(f"/sandboxes/{box.pk}").json()
    assert (shown["auto_delete_minutes"], shown["observed"]["auto_delete_minutes"]) == (-1, 1)
    assert shown["differences"] == [{"field": "auto_delete_minutes", "asked": -1, "observed": 1, "pending": False}]
    assert "stop" not in shown["allowed_actions"]
    found = problem(alice.post(f"/sandboxes/{box.pk}/stop"), "auto_delete_would_destroy")
    assert "1 min after it stops" in found["detail"]
    assert "force" in found["remedy"]
    (difference,) = alice.patch(f"/sandboxes/{box.pk}", {"reapply": True}).json()["differences"]
    assert difference["pending"]
    assert alice.post(f"/sandboxes/{box.pk}/stop", {"force": True}).status_code == 202


def test_null_takes_what_daytona_holds(alice: Api) -> None:
    box = rows.sandbox(of="alice", observed_auto_stop=99)
    shown = alice.patch(f"/sandboxes/{box.pk}", {"auto_stop_minutes": None}).json()
    assert (shown["auto_stop_minutes"], shown["observed"]["auto_stop_minutes"], shown["differences"]) == (
        None,
        99,
        [],
    )


def test_the_limit_of_an_interval_is_said(alice: Api, atlas: Sandbox) -> None:
    for answer in (
        alice.patch(f"/sandboxes/{atlas.pk}", {"auto_archive_minutes": 525_600}),
        alice.post("/sandboxes", {"auto_archive_minutes": 525_600}),
    ):
        (error,) = problem(answer, "invalid_request")["errors"]
        assert error["field"] == "auto_archive_minutes"
        assert "43200 minutes, 30 days" in error["message"]


def test_as_late_as_possible_is_the_latest_that_daytona_knows(alice: Api, atlas: Sandbox) -> None:
    assert (
        alice.patch(f"/sandboxes/{atlas.pk}", {"auto_archive_minutes": 0}).json()["auto_archive_minutes"] == 43_200
    )


@pytest.mark.parametrize("days", [-1, 31])
def test_a_protection_ends_within_a_month(alice: Api, atlas: Sandbox, days: int) -> None:
    body = {"protected_until": rows.ago(days=-days).isoformat()}
    (error,) = problem(alice.patch(f"/sandboxes/{atlas.pk}", body), "invalid_request")["errors"]
    assert error["field"] == "protected_until"


def test_null_lifts_the_protection(alice: Api) -> None:
    box = rows.sandbox(of="alice", protected_until=timezone.now() + timedelta(hours=1), protected_reason="demo")
    assert alice.patch(f"/sandboxes/{box.pk}", {"protected_until": None}).json()["protected_until"] is None


def test_an_empty_patch_changes_nothing(alice: Api, atlas: Sandbox) -> None:
    before = alice.get(f"/sandboxes/{atlas.pk}").json()
    assert alice.patch(f"/sandboxes/{atlas.pk}", {}).json() == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"auto_stop_minutes": -1}, "auto_stop_minutes"),
        ({"auto_delete_minutes": -2}, "auto_delete_minutes"),
        ({"auto_delete_minutes": 0}, "auto_delete_minutes"),
        ({"protected_until": "tomorrow"}, "protected_until"),
        ({"status": "running"}, "status"),
    ],
)
def test_a_change_that_does_not_fit_is_named(alice: Api, atlas: Sandbox, body: dict[str, Any], field: str) -> None:
    found = problem(alice.patch(f"/sandboxes/{atlas.pk}", body), "invalid_request")
    assert [error["field"] for error in found["errors"]] == [field]


def test_the_auto_delete_of_an_ephemeral_sandbox_is_not_changed(alice: Api) -> None:
    box = rows.sandbox(of="alice", ephemeral=True)
    found = problem(alice.patch(f"/sandboxes/{box.pk}", {"auto_delete_minutes": 60}), "invalid_request")
    assert [error["field"] for error in found["errors"]] == ["auto_delete_minutes"]


def test_a_patch_is_all_or_nothing(alice: Api, atlas: Sandbox) -> None:
    problem(alice.patch(f"/sandboxes/{atlas.pk}", {"name": "new", "auto_delete_minutes": 0}), "invalid_request")
    atlas.refresh_from_db()
    assert atlas.name == "atlas"


def test_a_patch_while_an_operation_runs(alice: Api, atlas: Sandbox) -> None:
    rows.operation(atlas, "stop", "in_progress")
    assert alice.patch(f"/sandboxes/{atlas.pk}", {"name": "renamed"}).json()["name"] == "renamed"


def test_what_is_gone_is_not_changed(alice: Api) -> None:
    box = rows.sandbox(of="alice", status="gone")
    problem(alice.patch(f"/sandboxes/{box.pk}", {"name": "new"}), "sandbox_gone")
