"""Which rows a worker finds due: owners take turns, and one who has thousands delays nobody."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from sandboxes import clock
from sandboxes.core.vocabulary import Action, ActorKind, OperationStatus
from sandboxes.engine import lanes, picks
from sandboxes.engine.lanes import Lane, Wishes
from sandboxes.models import Owner, Sandbox
from sandboxes.services.lifecycle import turns
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

pytestmark = pytest.mark.django_db
MANY = 5000


def due(owner: str, *, ago: float = 1.0, **fields: Any) -> Sandbox:
    return rows.sandbox(of=owner, fetch_due_at=rows.ago(seconds=ago), **fields)


def asked(owner: str, *, ago: float = 1.0, kind: str = ActorKind.OWNER) -> UUID:
    sandbox = rows.sandbox(of=owner)
    rows.operation(
        sandbox, Action.STOP, OperationStatus.QUEUED, owner=owner, actor_kind=kind, due_at=rows.ago(seconds=ago)
    )
    return sandbox.pk


def claim(lane: Lane, *, limit: int, holder: str = "test") -> list[str]:
    """Whose sandboxes the next claim of the lane takes."""
    wishes = Wishes(lane.queue, lane.wishes().after, limit, lane.wishes().busy)
    claimed, after = lanes.claim(wishes, holder, turns.claim)
    lane.went_on(after)
    for turn in claimed:
        lane.take(turn.owner)
    return [turn.owner for turn in claimed]


def bulk(owner: str, number: int, moments: Iterable[datetime]) -> None:
    Owner.objects.get_or_create(pk=owner)
    made = [
        Sandbox(
            name="s", owner_id=owner, daytona_name=f"{owner}-{place}", created_at=moment, fetch_due_at=moment,
            intent_at=moment,
        )
        for place, moment in zip(range(number), moments, strict=False)
    ]  # fmt: skip
    Sandbox.objects.bulk_create(made)


def test_each_queue_says_whether_anything_is_due() -> None:
    queues = (picks.PEOPLE, picks.SYSTEM, picks.FETCHES, picks.PUSHES, picks.TOUCHES)
    assert picks.due(queues) == [False] * 5
    later = clock.now() + timedelta(minutes=1)
    sandbox = rows.sandbox(
        fetch_due_at=later, touch_due_at=later, projection={"wanted_generation": 2, "due_at": later}
    )
    operation = rows.operation(sandbox, Action.STOP, OperationStatus.QUEUED, due_at=later)
    assert picks.due(queues) == [False] * 5
    clock.move(61)
    assert picks.due(queues) == [True, False, True, True, True]
    operation.actor_kind = ActorKind.SYSTEM
    operation.save()
    assert picks.due(queues) == [False, True, True, True, True]
    operation.status = OperationStatus.SUCCEEDED
    operation.save()
    assert picks.due(queues) == [False, False, True, True, True]


def test_owners_are_read_in_their_order_from_where_the_last_pick_ended() -> None:
    for owner in ("carol", "alice", "bob", "alice"):
        due(owner)
    due("dave", ago=-60)
    assert picks.owners(picks.FETCHES, after=None, limit=10) == ["alice", "bob", "carol"]
    assert picks.owners(picks.FETCHES, after=None, limit=2) == ["alice", "bob"]
    assert picks.owners(picks.FETCHES, after="alice", limit=10) == ["bob", "carol"]
    assert picks.owners(picks.FETCHES, after="carol", limit=10) == []


@pytest.mark.parametrize("owner", ["Zoë", "o'brien", "%s", "z" * 255])
def test_an_owner_may_be_called_anything(owner: str) -> None:
    rows.operation(rows.sandbox(), Action.STOP, OperationStatus.QUEUED, owner=owner, due_at=rows.ago(seconds=1))
    assert picks.owners(picks.PEOPLE, after=None, limit=10) == [owner]
    assert len(picks.sandboxes(picks.PEOPLE, [owner], each=10, limit=10)) == 1


def test_an_operation_of_nobody_is_refused_by_the_database() -> None:
    with pytest.raises(IntegrityError, match="active_operation_has_its_owner"), transaction.atomic():
        rows.operation(rows.sandbox(), Action.STOP, OperationStatus.QUEUED, owner="")
    rows.operation(rows.sandbox(), Action.STOP, OperationStatus.SUCCEEDED, owner="")


def test_of_each_owner_those_come_first_that_have_been_due_for_longest() -> None:
    alices = [due("alice", ago=ago).pk for ago in (10, 30, 20)]
    bobs = [due("bob", ago=ago).pk for ago in (50, 5)]
    found = picks.sandboxes(picks.FETCHES, ["alice", "bob"], each=2, limit=10)
    assert set(found) == {alices[1], alices[2], *bobs}
    assert set(picks.sandboxes(picks.FETCHES, ["alice", "bob"], each=1, limit=10)) == {alices[1], bobs[0]}
    assert len(picks.sandboxes(picks.FETCHES, ["alice", "bob"], each=2, limit=3)) == 3


def test_people_do_not_wait_behind_the_system() -> None:
    person, machine = asked("alice"), asked("alice", kind=ActorKind.SYSTEM)
    service = asked("alice", kind=ActorKind.SERVICE)
    assert set(picks.sandboxes(picks.PEOPLE, ["alice"], each=10, limit=10)) == {person, service}
    assert picks.sandboxes(picks.SYSTEM, ["alice"], each=10, limit=10) == [machine]


def test_owners_take_turns_and_the_turn_goes_round() -> None:
    for owner in ("alice", "bob", "carol", "dave", "erin"):
        due(owner), due(owner)
    lane = Lane("fetches", picks.FETCHES, places=1000)
    taken = [claim(lane, limit=2) for _ in range(5)]
    assert [sorted(owners) for owners in taken] == [
        ["alice", "bob"], ["carol", "dave"], ["alice", "erin"], ["bob", "carol"], ["dave", "erin"],
    ]  # fmt: skip
    assert claim(lane, limit=2) == []


def test_one_owners_thousands_do_not_delay_anothers() -> None:
    old = rows.ago(hours=1)
    bulk("alice", MANY, (old + timedelta(milliseconds=place) for place in range(MANY)))
    due("zoe")
    lane = Lane("fetches", picks.FETCHES, places=10_000)
    with CaptureQueriesContext(connection) as queries:
        found = claim(lane, limit=20)
    assert found.count("zoe") == 1
    assert found.count("alice") == 10, "their share of the claim"
    picked = [query for query in queries if "RECURSIVE" in query["sql"] or "turn" in query["sql"]]
    assert len(picked) == 2, "owners, and their rows"


def test_the_last_places_are_for_owners_who_have_none() -> None:
    lane = Lane("people", picks.PEOPLE, places=32)
    for _ in range(29):
        lane.take("alice")
    assert (lane.free, lane.wishes().busy) == (3, frozenset())
    lane.take("alice")
    assert (lane.free, lane.wishes().busy) == (2, frozenset({"alice"}))
    asked("alice"), asked("alice"), asked("bob")
    assert claim(lane, limit=lane.wishes().limit) == ["bob"]
    assert lane.wishes().busy == {"alice", "bob"}
    lane.leave("bob")
    assert lane.wishes().busy == {"alice"}
    for _ in range(30):
        lane.leave("alice")
    assert (lane.free, lane.taken, lane.wishes().busy) == (32, 0, frozenset())


@pytest.mark.parametrize(("each", "busy"), [(None, frozenset()), (4, frozenset({"alice"}))])
def test_one_owner_may_have_all_other_places_unless_each_has_a_share(
    each: int | None, busy: frozenset[str]
) -> None:
    lane = Lane("people", picks.PEOPLE, places=1600, each=each)
    for _ in range(1400):
        lane.take("alice")
    assert lane.wishes().busy == busy


def test_a_claim_takes_no_more_than_there_are_places() -> None:
    for _ in range(5):
        asked("alice")
    lane = Lane("people", picks.PEOPLE, places=3)
    assert claim(lane, limit=lane.wishes().limit) == ["alice"] * 3
    assert lane.free == 0
    assert Lane("people", picks.PEOPLE, places=9999).wishes().limit == lanes.MOST_AT_ONCE
    assert Lane("tiny", picks.PEOPLE, places=0).places == 1


def test_what_another_worker_has_taken_is_not_claimed() -> None:
    asked("alice")
    one, other = (Lane("people", picks.PEOPLE, places=10) for _ in range(2))
    assert claim(one, limit=10, holder="one") == ["alice"]
    assert claim(other, limit=10, holder="other") == []
