"""How a projection becomes due: in one way, and never behind without being due."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from sandboxes import clock
from sandboxes.core.vocabulary import Actor, Intent, Source, Status
from sandboxes.models import ConvexProjection, Sandbox
from sandboxes.services import lifecycle, sandbox_store
from sandboxes.services.lifecycle import NewRequest
from tests.services.projection.driving import change, projected, reload, sandbox
from tests.support import rows

pytestmark = pytest.mark.django_db
ALICE = Actor.owner("alice")


def level() -> Sandbox:
    """A sandbox that Convex shows as it is."""
    box = sandbox()
    rows.level(box)
    return box


def test_a_new_sandbox_has_a_projection_that_waits_for_daytonas_id() -> None:
    new = NewRequest(harness_id="h1")
    made = lifecycle.create("alice", actor=ALICE, source=Source.API, new=new).sandbox
    row = projected(made)
    assert (row.wanted_generation, row.is_behind, row.due_at, row.link_due) == (0, False, None, True)
    change(made, name="other")
    assert not projected(made).is_behind
    change(made, daytona_id="d")
    assert projected(made).is_behind


def test_it_is_due_at_once_under_a_new_generation_and_behind_since_the_first_change() -> None:
    box = level()
    before = projected(box)
    ConvexProjection.objects.filter(pk=box.pk).make_due(attempt=0)
    first = projected(box)
    clock.move(60)
    ConvexProjection.objects.filter(pk=box.pk).make_due()
    second = projected(box)
    assert first.wanted_generation == before.wanted_generation + 1
    assert second.wanted_generation == first.wanted_generation + 1
    assert first.behind_since is not None
    assert second.behind_since == first.behind_since
    assert second.due_at is not None
    assert second.due_at - first.behind_since >= timedelta(seconds=60)
    assert second.pushed_generation == before.pushed_generation


@pytest.mark.parametrize(("stored", "expected"), [(3, 8), (40, 41)])
def test_a_generation_goes_above_what_convex_has_and_never_down(stored: int, expected: int) -> None:
    box = sandbox(projection={"wanted_generation": 7})
    ConvexProjection.objects.filter(pk=box.pk).make_due(above=stored)
    assert projected(box).wanted_generation == expected


@pytest.mark.parametrize(
    "values",
    [
        {"due_at": None},
        {"behind_since": None},
        {"pushed_generation": F("wanted_generation")},
        {"pushed_generation": F("wanted_generation") + 1},
    ],
    ids=["not due", "not behind", "level", "ahead"],
)
def test_the_database_refuses_a_row_that_contradicts_itself(values: dict[str, object]) -> None:
    box = sandbox()
    with pytest.raises(IntegrityError), transaction.atomic():
        ConvexProjection.objects.filter(pk=box.pk).update(**values)


@pytest.mark.parametrize("fields", [{"name": "other"}, {"status": Status.STOPPED}], ids=["name", "status"])
def test_a_change_that_convex_shows_makes_it_due(fields: dict[str, object]) -> None:
    box = level()
    change(box, **fields)
    assert projected(box).is_behind


@pytest.mark.parametrize("fields", [{"labels": {"a": "b"}}, {"error_reason": "over"}, {"snapshot": "big"}])
def test_a_change_that_convex_does_not_show_takes_no_statement_for_it(fields: dict[str, object]) -> None:
    box = level()
    with CaptureQueriesContext(connection) as asked:
        change(box, **fields)
    assert [query["sql"] for query in asked if "convexprojection" in query["sql"]] == []


def test_a_change_of_the_projection_leaves_the_sandbox_as_it_is() -> None:
    box = level()
    before = Sandbox.objects.values().get()
    ConvexProjection.objects.filter(pk=box.pk).make_due(error="Waiting: for Convex")
    assert Sandbox.objects.values().get() == before


def test_only_what_is_gone_is_withdrawn_and_once_is_enough() -> None:
    lives, gone = level(), level()
    change(gone, status=Status.GONE, intent=Intent.RUNNING, deleted_at=clock.now())
    rows.level(gone)
    everything = ConvexProjection.objects.all()
    assert (everything.withdraw(), everything.withdraw()) == (1, 0)
    assert [projected(box).withdrawn for box in (lives, gone)] == [False, True]
    assert [row.sandbox for row in everything.behind()] == [gone]


def test_many_that_change_together_are_due_together() -> None:
    boxes = [level() for _ in range(3)]
    with sandbox_store.lock_sandboxes(Sandbox.objects.all()) as locked:
        for row in locked[:2]:
            row.status = Status.STOPPED
    behind = set(ConvexProjection.objects.due(clock.now()).behind().values_list("pk", flat=True))
    assert behind == {row.pk for row in locked[:2]}
    assert {reload(box).status for box in boxes} == {Status.STOPPED, Status.RUNNING}
