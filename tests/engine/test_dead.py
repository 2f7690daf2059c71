"""What dead workers held, and rows written by a clock that was ahead."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Action, OperationStatus
from sandboxes.engine.dead import free_the_held, holder_of
from sandboxes.engine.steps_back import notice_steps_back
from sandboxes.models import ConvexProjection, Notice, Operation, Sandbox, WorkerHeartbeat
from sandboxes.services.heartbeat import Heartbeat
from sandboxes.services.lifecycle import turns
from tests.support import rows

if TYPE_CHECKING:
    from pytest_django import Settings

    from sandboxes.services.lifecycle.turns import Turn

pytestmark = pytest.mark.django_db


class Held:
    """A worker that gave a sign of life, and holds three sandboxes: with an operation, due for a fetch, neither."""

    def __init__(self) -> None:
        self.heartbeat = Heartbeat(places=10)
        self.heartbeat.beat({})
        self.busy, self.due, self.rests = rows.sandbox(), rows.sandbox(fetch_due_at=clock.now()), rows.sandbox()
        self.operation = rows.operation(self.busy, Action.STOP, OperationStatus.QUEUED, due_at=clock.now())
        self.turns = self.claim()
        assert len(self.turns) == 3

    def claim(self) -> list[Turn]:
        ids = [self.busy.pk, self.due.pk, self.rests.pk]
        return turns.claim(ids, holder=holder_of(self.heartbeat.worker_id))

    def row(self) -> WorkerHeartbeat:
        return WorkerHeartbeat.objects.get(pk=self.heartbeat.worker_id)


def is_due(moment: datetime | None) -> bool:
    return moment is not None and moment <= clock.now()


def test_what_a_silent_worker_held_is_free_before_its_lease_ends(settings: Settings) -> None:
    held = Held()
    assert settings.WORKER_SILENT_SECONDS < settings.LEASE_SECONDS
    clock.move(settings.WORKER_SILENT_SECONDS + 1)
    assert free_the_held() == 2
    assert is_due(Operation.objects.get().due_at)
    due = Sandbox.objects.get(pk=held.due.pk)
    assert is_due(due.fetch_due_at)
    assert (due.lease_token, due.lease_until) == ("", None)
    assert held.row().freed_at is not None
    assert {turn.sandbox_id for turn in held.claim()} == {held.busy.pk, held.due.pk}


def test_it_is_freed_once(settings: Settings) -> None:
    held = Held()
    clock.move(settings.WORKER_SILENT_SECONDS + 1)
    free_the_held()
    held.claim()  # by another that happens to have its name
    assert free_the_held() == 0


def test_a_worker_that_gives_signs_of_life_keeps_what_it_has(settings: Settings) -> None:
    held = Held()
    clock.move(settings.WORKER_SILENT_SECONDS - 1)
    held.heartbeat.beat({})
    clock.move(settings.WORKER_SILENT_SECONDS - 1)
    assert free_the_held() == 0
    assert held.claim() == []


def test_one_that_stopped_in_good_order_has_nothing_left(settings: Settings) -> None:
    held = Held()
    held.heartbeat.stop()
    clock.move(settings.WORKER_SILENT_SECONDS + 1)
    assert free_the_held() == 0


def test_what_others_hold_is_left(settings: Settings) -> None:
    Held()
    clock.move(settings.WORKER_SILENT_SECONDS + 1)
    other = Held()
    assert free_the_held() == 2
    assert other.claim() == []


def test_one_that_was_only_slow_writes_nothing_any_more(settings: Settings) -> None:
    held = Held()
    clock.move(settings.WORKER_SILENT_SECONDS + 1)
    free_the_held()
    turn = next(turn for turn in held.turns if turn.sandbox_id == held.due.pk)
    before = Sandbox.objects.values().get(pk=held.due.pk)
    turns.put_back(turn, ValueError("late"))
    assert Sandbox.objects.values().get(pk=held.due.pk) == before
    held.heartbeat.beat({})
    assert held.row().freed_at is None, "it is watched again"


# A clock that was set back


def test_what_waits_by_a_clock_that_was_ahead_is_due_at_once() -> None:
    ahead = clock.now() + timedelta(hours=2)
    sandbox = rows.sandbox(
        fetch_due_at=ahead, observed_at=ahead, lease_token="lost", lease_until=ahead,
        projection={"wanted_generation": 2, "due_at": ahead, "behind_since": ahead},
    )  # fmt: skip
    operation = rows.operation(
        rows.sandbox(), Action.STOP, OperationStatus.IN_PROGRESS, due_at=ahead, attempted_at=ahead
    )
    assert notice_steps_back() == 3
    sandbox.refresh_from_db()
    operation.refresh_from_db()
    assert is_due(operation.due_at)
    assert is_due(operation.attempted_at)
    assert is_due(sandbox.fetch_due_at)
    assert (sandbox.lease_token, sandbox.lease_until) == ("", None)
    assert is_due(sandbox.observed_at), "the next fetch is newer"
    assert is_due(ConvexProjection.objects.get(pk=sandbox.pk).due_at)
    assert "3 rows" in Notice.objects.get(code=NoticeCode.CLOCK_STEPPED_BACK).message
    assert notice_steps_back() == 0


def test_what_waits_for_its_time_is_left_and_so_is_what_ended() -> None:
    later = clock.now() + timedelta(hours=2)
    sandbox = rows.sandbox(
        fetch_due_at=later, observed_at=clock.now() + timedelta(seconds=30),
        projection={"wanted_generation": 2, "due_at": later},
    )  # fmt: skip
    rows.operation(sandbox, Action.STOP, OperationStatus.IN_PROGRESS, due_at=later)
    rows.operation(sandbox, Action.STOP, OperationStatus.SUCCEEDED, attempted_at=later)
    assert notice_steps_back() == 0
    assert not Notice.objects.exists()
    assert Sandbox.objects.get().fetch_due_at == later
