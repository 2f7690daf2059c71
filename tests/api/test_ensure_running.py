from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import timezone

from sandboxes import clock
from sandboxes.core.vocabulary import Action, Actor
from sandboxes.models import Operation, Sandbox
from sandboxes.services import owners, waiting
from tests.api.callers import Api, problem, program
from tests.support import rows
from tests.support.driving import do
from tests.support.worker_thread import working

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import DjangoAssertNumQueries

    from tests.support.emulator import Emulator

pytestmark = pytest.mark.django_db


def test_a_running_sandbox_is_ready_at_once(alice: Api, atlas: Sandbox) -> None:
    before = atlas.last_accessed_at
    answer = alice.post(f"/sandboxes/{atlas.pk}/ensure-running")
    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["status"]) == (str(atlas.pk), "running")
    assert not Operation.objects.exists()
    atlas.refresh_from_db()
    assert before is not None
    assert atlas.last_accessed_at is not None
    assert atlas.last_accessed_at > before, "asking is using"


@pytest.mark.parametrize("named", ["id", "daytona_id"])
def test_it_takes_three_queries(
    alice: Api, atlas: Sandbox, django_assert_max_num_queries: DjangoAssertNumQueries, named: str
) -> None:
    path = f"/sandboxes/{getattr(atlas, named)}/ensure-running"
    alice.post(path)  # writes the key's last use and forwards the first touch
    Sandbox.objects.filter(pk=atlas.pk).update(last_accessed_at=rows.ago(seconds=30))
    with django_assert_max_num_queries(3):  # the key, the sandbox, the touch
        assert alice.post(path).status_code == 200
    with django_assert_max_num_queries(2):  # touched a moment ago
        assert alice.post(path).status_code == 200


def test_an_idle_stop_is_no_wish_so_it_starts(alice: Api) -> None:
    box = rows.sandbox(of="alice", status="stopped", intent="running")
    answer = alice.post(f"/sandboxes/{box.pk}/ensure-running", {"reason": "tool call"})
    assert answer.status_code == 202
    assert answer["Location"]
    assert (answer.json()["action"], answer.json()["reason"]) == ("start", "tool call")
    again = alice.post(f"/sandboxes/{box.pk}/ensure-running")
    assert again.json()["id"] == answer.json()["id"]


def test_an_old_observation_is_looked_at_first(alice: Api, atlas: Sandbox) -> None:
    clock.move(120)
    answer = alice.post(f"/sandboxes/{atlas.pk}/ensure-running")
    assert answer.status_code == 202
    assert answer.json()["action"] == "sync"


@pytest.mark.parametrize("intent", ["stopped", "archived"])
def test_what_a_person_stopped_is_refused_with_who_when_and_why(alice: Api, intent: str) -> None:
    box = rows.sandbox(of="alice", status=intent, intent_reason="lunch")
    found = problem(alice.post(f"/sandboxes/{box.pk}/ensure-running"), "sandbox_stopped_by_user")
    assert (found["stopped_by"], found["stopped_reason"], found["intent"]) == ("owner:alice", "lunch", intent)
    assert found["stopped_at"]
    assert not Operation.objects.exists()


def test_an_owner_on_hold(alice: Api, atlas: Sandbox) -> None:
    owners.hold("alice", actor=Actor.staff("admin"), reason="unpaid")
    Sandbox.objects.filter(pk=atlas.pk).update(intent="running")
    problem(alice.post(f"/sandboxes/{atlas.pk}/ensure-running"), "owner_on_hold")


@pytest.mark.parametrize("fields", [{"status": "gone"}, {"intent": "deleted"}])
def test_what_is_gone_or_going(alice: Api, fields: dict[str, Any]) -> None:
    box = rows.sandbox(of="alice", **fields)
    problem(alice.post(f"/sandboxes/{box.pk}/ensure-running"), "sandbox_gone")


def test_what_cannot_be_recovered(alice: Api) -> None:
    box = rows.sandbox(of="alice", status="error", recoverable=False)
    problem(alice.post(f"/sandboxes/{box.pk}/ensure-running"), "sandbox_unrecoverable")


def test_while_it_is_being_created_the_create_is_joined(alice: Api) -> None:
    create = alice.post("/sandboxes").json()
    answer = alice.post(f"/sandboxes/{create['sandbox']}/ensure-running")
    assert answer.status_code == 202
    assert answer.json()["id"] == create["id"]


