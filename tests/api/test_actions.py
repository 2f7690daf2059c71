from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from sandboxes.core.vocabulary import Actor, Status
from sandboxes.models import Operation, Sandbox
from sandboxes.services import owners
from tests.api.callers import Api, problem
from tests.support import rows

pytestmark = pytest.mark.django_db

STATUS_FOR = {"start": "stopped", "stop": "running", "archive": "stopped", "recover": "error", "sync": "running"}
INTENT_AFTER = {
    "start": "running",
    "stop": "stopped",
    "archive": "archived",
    "recover": "running",
    "sync": "running",
}
ACTIONS = list(STATUS_FOR)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_is_accepted_with_its_operation(alice: Api, action: str) -> None:
    box = rows.sandbox(of="alice", status=STATUS_FOR[action], recoverable=True)
    answer = alice.post(f"/sandboxes/{box.pk}/{action}", {"reason": "because"})
    assert answer.status_code == 202
    shown = answer.json()
    assert answer["Location"] == f"/api/v1/operations/{shown['id']}"
    assert (shown["action"], shown["status"], shown["reason"]) == (action, "queued", "because")
    assert shown["actor"].startswith("service:program")
    operation = Operation.objects.get(pk=shown["id"])
    assert operation.source == "api"
    box.refresh_from_db()
    assert box.intent == INTENT_AFTER[action]
    assert alice.get(f"/operations/{shown['id']}").json()["id"] == shown["id"]


@pytest.mark.parametrize("action", ACTIONS)
def test_daytonas_id_is_as_good(alice: Api, action: str) -> None:
    box = rows.sandbox(of="alice", status=STATUS_FOR[action], recoverable=True)
    answer = alice.post(f"/sandboxes/{box.daytona_id}/{action}")
    assert answer.status_code == 202
    assert answer.json()["sandbox"] == str(box.pk)


@pytest.mark.parametrize("action", ACTIONS)
def test_the_same_again_is_the_same_operation(alice: Api, action: str) -> None:
    box = rows.sandbox(of="alice", status=STATUS_FOR[action], recoverable=True)
    first, second = (alice.post(f"/sandboxes/{box.pk}/{action}").json() for _ in range(2))
    assert first["id"] == second["id"]
    assert Operation.objects.filter(sandbox=box).count() == 1


def test_another_action_supersedes_the_active_one(alice: Api, atlas: Sandbox) -> None:
    stop = alice.post(f"/sandboxes/{atlas.pk}/stop").json()
    start = alice.post(f"/sandboxes/{atlas.pk}/start").json()
    old = alice.get(f"/operations/{stop['id']}").json()
    assert (old["status"], old["code"]) == ("cancelled", "superseded")
    assert old["remedy"]
    assert start["status"] == "queued"


def test_sync_leaves_an_active_operation_alone(alice: Api, atlas: Sandbox) -> None:
    stop = alice.post(f"/sandboxes/{atlas.pk}/stop").json()
    assert alice.post(f"/sandboxes/{atlas.pk}/sync").json()["id"] == stop["id"]


@pytest.mark.parametrize("action", ["start", "stop", "archive", "recover"])
def test_nothing_supersedes_a_delete(alice: Api, atlas: Sandbox, action: str) -> None:
    delete = alice.delete(f"/sandboxes/{atlas.pk}").json()
    found = problem(alice.post(f"/sandboxes/{atlas.pk}/{action}"), "sandbox_deleting")
    assert found["blocking_operation"] == delete["id"]
    assert found["intent"] == "deleted"
    assert "delete" in found["allowed_actions"]


@pytest.mark.parametrize("action", ["stop", "archive", "recover"])
def test_a_create_is_waited_for(alice: Api, action: str) -> None:
    create = alice.post("/sandboxes", {}).json()
    found = problem(alice.post(f"/sandboxes/{create['sandbox']}/{action}"), "sandbox_creating")
    assert found["blocking_operation"] == create["id"]


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_gone_stays_gone(alice: Api, action: str) -> None:
    box = rows.sandbox(of="alice", status="gone")
    answer = alice.post(f"/sandboxes/{box.pk}/{action}")
    problem(answer, "sandbox_gone")
    assert answer.status_code == 410


