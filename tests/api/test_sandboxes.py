from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from sandboxes.models import Operation, Sandbox
from sandboxes.services import owners
from sandboxes.states import Actor
from tests.api.callers import Api, problem
from tests.support import rows

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
    assert (found["used"], found["limit"]) == (1, 1)
    assert Sandbox.objects.count() == 1


def test_an_owner_on_hold_creates_nothing(alice: Api) -> None:
    owners.hold("alice", actor=Actor.staff("admin"), reason="unpaid")
    problem(alice.post("/sandboxes"), "owner_on_hold")


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