@pytest.mark.parametrize("path", ["ensure-running", "touch"])
def test_bodies_ids_and_credentials_are_checked(alice: Api, atlas: Sandbox, path: str) -> None:
    problem(alice.post(f"/sandboxes/{atlas.pk}/{path}", {"force": True}), "invalid_request")
    problem(alice.post(f"/sandboxes/nobody/{path}"), "sandbox_not_found")
    problem(Api().post(f"/sandboxes/{atlas.pk}/{path}"), "unauthenticated")
    reader = program("alice", scopes=["sandboxes:read", "sandboxes:write"])
    problem(reader.post(f"/sandboxes/{atlas.pk}/{path}"), "missing_scope")


# Waiting for it


def test_the_caller_may_wait_until_it_runs(world: Emulator, running: Callable[..., Sandbox]) -> None:
    box = running()
    world.change(box.daytona_id or "", state="stopped", desiredState="stopped")
    do(box, Action.SYNC)
    with working():
        answer = program("alice").post(f"/sandboxes/{box.pk}/ensure-running", Prefer="wait=20")
    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["status"]) == (str(box.pk), "running")
    assert answer["Preference-Applied"] == "wait=20"


def test_a_look_that_shows_it_stopped_leads_to_a_start(world: Emulator, running: Callable[..., Sandbox]) -> None:
    box = running()
    world.change(box.daytona_id or "", state="stopped", desiredState="stopped")
    Sandbox.objects.filter(pk=box.pk).update(observed_at=timezone.now() - timedelta(minutes=5))
    with working():
        answer = program("alice").post(f"/sandboxes/{box.pk}/ensure-running", Prefer="wait=20")
    assert (answer.status_code, answer.json()["status"]) == (200, "running")
    actions = Operation.objects.filter(sandbox=box).order_by("created_at").values_list("action", flat=True)
    assert list(actions) == ["create", "sync", "start"]


@pytest.mark.parametrize(("state", "status"), [("started", 200), ("stopped", 202)])
def test_a_look_that_ends_with_the_wait_is_answered_by_what_it_showed(
    world: Emulator, running: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch, state: str, status: int
) -> None:
    """202 is for what goes on: never with an operation that has succeeded."""
    box = running()
    world.change(box.daytona_id or "", state=state)
    Sandbox.objects.filter(pk=box.pk).update(observed_at=timezone.now() - timedelta(minutes=5))
    monkeypatch.setattr(waiting, "FIRST_PAUSE", 2.0)
    with working():
        answer = program("alice").post(f"/sandboxes/{box.pk}/ensure-running", Prefer="wait=1")
    assert answer.status_code == status
    assert answer.json()["status"] in ("running", "queued", "in_progress")


def test_looks_that_show_nothing_new_are_made_less_and_less_often(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    box = running()
    world.change(box.daytona_id or "", state="hibernating", desiredState="hibernating")
    do(box, Action.SYNC)
    before = box.events.count()
    with working():
        answer = program("alice").post(f"/sandboxes/{box.pk}/ensure-running", Prefer="wait=1")
    assert answer.status_code == 202
    assert Operation.objects.filter(sandbox=box, action="sync").count() <= 5
    assert box.events.count() == before


def test_a_start_that_fails_is_the_problem_of_its_code(world: Emulator, running: Callable[..., Sandbox]) -> None:
    box = running()
    world.change(box.daytona_id or "", state="error", errorReason="disk died on 10.4.2.9", recoverable=False)
    Sandbox.objects.filter(pk=box.pk).update(observed_at=timezone.now() - timedelta(minutes=5))
    with working():
        answer = program("alice").post(f"/sandboxes/{box.pk}/ensure-running", Prefer="wait=20")
    problem(answer, "sandbox_unrecoverable")
    assert "10.4.2.9" not in answer.content.decode()


# Touching


def test_a_touch_records_use(alice: Api, atlas: Sandbox) -> None:
    before = atlas.last_accessed_at
    answer = alice.post(f"/sandboxes/{atlas.daytona_id}/touch")
    assert (answer.status_code, answer.content) == (204, b"")
    atlas.refresh_from_db()
    assert before is not None
    assert atlas.last_accessed_at is not None
    assert atlas.last_accessed_at > before


def test_a_touch_of_what_is_gone(alice: Api) -> None:
    problem(alice.post(f"/sandboxes/{rows.sandbox(of='alice', status='gone').pk}/touch"), "sandbox_gone")


def test_a_touch_while_an_operation_runs(alice: Api, atlas: Sandbox) -> None:
    rows.operation(atlas, "stop", "in_progress")
    assert alice.post(f"/sandboxes/{atlas.pk}/touch").status_code == 204
