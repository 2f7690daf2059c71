from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from django.db import OperationalError, ProgrammingError, connection

from sandboxes import clock
from sandboxes.api.http import wait_seconds
from sandboxes.core.vocabulary import Action
from sandboxes.models import Operation, Sandbox
from sandboxes.services import waiting
from tests.api.callers import Api, problem, program
from tests.support import rows
from tests.support.driving import do
from tests.support.worker_thread import working

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.emulator import Emulator


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("respond-async", None),
        ("wait=10", 10),
        ("respond-async, wait=10", 10),
        ('wait="5"; foo=bar', 5),
        ("Wait = 7", 7),
        ("wait=600", 60),
        ("wait=-1", None),
        ("wait=soon", None),
        ("wait=" + "9" * 500, None),
        ("wait=0", 0),
    ],
)
def test_what_a_caller_prefers(header: str, seconds: int | None) -> None:
    assert wait_seconds(header) == seconds


def test_an_end_in_time_is_200(world: Emulator, running: Callable[..., Sandbox]) -> None:
    box = running()
    with working():
        answer = program("alice").post(f"/sandboxes/{box.pk}/stop", Prefer="wait=60")
    assert answer.status_code == 200
    assert (answer.json()["action"], answer.json()["status"]) == ("stop", "succeeded")
    assert answer["Preference-Applied"] == "wait=60"


def test_a_create_and_a_delete_can_be_waited_for(world: Emulator) -> None:
    api = program("alice")
    with working():
        created = api.post("/sandboxes", {"name": "waited"}, Prefer="wait=60")
        assert (created.status_code, created.json()["status"]) == (200, "succeeded")
        deleted = api.delete(f"/sandboxes/{created.json()['sandbox']}", Prefer="wait=60")
    assert (deleted.status_code, deleted.json()["status"]) == (200, "succeeded")


def test_an_end_in_failure_is_the_problem_of_its_code(world: Emulator, running: Callable[..., Sandbox]) -> None:
    box = running()
    do(box, Action.STOP)
    world.change(box.daytona_id or "", state="error", errorReason="gone bad", recoverable=False)
    with working():
        answer = program("alice").post(f"/sandboxes/{box.pk}/start", Prefer="wait=60")
    found = problem(answer, "sandbox_unrecoverable")
    assert found["operation"]["status"] == "failed"
    assert found["current_status"] == "error"
    assert answer["Preference-Applied"] == "wait=60"


@pytest.mark.django_db
def test_no_end_in_time_is_202(
    alice: Api, atlas: Sandbox, stopped_clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = clock.monotonic()
    monkeypatch.setattr(time, "sleep", clock.move)
    answer = alice.post(f"/sandboxes/{atlas.pk}/stop", Prefer="wait=60")
    assert answer.status_code == 202
    assert answer["Preference-Applied"] == "wait=60"
    assert clock.monotonic() - began == pytest.approx(60)


@pytest.mark.django_db
def test_an_operation_can_be_waited_for_by_its_address(alice: Api, atlas: Sandbox) -> None:
    operation = rows.operation(atlas, "stop", "in_progress")
    answer = alice.get(f"/operations/{operation.pk}", Prefer="wait=1")
    assert (answer.status_code, answer.json()["status"]) == (200, "in_progress")
    Operation.objects.filter(pk=operation.pk).update(status="succeeded")
    answer = alice.get(f"/operations/{operation.pk}", Prefer="wait=60")
    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    Operation.objects.filter(pk=operation.pk).update(status="cancelled", code="superseded")
    problem(alice.get(f"/operations/{operation.pk}", Prefer="wait=60"), "superseded")


@pytest.fixture
def full() -> Iterator[None]:
    """All places to wait in are taken."""
    seats = waiting._seats()
    taken = 0
    while seats.acquire(blocking=False):
        taken += 1
    yield
    for _ in range(taken):
        seats.release()


@pytest.mark.django_db
@pytest.mark.parametrize("what", ["stop", "ensure-running"])
def test_without_a_place_to_wait_in_it_is_202_at_once(alice: Api, full: None, what: str) -> None:
    status = "running" if what == "stop" else "stopped"
    box = rows.sandbox(of="alice", status=status, intent="running")
    answer = alice.post(f"/sandboxes/{box.pk}/{what}", Prefer="wait=60")
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer


@pytest.mark.django_db(transaction=True)
def test_a_waiter_holds_no_database_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    operation = rows.operation(rows.sandbox(of="alice"), "stop", "in_progress")
    held: list[bool] = []
    pause = time.sleep

    def watched(seconds: float) -> None:
        held.append(connection.connection is not None)
        pause(seconds)
        if len(held) == 4:
            Operation.objects.filter(pk=operation.pk).update(status="succeeded")

    monkeypatch.setattr(time, "sleep", watched)
    settled = waiting.until_settled(operation, deadline=clock.monotonic() + 60)
    assert (settled.status, held) == ("succeeded", [False] * 4)


@pytest.mark.django_db(transaction=True)
def test_a_look_that_the_database_does_not_answer_ends_no_wait(
    stopped_clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", clock.move)
    away = OperationalError("connection refused")
    answers: Iterator[int | Exception] = iter([1, away, away, 2, 3])
    found = waiting.until(lambda: _raised(next(answers)), lambda one: one == 2, deadline=clock.monotonic() + 60)
    assert (found, list(answers)) == (2, [3])
    with pytest.raises(ProgrammingError):
        waiting.until(lambda: _raised(ProgrammingError()), bool, deadline=clock.monotonic() + 60)


def _raised(answer: int | Exception) -> int:
    if isinstance(answer, Exception):
        raise answer
    return answer