@pytest.mark.parametrize("status", [*Status])
@pytest.mark.parametrize("fields", [{}, {"recoverable": True}, {"ephemeral": True}, {"observed_auto_delete": 5}])
def test_allowed_actions_are_those_that_are_accepted(alice: Api, status: Status, fields: dict[str, Any]) -> None:
    box = rows.sandbox(of="alice", status=status, **fields)
    allowed = alice.get(f"/sandboxes/{box.pk}").json()["allowed_actions"]
    accepted = []
    for action in ("start", "stop", "restart", "archive", "delete", "recover", "sync"):
        path = f"/sandboxes/{box.pk}" if action == "delete" else f"/sandboxes/{box.pk}/{action}"
        with transaction.atomic():
            answer = alice.delete(path) if action == "delete" else alice.post(path)
            transaction.set_rollback(True)
        accepted += [action] if answer.status_code == 202 else []
    assert accepted == allowed


def test_stopping_an_ephemeral_sandbox_takes_force(alice: Api) -> None:
    box = rows.sandbox(of="alice", ephemeral=True)
    found = problem(alice.post(f"/sandboxes/{box.pk}/stop"), "ephemeral_would_be_destroyed")
    assert "force" in found["remedy"]
    assert "stop" not in found["allowed_actions"]
    answer = alice.post(f"/sandboxes/{box.pk}/stop", {"force": True})
    assert answer.status_code == 202
    assert answer.json()["force"] is True


def test_an_ephemeral_sandbox_cannot_be_archived(alice: Api) -> None:
    box = rows.sandbox(of="alice", ephemeral=True)
    problem(alice.post(f"/sandboxes/{box.pk}/archive", {"force": True}), "ephemeral_cannot_archive")


def test_an_owner_on_hold_starts_nothing(alice: Api) -> None:
    box = rows.sandbox(of="alice", status="stopped")
    owners.hold("alice", actor=Actor.staff("admin"), reason="unpaid")
    problem(alice.post(f"/sandboxes/{box.pk}/start"), "owner_on_hold")
    assert alice.post(f"/sandboxes/{box.pk}/archive").status_code == 202


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"force": "perhaps"}, "force"),
        ({"reason": "x" * 501}, "reason"),
        ({"why": "x"}, "why"),
        ({"reason": ["a", "list"]}, "reason"),
    ],
)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_body_that_does_not_fit_names_the_field(
    alice: Api, atlas: Sandbox, action: str, body: dict[str, object], field: str
) -> None:
    found = problem(alice.post(f"/sandboxes/{atlas.pk}/{action}", body), "invalid_request")
    assert [error["field"] for error in found["errors"]] == [field]
    assert not Operation.objects.exists()


@pytest.mark.parametrize("action", ACTIONS)
def test_no_credentials(atlas: Sandbox, action: str) -> None:
    problem(Api().post(f"/sandboxes/{atlas.pk}/{action}"), "unauthenticated")
    assert not Operation.objects.exists()


# Deleting


def test_a_delete_is_accepted_and_joined(alice: Api, atlas: Sandbox) -> None:
    first, second = alice.delete(f"/sandboxes/{atlas.pk}"), alice.delete(f"/sandboxes/{atlas.daytona_id}")
    assert first.status_code == second.status_code == 202
    assert first.json()["id"] == second.json()["id"]
    atlas.refresh_from_db()
    assert atlas.intent == "deleted"


def test_a_delete_supersedes_what_is_active(alice: Api, atlas: Sandbox) -> None:
    stop = alice.post(f"/sandboxes/{atlas.pk}/stop").json()
    assert alice.delete(f"/sandboxes/{atlas.pk}").status_code == 202
    assert alice.get(f"/operations/{stop['id']}").json()["code"] == "superseded"


