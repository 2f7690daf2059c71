from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import OperationalError, connection

from sandboxes import clock
from sandboxes.api.http import LONGEST_WAIT
from sandboxes.models import IdempotencyAnswer, Operation, Sandbox
from sandboxes.services import idempotency
from tests.api.callers import ALL, Api, problem, program
from tests.support import rows
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db


def test_a_repetition_gets_the_first_answer(alice: Api) -> None:
    first = alice.post("/sandboxes", {"name": "once"}, Idempotency_Key="k1")
    again = alice.post("/sandboxes", {"name": "once"}, Idempotency_Key="k1")
    assert first.status_code == again.status_code == 202
    assert again.json() == first.json()
    assert again["Location"] == first["Location"]
    assert again["Content-Type"] == first["Content-Type"]
    assert (again["Idempotency-Replayed"], "Idempotency-Replayed" in first) == ("true", False)
    assert Sandbox.objects.count() == 1


def test_without_a_key_two_requests_are_two(alice: Api) -> None:
    alice.post("/sandboxes", {"name": "once"})
    alice.post("/sandboxes", {"name": "once"})
    assert Sandbox.objects.count() == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [("/sandboxes", {"name": "other"}), ("/sandboxes/bulk", None), ("/sandboxes?x=1", None)],
)
def test_another_request_with_the_same_key_is_refused(alice: Api, path: str, body: dict[str, str] | None) -> None:
    alice.post("/sandboxes", {"name": "once"}, Idempotency_Key="k1")
    answer = alice.post(path, body or {"name": "once"}, Idempotency_Key="k1")
    problem(answer, "idempotency_key_reused")
    assert answer.status_code == 422
    assert Sandbox.objects.count() == 1


def test_keys_belong_to_their_callers(alice: Api) -> None:
    alice.post("/sandboxes", {}, Idempotency_Key="k1")
    answer = program("alice").post("/sandboxes", {}, Idempotency_Key="k1")
    assert "Idempotency-Replayed" not in answer
    assert Sandbox.objects.count() == 2


def test_for_another_owner_it_is_another_key() -> None:
    api = program(None, scopes=[*ALL])
    for owner, again in (("alice", False), ("bob", False), ("alice", True), ("bob", True)):
        answer = api.post("/sandboxes", {}, Idempotency_Key="k1", X_On_Behalf_Of=owner)
        assert (answer.json()["owner"], "Idempotency-Replayed" in answer) == (owner, again)
    assert Sandbox.objects.count() == 2


def test_a_refusal_is_kept_too(alice: Api, settings: Settings) -> None:
    settings.SANDBOXES_PER_OWNER = 0
    problem(alice.post("/sandboxes", {}, Idempotency_Key="k1"), "sandbox_limit_reached")
    settings.SANDBOXES_PER_OWNER = 5
    again = alice.post("/sandboxes", {}, Idempotency_Key="k1")
    problem(again, "sandbox_limit_reached")
    assert again["Content-Type"] == "application/problem+json"
    assert alice.post("/sandboxes", {}, Idempotency_Key="k2").status_code == 202


def test_an_answer_without_a_body_is_kept(alice: Api, atlas: Sandbox) -> None:
    for _ in range(2):
        answer = alice.post(f"/sandboxes/{atlas.pk}/touch", Idempotency_Key="k1")
        assert (answer.status_code, answer.content) == (204, b"")
    assert answer["Idempotency-Replayed"] == "true"


def test_a_failure_of_ours_is_not_kept(alice: Api) -> None:
    def fail_on_sandbox(execute: Any, sql: str, *rest: Any) -> Any:
        if "sandboxes_owner" in sql:
            raise OperationalError("gone away")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail_on_sandbox):
        problem(alice.post("/sandboxes", {}, Idempotency_Key="k1"), "database_unavailable")
    assert not IdempotencyAnswer.objects.exists()
    assert alice.post("/sandboxes", {}, Idempotency_Key="k1").status_code == 202


def test_a_bug_of_ours_is_not_kept(alice: Api) -> None:
    def fail_on_sandbox(execute: Any, sql: str, *rest: Any) -> Any:
        if "sandboxes_owner" in sql:
            raise ZeroDivisionError
        return execute(sql, *rest)

    with connection.execute_wrapper(fail_on_sandbox):
        problem(alice.post("/sandboxes", {}, Idempotency_Key="k1"), "internal_error")
    assert alice.post("/sandboxes", {}, Idempotency_Key="k1").status_code == 202


