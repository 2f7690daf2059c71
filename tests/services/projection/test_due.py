"""The pump's part: which rows are enqueued, how, and how often."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django_tasks_db.models import DBTaskResult

from sandboxes import clock
from sandboxes.core.vocabulary import Status
from sandboxes.models import ConvexProjection
from sandboxes.services import projection
from tests.services.projection.driving import Convex, change, projected, push, sandbox

pytestmark = pytest.mark.django_db(transaction=True)


def tasks() -> list[tuple[str, int]]:
    """The enqueued tasks: name, and of how many rows."""
    found = []
    for result in DBTaskResult.objects.order_by("enqueued_at"):
        (argument,) = result.args_kwargs["args"]
        rows = len(argument) if isinstance(argument, list) else 1
        found.append((result.task_path.rsplit(".", 1)[-1], rows))
    return found


def test_due_rows_are_enqueued_once(convex: Convex) -> None:
    sandbox()
    sandbox()
    assert projection.enqueue_due(clock.now()) == 2
    assert projection.enqueue_due(clock.now()) == 0
    assert tasks() == [("push_sandbox", 1), ("push_sandbox", 1)]


def test_a_lost_task_is_made_good_by_a_later_look(convex: Convex) -> None:
    sandbox()
    projection.enqueue_due(clock.now())
    clock.move(31)
    assert projection.enqueue_due(clock.now()) == 1


def test_clean_rows_are_not_due(convex: Convex) -> None:
    sandbox(pushed=True)
    assert projection.enqueue_due(clock.now()) == 0


def test_a_row_that_was_enqueued_for_nothing_is_not_due_again(convex: Convex) -> None:
    box = sandbox(pushed=True)
    ConvexProjection.objects.filter(pk=box.pk).update(due_at=clock.now())
    projection.enqueue_due(clock.now())
    assert not push(box)
    assert projected(box).due_at is None


def test_a_change_makes_it_due(convex: Convex) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.STOPPED)
    assert projection.enqueue_due(clock.now()) == 1


def test_where_our_own_functions_are_rows_are_enqueued_by_the_hundred(convex: Convex) -> None:
    convex.configure(sandkeeper=True)
    push(sandbox())
    for _ in range(130):
        sandbox()
    assert projection.enqueue_due(clock.now()) == 130
    assert tasks() == [("push_batch", 100), ("push_batch", 30)]


def test_before_it_knows_which_functions_there_are_it_enqueues_a_few(convex: Convex) -> None:
    for _ in range(20):
        sandbox()
    assert 0 < projection.enqueue_due(clock.now()) < 20
    push(sandbox())
    assert projection.enqueue_due(clock.now()) > 10


def test_rows_that_nobody_has_come_to_yet_are_not_enqueued_in_ever_greater_numbers(convex: Convex) -> None:
    push(sandbox())
    for _ in range(510):
        sandbox()
    assert projection.enqueue_due(clock.now()) == 500
    assert projection.enqueue_due(clock.now()) == 0
    assert ConvexProjection.objects.due(clock.now()).count() == 10


def test_rows_that_failed_do_not_hold_up_the_others(convex: Convex) -> None:
    push(sandbox())
    later = clock.now() + timedelta(hours=1)
    for _ in range(510):
        sandbox(projection={"attempt": 3, "due_at": later})
    sandbox()
    assert projection.enqueue_due(clock.now()) == 1


def test_it_calls_nobody(convex: Convex) -> None:
    sandbox()
    projection.enqueue_due(clock.now())
    assert convex.total() == 0
