"""Which rows a worker is given to push: those that are due and that nobody has, and how many in one call."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Status
from sandboxes.models import ConvexProjection
from sandboxes.services import projection
from tests.services.projection.driving import Convex, change, projected, push, sandbox

pytestmark = pytest.mark.django_db(transaction=True)


def test_rows_are_due_until_they_are_pushed(convex: Convex) -> None:
    boxes = [sandbox(), sandbox()]
    assert set(projection.due(10)[0]) == {box.pk for box in boxes}
    assert len(projection.due(10)[0]) == 2, "nobody has pushed them yet"
    push(boxes[0])
    assert projection.due(10)[0] == [boxes[1].pk]


def test_those_that_have_been_due_for_longest_come_first(convex: Convex) -> None:
    boxes = [sandbox(projection={"due_at": clock.now() - timedelta(seconds=age)}) for age in (10, 30, 20)]
    assert projection.due(2)[0] == [boxes[1].pk, boxes[2].pk]


def test_a_row_that_somebody_pushes_is_not_due_until_its_lease_ends(convex: Convex) -> None:
    box = sandbox()
    assert ConvexProjection.objects.filter(pk=box.pk).claim(30.0)
    assert projection.due(10)[0] == []
    clock.move(31)
    assert projection.due(10)[0] == [box.pk]


def test_clean_rows_are_not_due(convex: Convex) -> None:
    sandbox(pushed=True)
    assert projection.due(10)[0] == []


def test_a_row_that_is_due_for_nothing_is_not_due_again(convex: Convex) -> None:
    box = sandbox(pushed=True)
    ConvexProjection.objects.filter(pk=box.pk).update(due_at=clock.now())
    assert projection.due(10)[0] == [box.pk]
    assert not push(box)
    assert projected(box).due_at is None
    assert projection.due(10)[0] == []


def test_a_change_makes_it_due(convex: Convex) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.STOPPED)
    assert projection.due(10)[0] == [box.pk]


def test_where_our_own_functions_are_many_take_one_call(convex: Convex) -> None:
    convex.configure(sandkeeper=True)
    push(sandbox())
    boxes = [sandbox() for _ in range(130)]
    ids, together = projection.due(400)
    assert (set(ids), together) == ({box.pk for box in boxes}, True)
    before = convex.total()
    assert projection.push_many(ids[:100]) == 100
    assert convex.total() - before <= 3, "one mutation, and what it is to know first"
    assert len(projection.due(400)[0]) == 30


def test_before_it_knows_which_functions_there_are_each_is_pushed_alone(convex: Convex) -> None:
    convex.configure(sandkeeper=True)
    sandbox(), sandbox()
    assert projection.due(10)[1] is False
    push(sandbox())
    assert projection.due(10)[1] is True


def test_where_the_functions_of_the_application_are_each_takes_calls_of_its_own(convex: Convex) -> None:
    push(sandbox())
    sandbox()
    assert projection.due(10)[1] is False


def test_no_more_than_asked_for_are_given(convex: Convex) -> None:
    push(sandbox())
    for _ in range(30):
        sandbox()
    assert len(projection.due(20)[0]) == 20
    assert ConvexProjection.objects.due(clock.now()).count() == 30, "it takes nothing"


def test_rows_that_failed_do_not_hold_up_the_others(convex: Convex) -> None:
    push(sandbox())
    later = clock.now() + timedelta(hours=1)
    for _ in range(30):
        sandbox(projection={"attempt": 3, "due_at": later})
    box = sandbox()
    assert projection.due(10)[0] == [box.pk]


def test_it_calls_nobody(convex: Convex) -> None:
    sandbox()
    projection.due(10)
    assert convex.total() == 0