def fail_after_commit(execute: Any, sql: str, *rest: Any) -> Any:
    if 'UPDATE "sandboxes_idempotencyanswer"' in sql and '"status"' in sql.partition("WHERE")[0]:
        raise OperationalError("gone away")
    return execute(sql, *rest)


@pytest.mark.django_db(transaction=True)
def test_what_was_begun_before_a_failure_of_ours_is_not_done_twice(alice: Api) -> None:
    with connection.execute_wrapper(fail_after_commit):
        assert alice.post("/sandboxes", {}, Idempotency_Key="k1").status_code == 503
    begun = Operation.objects.get()
    again = alice.post("/sandboxes", {}, Idempotency_Key="k1")
    assert (again.status_code, again.json()["id"]) == (202, str(begun.pk))
    assert Sandbox.objects.count() == 1


def test_a_claim_that_cannot_be_released_hides_no_answer(alice: Api) -> None:
    """The database went away and stays away."""
    away = False

    def fail_from_sandbox_on(execute: Any, sql: str, *rest: Any) -> Any:
        nonlocal away
        away = away or "sandboxes_owner" in sql
        if away:
            raise OperationalError("gone away")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail_from_sandbox_on):
        problem(alice.post("/sandboxes", {}, Idempotency_Key="k1"), "database_unavailable")


def test_a_wait_that_breaks_forgets_nothing(alice: Api) -> None:
    with connection.execute_wrapper(fail_on_look):
        answer = alice.post("/sandboxes", {}, Idempotency_Key="k1", Prefer="wait=1")
        problem(answer, "database_unavailable")
    again = alice.post("/sandboxes", {}, Idempotency_Key="k1", Prefer="wait=0")
    assert (again.status_code, again.json()["id"]) == (202, str(Operation.objects.get().pk))


def fail_on_look(execute: Any, sql: str, *rest: Any) -> Any:
    if sql.startswith("SELECT") and "INNER JOIN" in sql and 'FROM "sandboxes_operation"' in sql:
        raise OperationalError("no such table: sandboxes_operation")  # a wait outlasts a database that is away
    return execute(sql, *rest)


def test_while_the_first_still_runs_the_second_is_told_so(alice: Api) -> None:
    alice.post("/sandboxes", {}, Idempotency_Key="k1")
    IdempotencyAnswer.objects.update(status=None, body="", headers={})
    answer = alice.post("/sandboxes", {}, Idempotency_Key="k1")
    assert problem(answer, "request_in_progress")["retry_after"] > 0
    assert answer["Retry-After"]
    assert Sandbox.objects.count() == 1


def test_a_request_that_still_waits_keeps_its_key(alice: Api, atlas: Sandbox) -> None:
    """For as long as a caller may wait, and some time more."""
    again: list[Any] = []

    def ask_again_in_a_minute(execute: Any, sql: str, *rest: Any) -> Any:
        if not again and sql.startswith("SELECT") and "INNER JOIN" in sql and 'FROM "sandboxes_operation"' in sql:
            clock.move(LONGEST_WAIT)
            again.append(None)
            again[0] = alice.post(f"/sandboxes/{atlas.pk}/stop", Idempotency_Key="k1")
        return execute(sql, *rest)

    with connection.execute_wrapper(ask_again_in_a_minute):
        first = alice.post(f"/sandboxes/{atlas.pk}/stop", Idempotency_Key="k1", Prefer=f"wait={LONGEST_WAIT}")
    problem(again[0], "request_in_progress")
    assert (first.status_code, first["Preference-Applied"]) == (202, f"wait={LONGEST_WAIT}")
    repeated = alice.post(f"/sandboxes/{atlas.pk}/stop", Idempotency_Key="k1")
    assert repeated.json() == first.json()
    assert Operation.objects.count() == 1


