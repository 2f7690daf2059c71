"""decide(): what Daytona's answer to a call leads to, and an answer that did not come; room in a full quota."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core.codes import Code, NoticeCode
from sandboxes.core.decide import deadline_for, decide
from sandboxes.core.facts import (
    CallAnswered,
    CallResult,
    CloseNotices,
    Decision,
    FetchFailed,
    ReleaseRoom,
    RoomSought,
)
from sandboxes.core.plan import Call, Fail, FindRoom
from sandboxes.core.quota import Phase
from sandboxes.core.resources import Resource
from sandboxes.core.results import MEANINGS, ResultKind
from sandboxes.core.vocabulary import CallOutcome, OperationStatus
from tests.core.building import DEADLINES, LIMITS, NOW, at, call, facts, fetched, sandbox
from tests.core.test_decide import SEARCH, UNMADE, after, its, notices, waits

if TYPE_CHECKING:
    from datetime import datetime

K = ResultKind
PENDING = CallOutcome.PENDING
COMPUTE_ALONE = replace(LIMITS, room_for=frozenset({Resource.COMPUTE}))


def answered(kind: ResultKind, action: str = "stop", **fields: Any) -> Decision:
    calls = fields.pop("calls", (call(fields.pop("name", action), -4, PENDING),))
    result = CallResult(kind, "words", **fields.pop("result", {}))
    asked = {"attempted_at": at(-4), "attempt": 9, **fields.pop("its", {})}
    return after(CallAnswered(result), action, calls=calls, its=asked, **fields)


@pytest.mark.parametrize("kind", ResultKind)
def test_what_each_kind_of_answer_leads_to(kind: ResultKind) -> None:
    decision, meaning = answered(kind, limits=COMPUTE_ALONE), MEANINGS[kind]
    if kind is K.ACCEPTED:
        assert decision.sandbox.status == "stopping"
    assert decision.calls[-1].outcome == meaning.outcome
    if meaning.fail is not None:
        assert decision.step == Fail(meaning.fail, "words")
        return
    step = waits(decision)
    assert (step.after, step.why, step.counts) == (meaning.pause, meaning.why, meaning.counts)
    assert its(decision).deadline_runs is meaning.counts
    assert notices(decision) == ([meaning.notice] if meaning.notice else [])


@pytest.mark.parametrize(
    ("kind", "deadline", "attempt"),
    [
        (K.ACCEPTED, at(300), 1),  # it has its time again
        (K.START_FAILED, at(300), 1),
        (K.NO_ANSWER, at(299), 10),
        (K.NOTHING_SAID, at(303), 10),  # the call itself did not count either
        (K.THROTTLED, at(303), 10),
        (K.BUSY, at(299), 10),
    ],
)
def test_what_an_answer_does_to_the_deadline(kind: ResultKind, deadline: datetime, attempt: int) -> None:
    found = its(answered(kind))
    assert (found.deadline, found.attempt) == (deadline, attempt)


def test_a_first_attempt_is_credited_since_the_request() -> None:
    assert its(answered(K.THROTTLED, its={"attempted_at": None})).deadline == at(300)
    assert its(answered(K.THROTTLED, its={"attempted_at": at(9)})).deadline == at(299)


@pytest.mark.parametrize(("seconds", "pause"), [(0.0, 0.2), (0.1, 0.2), (20.0, 20.0)])
def test_daytona_says_when_it_may_be_asked_again(seconds: float, pause: float) -> None:
    assert waits(answered(K.THROTTLED, result={"retry_after": seconds})).after == pause


def test_another_pause_is_as_daytona_says() -> None:
    assert waits(answered(K.BUSY, result={"retry_after": 0.1})).after == 0.1


def test_a_create_learns_the_id() -> None:
    made = fetched("creating", id="d-9", organization_id="o-9").remote
    row = answered(K.ACCEPTED, "create", of=UNMADE, result={"remote": made}).sandbox
    assert (row.daytona_id, row.organization_id) == ("d-9", "o-9")
    assert answered(K.ACCEPTED, result={"remote": made}).sandbox.daytona_id == "d-1"


@pytest.mark.parametrize(
    ("name", "is_over"), [("start", True), ("create", True), ("recover", True), ("stop", False)]
)
def test_what_an_accepted_call_shows_to_be_over(name: str, is_over: bool) -> None:
    decision = answered(K.ACCEPTED, name)
    codes = [code for one in decision.effects if isinstance(one, CloseNotices) for code in one.codes]
    assert NoticeCode.DAYTONA_UNAUTHORIZED in codes
    assert (NoticeCode.ORG_SUSPENDED in codes) is is_over
    assert not [one for one in answered(K.BUSY, name).effects if isinstance(one, CloseNotices)]


def test_the_answer_to_a_call_of_what_has_ended_is_kept() -> None:
    decision = answered(K.ACCEPTED, its={"status": OperationStatus.CANCELLED}, active="start")
    assert decision.step is None
    assert decision.calls[-1].outcome == CallOutcome.ACCEPTED
    assert its(decision).attempt == 9
    assert decision.sandbox.status == "stopping"


@pytest.mark.parametrize(
    ("action", "state", "name"),
    [
        ("start", "archived", "start_archived"),
        ("start", "archiving", "start_archived"),
        ("start", "restoring", "start_archived"),
        ("start", "stopped", "start"),
        ("restart", "archived", "start_archived"),
        ("restart", "started", "restart"),
        ("recover", "archived", "recover"),
        ("stop", "archived", "stop"),
    ],
)
def test_how_long_an_operation_has(action: str, state: str, name: str) -> None:
    assert deadline_for(sandbox(state), action, now=NOW, limits=LIMITS) == at(DEADLINES[name])
    assert deadline_for(sandbox(state), "delete", now=NOW, limits=LIMITS) is None


# --- room in a full quota


FULL: dict[str, Any] = {"resource": "CPU", "limit": 10.0}


def test_the_first_refusal_begins_a_search() -> None:
    found = its(answered(K.COMPUTE_QUOTA_FULL, "start", result=FULL, jitter=0.0))
    assert found.search is not None
    assert (found.search.phase, found.search.message, found.search.not_before) == (Phase.RETRY, "words", at(0.2))
    assert found.deadline == at(900)


def test_a_further_refusal_goes_on_with_it() -> None:
    found = its(answered(K.COMPUTE_QUOTA_FULL, "start", result=FULL, its={"search": SEARCH}))
    assert found.search == replace(SEARCH, message="words", phase=Phase.CHOOSE)
    assert found.deadline == at(299)


DISK_FULL: dict[str, Any] = {"resource": "disk", "limit": 10.0}


def test_a_full_disk_is_searched_for_room_as_long_as_an_archive_takes() -> None:
    found = its(answered(K.DISK_QUOTA_FULL, "start", result=DISK_FULL, jitter=0.0))
    assert found.search is not None
    assert (found.search.resource, found.search.phase) == (Resource.DISK, Phase.RETRY)
    assert found.deadline == at(LIMITS.deadlines["archive"])


def test_a_full_disk_is_the_end_where_nobody_may_be_archived() -> None:
    decision = answered(K.DISK_QUOTA_FULL, "start", result=DISK_FULL, limits=COMPUTE_ALONE)
    assert decision.step == Fail(Code.DISK_QUOTA_FULL, "words")


@pytest.mark.parametrize(("limit", "is_too_small"), [(2.0, True), (3.0, False), (None, False)])
def test_a_disk_that_is_too_small_is_told_at_once(limit: float | None, is_too_small: bool) -> None:
    row = sandbox("archived", disk_gb=3)
    decision = answered(K.DISK_QUOTA_FULL, "start", of=row, result={"resource": "disk", "limit": limit})
    assert (decision.step == Fail(Code.QUOTA_TOO_SMALL, "words")) is is_too_small


def test_who_lacks_something_else_now_searches_for_that() -> None:
    decision = answered(K.DISK_QUOTA_FULL, "start", result=DISK_FULL, its={"search": SEARCH})
    found = its(decision).search
    assert found is not None
    assert (found.resource, found.phase, found.lease) == (Resource.DISK, Phase.RETRY, "")
    assert ReleaseRoom(SEARCH) in decision.effects


@pytest.mark.parametrize("kind", [K.ACCEPTED, K.START_FAILED, K.NO_ANSWER])
def test_the_search_is_over_once_daytona_has_room(kind: ResultKind) -> None:
    decision = answered(kind, "start", its={"search": SEARCH})
    assert its(decision).search is None
    assert ReleaseRoom(SEARCH) in decision.effects
    assert its(answered(K.BUSY, "start", its={"search": SEARCH})).search == SEARCH


@pytest.mark.parametrize(
    ("resource", "limit", "row", "is_too_small"),
    [
        ("CPU", 3.0, {"cpu": 4}, True),
        ("CPU", 4.0, {"cpu": 4}, False),
        ("memory", 3.0, {"memory_gb": 4}, True),
        ("memory", 3.0, {"cpu": 4}, False),
        ("GPU", 0.0, {}, True),
        ("GPU", 1.0, {}, False),
        ("CPU", 0.0, {"cpu": 0}, True),
        ("CPU", None, {"cpu": 4}, False),
    ],
)
def test_a_quota_that_is_too_small_is_told_at_once(
    resource: str, limit: float | None, row: dict[str, Any], is_too_small: bool
) -> None:
    decision = answered(
        K.COMPUTE_QUOTA_FULL, "start", of=sandbox("stopped", **row), result={"resource": resource, "limit": limit}
    )
    assert (decision.step == Fail(Code.QUOTA_TOO_SMALL, "words")) is is_too_small


def test_a_search_comes_before_the_call() -> None:
    decision = after(fetched("stopped"), "start", of=sandbox("stopped"), its={"search": SEARCH})
    assert decision.step == FindRoom("start")
    assert its(decision).attempted_at == NOW
    assert decision.calls == ()


def sought(**fields: Any) -> Decision:
    search = fields.pop("search", SEARCH)
    return after(RoomSought(search, "start"), "start", of=sandbox("stopped"), **fields)


def test_what_a_search_leads_to() -> None:
    found = sought()
    assert (found.step, found.calls[-1].name, its(found).search) == (Call("start"), "start", SEARCH)
    waiting = sought(search=replace(SEARCH, phase=Phase.VICTIM))
    step = waits(waiting)
    assert (step.after, step.why, step.counts, waiting.calls) == (0.3, "waiting for capacity", True, ())
    assert waiting.sandbox.status == "stopped"
    in_vain = replace(SEARCH, exhausted="nothing")
    assert sought(search=in_vain).step == Fail(Code.CAPACITY_EXHAUSTED, "nothing")
    assert ReleaseRoom(in_vain) in sought(search=in_vain).effects
    assert sought(on_hold=True).step == Fail(Code.OWNER_ON_HOLD)


def test_a_search_for_what_has_ended_is_given_back() -> None:
    decision = sought(its={"status": OperationStatus.CANCELLED})
    assert (decision.step, decision.effects) == (None, (ReleaseRoom(SEARCH),))
    assert decision.sandbox.status == "stopped"


# --- Daytona could not be asked


def failed(kind: ResultKind, *, retry_after: float = 0.0, **fields: Any) -> Decision:
    return after(FetchFailed(CallResult(kind, "words", retry_after=retry_after)), **fields)


@pytest.mark.parametrize(
    ("kind", "pause", "why"),
    [
        (K.NOTHING_SAID, 0.5, "Daytona did not answer; looking what happened"),
        (K.THROTTLED, 0.2, "Daytona throttles; waiting"),
        (K.REJECTED, 5.0, "Daytona refuses to show it; waiting"),
        (K.WRONG_STATE, 5.0, "Daytona refuses to show it; waiting"),
        (K.UNAUTHORIZED, 60.0, "Daytona refuses our key; waiting"),
    ],
)
def test_whoever_could_not_look_waits(kind: ResultKind, pause: float, why: str) -> None:
    decision = failed(kind, its={"attempted_at": at(-4)})
    step = waits(decision)
    assert (step.after, step.why, step.counts, step.may_be_sooner) == (pause, why, False, False)
    assert (its(decision).deadline, its(decision).deadline_runs) == (at(303), False)
    told = NoticeCode.UNKNOWN_ANSWER if kind in (K.REJECTED, K.WRONG_STATE) else MEANINGS[kind].notice
    assert notices(decision) == ([told] if told else [])


def test_daytona_says_when_it_may_be_looked_at_again() -> None:
    assert waits(failed(K.THROTTLED, retry_after=20)).after == 20
    assert waits(failed(K.REJECTED, retry_after=20)).after == 5


def test_what_has_ended_does_not_wait() -> None:
    decision = failed(K.NOTHING_SAID, its={"status": OperationStatus.CANCELLED})
    assert (decision.step, its(decision).deadline) == (None, at(299))


@pytest.mark.parametrize(("retry_after", "due"), [(0.0, at(5)), (20.0, at(20))])
def test_a_look_of_its_own_comes_again(retry_after: float, due: datetime) -> None:
    result = CallResult(K.THROTTLED, retry_after=retry_after)
    decision = decide(facts(FetchFailed(result), of=sandbox()))
    assert (decision.step, decision.sandbox.fetch_due_at) == (None, due)