def test_deleting_what_was_deleted(alice: Api) -> None:
    problem(alice.delete(f"/sandboxes/{rows.sandbox(of='alice', status='gone').pk}"), "sandbox_gone")


@pytest.mark.parametrize("headers", [{}, {"Prefer": "wait=5"}, {"Prefer": "wait=0"}], ids=str)
def test_what_went_by_itself_is_deleted_once(alice: Api, headers: dict[str, str]) -> None:
    box = rows.sandbox(of="alice", status="gone", intent="running")
    assert alice.get(f"/sandboxes/{box.pk}").json()["allowed_actions"] == ["delete"]
    answer = alice.delete(f"/sandboxes/{box.pk}", **headers)
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    problem(alice.delete(f"/sandboxes/{box.pk}"), "sandbox_gone")


# Many at once


def test_bulk_says_of_each_what_became_of_it(alice: Api, atlas: Sandbox) -> None:
    ephemeral = rows.sandbox("brief", of="alice", ephemeral=True)
    gone = rows.sandbox("late", of="alice", status="gone")
    ids = [str(atlas.pk), str(ephemeral.daytona_id), str(gone.pk), "nobody", str(atlas.pk)]
    answer = alice.post("/sandboxes/bulk", {"action": "stop", "ids": ids, "reason": "closing"})
    assert answer.status_code == 207
    shown = answer.json()
    assert (shown["accepted"], shown["refused"]) == (1, 3)
    outcomes = {
        row["id"]: row["outcome"] if row["operation"] else row["problem"]["code"] for row in shown["results"]
    }
    assert outcomes == {
        str(atlas.pk): "accepted",
        str(ephemeral.daytona_id): "ephemeral_would_be_destroyed",
        str(gone.pk): "sandbox_gone",
        "nobody": "sandbox_not_found",
    }
    assert Operation.objects.get().reason == "closing"


@pytest.mark.parametrize(
    ("error", "code"), [(OperationalError, "database_unavailable"), (ZeroDivisionError, "internal_error")]
)
def test_a_row_that_breaks_takes_no_other_with_it(
    alice: Api, atlas: Sandbox, error: type[Exception], code: str, caplog: pytest.LogCaptureFixture
) -> None:
    boxes = [atlas, rows.sandbox("borneo", of="alice"), rows.sandbox("ceres", of="alice")]

    def fail_on_the_second(execute: Any, sql: str, params: Any, *rest: Any) -> Any:
        if not sql.startswith("SELECT") and boxes[1].pk.hex in str(params).replace("-", ""):
            raise error("secret words")
        return execute(sql, params, *rest)

    with connection.execute_wrapper(fail_on_the_second):
        answer = alice.post("/sandboxes/bulk", {"action": "stop", "ids": [str(box.pk) for box in boxes]})
    assert answer.status_code == 207
    shown = answer.json()
    assert (shown["accepted"], shown["refused"]) == (2, 1)
    assert shown["results"][1]["problem"]["code"] == code
    assert "secret words" not in str(shown)
    assert Operation.objects.count() == 2
    assert ("secret words" in caplog.text) is (code == "internal_error")


def test_bulk_destroys_ephemeral_ones_with_force(alice: Api) -> None:
    box = rows.sandbox(of="alice", ephemeral=True)
    answer = alice.post("/sandboxes/bulk", {"action": "stop", "ids": [str(box.pk)], "force": True})
    assert answer.json()["accepted"] == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ids": ["a"]}, "action"),
        ({"action": "create", "ids": ["a"]}, "action"),
        ({"action": "stop"}, "ids"),
        ({"action": "stop", "ids": []}, "ids"),
        ({"action": "stop", "ids": ["a"] * 201}, "ids"),
        ({"action": "stop", "ids": [""]}, "ids.0"),
        ({"action": "stop", "ids": "a"}, "ids"),
    ],
)
def test_bulk_refuses_a_body_that_does_not_fit(alice: Api, body: dict[str, object], field: str) -> None:
    found = problem(alice.post("/sandboxes/bulk", body), "invalid_request")
    assert [error["field"] for error in found["errors"]] == [field]
