"""A turn's part of the database: one holder at a time, written by who holds it, put back when it fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sandboxes import clock
from sandboxes.core.codes import Code, NoticeCode
from sandboxes.core.facts import CallResult, Fetched, FetchFailed
from sandboxes.core.results import ResultKind
from sandboxes.core.vocabulary import Action, OperationStatus, Status
from sandboxes.models import Notice, Operation, Sandbox, SandboxEvent
from sandboxes.services import lifecycle
from sandboxes.services.lifecycle import turns
from tests.support import rows
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from uuid import UUID

    from pytest_django import Settings

    from sandboxes.services.lifecycle.turns import Turn
    from tests.support.emulator import Emulator

BOXES, CLAIMERS = 8, 4
BROKEN = ValueError("a bug of ours")


def reload(sandbox: Sandbox) -> Sandbox:
    return Sandbox.objects.get(pk=sandbox.pk)


def stop_of(sandbox: Sandbox, **fields: object) -> Operation:
    given = {"due_at": clock.now(), "owner": sandbox.owner_id} | fields
    return rows.operation(sandbox, Action.STOP, OperationStatus.QUEUED, **given)


def claim(*sandboxes: Sandbox) -> list[Turn]:
    return turns.claim([sandbox.pk for sandbox in sandboxes], holder="test")


@pytest.mark.django_db
def test_what_is_claimed_is_due_again_when_the_lease_ends(settings: Settings) -> None:
    now = clock.now()
    rests, due, busy = rows.sandbox(), rows.sandbox(fetch_due_at=now), rows.sandbox()
    operation = stop_of(busy)
    found = {turn.sandbox_id: turn for turn in claim(rests, due, busy)}
    assert found[busy.pk].operation_id == operation.pk
    assert (found[rests.pk].operation_id, found[due.pk].operation_id) == (None, None)
    until = reload(due).lease_until
    assert until is not None
    assert until - now >= timedelta(seconds=settings.LEASE_SECONDS)
    operation.refresh_from_db()
    assert (reload(due).fetch_due_at, reload(rests).fetch_due_at) == (until, None)
    assert operation.due_at is not None
    assert timedelta() <= operation.due_at - until < timedelta(seconds=1), "the second of two statements"
    assert claim(rests, due, busy) == []
    clock.move(settings.LEASE_SECONDS + 1)
    assert len(claim(rests, due, busy)) == 3, "who held them has died"


@pytest.mark.django_db
def test_a_claim_brings_nothing_forward() -> None:
    later = clock.now() + timedelta(hours=1)
    sandbox = rows.sandbox(fetch_due_at=later)
    operation = stop_of(sandbox, due_at=later)
    assert len(claim(sandbox)) == 1
    operation.refresh_from_db()
    assert (reload(sandbox).fetch_due_at, operation.due_at) == (later, later)


@pytest.mark.django_db
def test_what_is_given_up_is_due_at_once() -> None:
    sandbox, busy = rows.sandbox(fetch_due_at=clock.now()), rows.sandbox()
    operation = stop_of(busy)
    for turn in claim(sandbox, busy):
        turns.release(turn)
    operation.refresh_from_db()
    now = clock.now()
    assert operation.due_at is not None
    assert operation.due_at <= now
    row = reload(sandbox)
    assert row.fetch_due_at is not None
    assert row.fetch_due_at <= now
    assert (row.lease_token, reload(busy).lease_token) == ("", "")
    assert len(claim(sandbox, busy)) == 2


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@given(wanted=st.lists(st.sets(st.integers(0, BOXES - 1), min_size=1), min_size=CLAIMERS, max_size=CLAIMERS))
@hypothesis_settings(max_examples=25, suppress_health_check=list(HealthCheck), deadline=None)
def test_several_who_claim_at_once_never_get_the_same(wanted: list[set[int]]) -> None:
    Sandbox.objects.all().delete()
    boxes = [rows.sandbox(f"box {number}", fetch_due_at=clock.now()) for number in range(BOXES)]
    together = threading.Barrier(CLAIMERS)

    def one(places: set[int]) -> list[tuple[UUID, str]]:
        try:
            together.wait(PATIENCE)
            return [(turn.sandbox_id, turn.token) for turn in claim(*[boxes[place] for place in places])]
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CLAIMERS) as pool:
        claimed = [pair for found in pool.map(one, wanted) for pair in found]
    assert len({pk for pk, _ in claimed}) == len(claimed), "nobody has what another has"
    assert {pk for pk, _ in claimed} == {boxes[place].pk for places in wanted for place in places}
    assert dict(claimed) == dict(Sandbox.objects.exclude(lease_token="").values_list("pk", "lease_token"))


@pytest.mark.django_db
def test_what_one_decides_whose_lease_was_taken_over_is_not_written() -> None:
    mine, lost = rows.sandbox(), rows.sandbox()
    slow = {turn.sandbox_id: turn for turn in claim(mine, lost)}
    Sandbox.objects.filter(pk=lost.pk).update(lease_token="another's")
    before = Sandbox.objects.values().get(pk=lost.pk)
    failed = FetchFailed(CallResult(ResultKind.NO_ANSWER, message="no answer"))
    outcomes = turns.decide_together([(slow[mine.pk], (failed,)), (slow[lost.pk], (failed,))])
    assert (outcomes[0] is None, outcomes[1] is None) == (False, True)
    assert Sandbox.objects.values().get(pk=lost.pk) == before


@pytest.mark.django_db
def test_many_decide_in_as_many_statements_as_few() -> None:
    def statements(number: int) -> int:
        boxes = [rows.sandbox(f"{number} {place}", fetch_due_at=clock.now()) for place in range(number)]
        asked = [(turn, (Fetched(clock.now()),)) for turn in claim(*boxes)]
        assert len(asked) == number
        with CaptureQueriesContext(connection) as queries:
            turns.decide_together(asked)
        return len([query for query in queries if "UPDATE" not in query["sql"]])  # SQLite's are one for each row

    statements(1)
    assert statements(30) == statements(2)


# An error of our own


def test_an_attempt_that_breaks_is_not_due_again_at_once(world: Emulator) -> None:
    """Also where nobody decides together: whatever breaks in a turn puts it back, or it would spin."""
    sandbox = rows.sandbox(status=Status.STOPPED)
    broken = rows.operation(sandbox, Action.START, OperationStatus.QUEUED, due_at=clock.now())
    Operation.objects.filter(pk=broken.pk).update(search={"phase": "nowhere"})
    assert lifecycle.attempt(broken.pk)
    broken.refresh_from_db()
    row = reload(sandbox)
    assert (row.failures, row.lease_token) == (1, "")
    assert broken.due_at is not None
    assert broken.due_at > clock.now()
    assert not world.log(), "nothing was asked of Daytona"


@pytest.mark.django_db
def test_what_fails_is_due_again_after_a_growing_pause_and_staff_are_told() -> None:
    sandbox = rows.sandbox(fetch_due_at=clock.now())
    pauses = []
    for failures in range(1, 6):
        (turn,) = claim(sandbox)
        began = clock.now()
        turns.put_back(turn, BROKEN)
        row = reload(sandbox)
        assert (row.failures, row.lease_token, row.lease_until) == (failures, "", None)
        assert row.fetch_due_at is not None
        pauses.append((row.fetch_due_at - began).total_seconds())
    assert pauses == sorted(pauses)
    assert pauses[0] < 2.0
    assert pauses[-1] > 4 * pauses[0]
    notice = Notice.objects.get(code=NoticeCode.ROWS_FAILING)
    assert str(sandbox.pk) in notice.message
    assert "ValueError: a bug of ours" in notice.message


@pytest.mark.django_db
def test_an_operation_that_fails_ten_times_ends() -> None:
    sandbox = rows.sandbox()
    operation = stop_of(sandbox)
    for failures in range(1, turns.MOST_FAILURES):
        (turn,) = claim(sandbox)
        turns.put_back(turn, BROKEN)
        operation.refresh_from_db()
        assert operation.is_active, failures
        assert operation.due_at is not None
        assert operation.due_at > clock.now()
    (turn,) = claim(sandbox)
    turns.put_back(turn, BROKEN)
    operation.refresh_from_db()
    assert (operation.status, operation.code) == (OperationStatus.FAILED, Code.INTERNAL_ERROR)
    assert operation.message == "ValueError: a bug of ours"
    assert (operation.due_at, operation.finished_at is None) == (None, False)
    event = SandboxEvent.objects.get(operation=operation)
    assert (event.owner, event.data) == (sandbox.owner_id, {"status": "failed"})
    assert reload(sandbox).fetch_due_at is not None, "what Daytona made of it is still to be seen"
    assert claim(sandbox)[0].operation_id is None


@pytest.mark.django_db
def test_a_sandbox_without_an_operation_is_tried_for_ever_but_seldom() -> None:
    sandbox = rows.sandbox(fetch_due_at=clock.now(), failures=500)
    (turn,) = claim(sandbox)
    turns.put_back(turn, BROKEN)
    row = reload(sandbox)
    assert row.failures == 501
    assert row.fetch_due_at is not None
    assert row.fetch_due_at - clock.now() <= timedelta(seconds=turns.LONGEST_FAILED_PAUSE)


@pytest.mark.django_db
def test_who_lost_its_lease_puts_nothing_back() -> None:
    sandbox = rows.sandbox(fetch_due_at=clock.now())
    (turn,) = claim(sandbox)
    Sandbox.objects.filter(pk=sandbox.pk).update(lease_token="another's")
    before = Sandbox.objects.values().get(pk=sandbox.pk)
    turns.put_back(turn, BROKEN)
    assert Sandbox.objects.values().get(pk=sandbox.pk) == before
    assert not Notice.objects.exists()


@pytest.mark.django_db
def test_a_success_forgets_the_failures() -> None:
    sandbox = rows.sandbox(fetch_due_at=clock.now(), failures=3)
    (turn,) = claim(sandbox)
    turns.decide_together([(turn, (FetchFailed(CallResult(ResultKind.NO_ANSWER, message="no answer")),))])
    assert reload(sandbox).failures == 0
