from __future__ import annotations

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import EventKind
from sandboxes.models import Operation, Sandbox
from tests.admin import members
from tests.api.callers import Api, problem, signed_in
from tests.support import rows

pytestmark = pytest.mark.django_db


def test_an_operation_is_shown(alice: Api, atlas: Sandbox) -> None:
    operation = rows.operation(atlas, "stop", "in_progress")
    shown = alice.get(f"/operations/{operation.pk}").json()
    assert (shown["id"], shown["sandbox"], shown["daytona_id"]) == (
        str(operation.pk),
        str(atlas.pk),
        atlas.daytona_id,
    )
    assert (shown["status"], shown["step"], shown["finished_at"]) == ("in_progress", "Daytona is stopping it", None)


def test_looking_at_a_failed_operation_is_no_error(alice: Api, atlas: Sandbox) -> None:
    operation = rows.operation(atlas, "start", "failed", code="timeout")
    shown = alice.get(f"/operations/{operation.pk}").json()
    assert (shown["code"], shown["title"]) == ("timeout", "Daytona did not finish in time")
    assert shown["remedy"]


@pytest.mark.parametrize("wrong", ["00000000-0000-4000-8000-000000000000", "1", "nonsense"])
def test_an_operation_that_is_not_there(alice: Api, wrong: str) -> None:
    assert alice.get(f"/operations/{wrong}").status_code == 404
    assert alice.post(f"/operations/{wrong}/cancel").status_code == 404


def test_who_waited_for_what_was_superseded_is_told_by_what(alice: Api, atlas: Sandbox) -> None:
    stop = alice.post(f"/sandboxes/{atlas.pk}/stop").json()
    start = alice.post(f"/sandboxes/{atlas.pk}/start").json()
    found = problem(alice.get(f"/operations/{stop['id']}", Prefer="wait=1"), "superseded")
    assert found["blocking_operation"] == start["id"]
    Operation.objects.update(status="succeeded", finished_at=clock.now())
    Operation.objects.filter(pk=stop["id"]).update(status="cancelled", code="superseded")
    assert "blocking_operation" not in problem(
        alice.get(f"/operations/{stop['id']}", Prefer="wait=1"), "superseded"
    )


# Cancelling


def test_a_cancel_brings_the_intent_from_before_back(alice: Api, atlas: Sandbox) -> None:
    stop = alice.post(f"/sandboxes/{atlas.pk}/stop").json()
    answer = alice.post(f"/operations/{stop['id']}/cancel", {"reason": "a mistake"})
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["code"]) == ("cancelled", "cancelled")
    atlas.refresh_from_db()
    assert atlas.intent == "running"


def test_cancelling_a_create_deletes_it(alice: Api) -> None:
    create = alice.post("/sandboxes").json()
    answer = alice.post(f"/operations/{create['id']}/cancel")
    assert answer.status_code == 202
    assert answer.json()["action"] == "delete"
    assert answer["Location"].endswith(answer.json()["id"])


def test_what_has_ended_cannot_be_cancelled(alice: Api, atlas: Sandbox) -> None:
    operation = rows.operation(atlas, "stop", "succeeded")
    problem(alice.post(f"/operations/{operation.pk}/cancel"), "operation_finished")


def test_what_daytona_was_asked_for_cannot_be_cancelled(alice: Api, atlas: Sandbox) -> None:
    operation = rows.operation(atlas, "stop", "in_progress")
    rows.call(operation, "stop", "accepted")
    problem(alice.post(f"/operations/{operation.pk}/cancel"), "operation_not_cancellable")


def test_a_cancel_with_a_body_that_does_not_fit(alice: Api, atlas: Sandbox) -> None:
    operation = rows.operation(atlas, "stop", "in_progress")
    problem(alice.post(f"/operations/{operation.pk}/cancel", {"force": True}), "invalid_request")
    operation.refresh_from_db()
    assert operation.is_active


def test_cancelling_without_credentials(atlas: Sandbox) -> None:
    operation = rows.operation(atlas, "stop", "in_progress")
    problem(Api().post(f"/operations/{operation.pk}/cancel"), "unauthenticated")


# The words of Daytona and Convex

WORDS = "Sandbox failed to start: runner 10.4.2.9 refused"


@pytest.fixture
def failed(db: None) -> Operation:
    box = rows.sandbox("broken", of="alice", status="error", error_reason=WORDS, projection={"error": WORDS})
    operation = rows.operation(box, "start", "failed", code="daytona_rejected", message=WORDS)
    rows.event(box, EventKind.OBSERVATION, f"Daytona says error: {WORDS}", operation=operation)
    rows.event(box, EventKind.OPERATION, "Start failed: daytona_rejected", data={"message": WORDS})
    rows.event(box, EventKind.CALL, f"start: {WORDS}")
    rows.event(box, EventKind.CONVEX, f"Convex refused: {WORDS}")
    return operation


def addresses(operation: Operation) -> list[str]:
    box = f"/sandboxes/{operation.sandbox_id}"
    return [box, f"{box}/events", f"{box}/operations", "/sandboxes", "/operations", f"/operations/{operation.pk}"]


def test_the_words_of_other_systems_do_not_reach_clients(alice: Api, failed: Operation) -> None:
    for path in [*addresses(failed), "/capacity"]:
        assert "10.4.2.9" not in alice.get(path).content.decode(), path
    waited = alice.get(f"/operations/{failed.pk}", Prefer="wait=1")
    assert problem(waited, "daytona_rejected")["remedy"]
    assert "10.4.2.9" not in waited.content.decode()
    texts = [row["message"] for row in alice.get(f"/sandboxes/{failed.sandbox_id}/events").json()["results"]]
    assert texts == ["Start failed: daytona_rejected", "Daytona says error"]


def test_staff_read_them(failed: Operation) -> None:
    staff = signed_in(members.viewer())
    for path in addresses(failed):
        assert "10.4.2.9" in staff.get(path).content.decode(), path
    assert (
        "10.4.2.9" in problem(staff.get(f"/operations/{failed.pk}", Prefer="wait=1"), "daytona_rejected")["detail"]
    )