def test_a_key_that_is_given_back_while_another_asks_for_it(alice: Api) -> None:
    """Its first request broke and released it between our insert and our look."""
    alice.post("/sandboxes", {}, Idempotency_Key="k1")

    def release_before_look(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("SELECT") and "sandboxes_idempotencyanswer" in sql:
            IdempotencyAnswer.objects.all()._raw_delete(using="default")
        return execute(sql, *rest)

    with connection.execute_wrapper(release_before_look):
        problem(alice.post("/sandboxes", {}, Idempotency_Key="k1"), "request_in_progress")
    assert alice.post("/sandboxes", {}, Idempotency_Key="k1").status_code == 202


def test_what_a_process_had_begun_when_it_died_is_found_again(alice: Api) -> None:
    """It committed the create and died before it could keep its answer."""
    first = alice.post("/sandboxes", {}, Idempotency_Key="k1").json()
    IdempotencyAnswer.objects.update(status=None, body="", headers={idempotency.OPERATION: first["id"]})
    clock.move(idempotency.ABANDONED.total_seconds() + 1)
    again = alice.post("/sandboxes", {}, Idempotency_Key="k1")
    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    assert Sandbox.objects.count() == 1


@pytest.mark.parametrize(
    ("ended", "answer"),
    [
        ({"status": "succeeded"}, (200, "succeeded")),
        ({"status": "failed", "code": "capacity_exhausted"}, (409, "failed")),
    ],
)
@pytest.mark.parametrize("prefer", [{}, {"Prefer": "wait=30"}])
def test_what_has_ended_since_its_process_died_is_answered_as_it_ended(
    alice: Api, atlas: Sandbox, ended: dict[str, str], answer: tuple[int, str], prefer: dict[str, str]
) -> None:
    first = alice.post(f"/sandboxes/{atlas.pk}/start", Idempotency_Key="k1").json()
    Operation.objects.update(**ended)
    IdempotencyAnswer.objects.update(status=None, body="", headers={idempotency.OPERATION: first["id"]})
    clock.move(idempotency.ABANDONED.total_seconds() + 1)
    again = alice.post(f"/sandboxes/{atlas.pk}/start", Idempotency_Key="k1", **prefer)
    operation = again.json().get("operation") or again.json()
    assert (again.status_code, operation["status"], operation["id"]) == (*answer, first["id"])


def test_what_a_process_had_not_begun_when_it_died_is_done(alice: Api) -> None:
    first = alice.post("/sandboxes", {}, Idempotency_Key="k1")
    IdempotencyAnswer.objects.update(status=None, body="", headers={})
    Operation.objects.all().delete()
    Sandbox.objects.all().delete()
    clock.move(idempotency.ABANDONED.total_seconds() + 1)
    again = alice.post("/sandboxes", {}, Idempotency_Key="k1")
    assert again.status_code == 202
    assert again.json()["id"] != first.json()["id"]


def test_an_answer_is_kept_for_a_day(alice: Api) -> None:
    alice.post("/sandboxes", {}, Idempotency_Key="k1")
    clock.move(timedelta(hours=23, minutes=59).total_seconds())
    assert alice.post("/sandboxes", {}, Idempotency_Key="k1")["Idempotency-Replayed"]
    clock.move(120)
    assert "Idempotency-Replayed" not in alice.post("/sandboxes", {}, Idempotency_Key="k1")
    assert Sandbox.objects.count() == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "tab\there", "two words", "ünïcode"])
def test_a_key_that_cannot_be_one(alice: Api, key: str) -> None:
    found = problem(alice.post("/sandboxes", {}, Idempotency_Key=key), "invalid_request")
    assert found["errors"][0]["field"] == "Idempotency-Key"
    assert not Sandbox.objects.exists()


def test_it_is_for_every_post(alice: Api, atlas: Sandbox) -> None:
    operation = rows.operation(rows.sandbox("b", of="alice"), "stop", "in_progress")
    paths: list[tuple[str, Any]] = [
        *((f"/sandboxes/{atlas.pk}/{action}", {}) for action in ("sync", "stop", "start", "archive", "recover")),
        (f"/sandboxes/{atlas.pk}/ensure-running", {}),
        (f"/sandboxes/{atlas.pk}/touch", {}),
        ("/sandboxes/bulk", {"action": "sync", "ids": [str(atlas.pk)]}),
        (f"/operations/{operation.pk}/cancel", {}),
    ]
    for number, (path, body) in enumerate(paths):
        first = alice.post(path, body, Idempotency_Key=f"k{number}")
        again = alice.post(path, body, Idempotency_Key=f"k{number}")
        assert "Idempotency-Replayed" not in first, path
        assert again["Idempotency-Replayed"] == "true", path
        assert (again.status_code, again.content) == (first.status_code, first.content), path


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_is_done() -> None:
    api = program("alice")
    answers: list[int] = []
    together = threading.Barrier(8)

    def send() -> None:
        mine = Api(Authorization=api.headers["Authorization"], X_On_Behalf_Of="alice")
        together.wait(timeout=PATIENCE)
        answers.append(mine.post("/sandboxes", {"name": "raced"}, Idempotency_Key="k1").status_code)
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Sandbox.objects.count() == 1
    assert set(answers) <= {202, 409}
    assert 202 in answers
