"""What is written of a call before and after it is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sandboxes.core.calls import has_recovered, has_stopped, record_attempt, record_result, standing_refusal
from sandboxes.core.draft import Draft
from sandboxes.core.facts import AddEvent, CallFacts, CallResult
from sandboxes.core.results import MEANINGS, ResultKind
from sandboxes.core.vocabulary import Action, CallOutcome
from tests.core.building import LIMITS, NOW, OPERATION, OTHER, at, call, operation, sandbox

K = ResultKind
REFUSED = CallOutcome.REFUSED


def draft(action: str, *calls: CallFacts, **fields: Any) -> Draft:
    row = sandbox("started", **fields)
    return Draft(row, now=NOW, limits=LIMITS, operation=operation(action), calls=calls)


def events(made: Draft) -> list[tuple[str, dict[str, Any]]]:
    return [(one.text, dict(one.data)) for one in made.effects if isinstance(one, AddEvent)]


def test_an_attempt_is_in_doubt_from_before_it_is_made() -> None:
    made = draft(Action.STOP)
    record_attempt(made, "stop")
    assert made.calls == (
        CallFacts(operation_id=OPERATION, name="stop", made_at=NOW, first_at=NOW, in_doubt_until=at(300)),
    )
    assert made.operation is not None
    assert (made.operation.step, made.operation.attempted_at) == ("asking Daytona to stop", NOW)
    assert made.sandbox.status == "stopping"


@pytest.mark.parametrize(
    ("action", "name", "step"),
    [
        ("archive", "stop", "stopping before archive"),
        ("archive", "archive", "asking Daytona to archive"),
        ("stop", "stop", "asking Daytona to stop"),
        ("restart", "stop", "asking Daytona to stop"),
        ("restart", "start", "asking Daytona to start"),
    ],
)
def test_the_first_half_of_an_archive_is_called_so(action: str, name: str, step: str) -> None:
    made = draft(action)
    record_attempt(made, name)
    assert made.operation is not None
    assert made.operation.step == step


def test_the_same_after_a_refusal_is_one_line() -> None:
    refused = call("stop", -5, REFUSED, message="no", times=2, first_at=at(-60))
    made = draft(Action.STOP, refused)
    record_attempt(made, "stop")
    expected = replace(refused, made_at=NOW, outcome=CallOutcome.PENDING, times=3, in_doubt_until=at(300))
    assert made.calls == (expected,)


@pytest.mark.parametrize(
    "before",
    [
        (call("start", -5, REFUSED),),  # another call
        (call("stop", -5, CallOutcome.UNKNOWN),),
        (call("stop", -5, REFUSED, operation_id=OTHER),),  # another operation's
        (call("stop", -9, REFUSED), call("start", -5, REFUSED, operation_id=OTHER)),  # another came between
    ],
)
def test_anything_else_is_a_line_of_its_own(before: tuple[CallFacts, ...]) -> None:
    made = draft(Action.STOP, *before)
    record_attempt(made, "stop")
    assert made.calls[:-1] == before
    assert (made.calls[-1].times, made.calls[-1].id) == (1, None)


def test_a_definite_answer_ends_the_doubt_of_this_call_alone() -> None:
    earlier, latest = call("stop", -9, CallOutcome.UNKNOWN), call("stop", -1, CallOutcome.PENDING, id=2)
    made = draft(Action.STOP, earlier, latest)
    assert record_result(made, CallResult(K.ACCEPTED)) == "stop"
    assert made.calls == (earlier, replace(latest, outcome=CallOutcome.ACCEPTED, in_doubt_until=None))
    assert events(made) == [("stop: accepted", {})]


@pytest.mark.parametrize("kind", ResultKind)
def test_what_each_kind_of_answer_leaves(kind: ResultKind) -> None:
    made = draft(Action.STOP, call("stop", -1, CallOutcome.PENDING))
    record_result(made, CallResult(kind, "words"))
    after, meaning = made.calls[-1], MEANINGS[kind]
    assert after.outcome == meaning.outcome
    assert after.in_doubt_until == (at(299) if kind in (K.NO_ANSWER, K.NOTHING_SAID) else None)
    assert after.message == ("words" if kind in (K.WRONG_STATE, K.REJECTED, K.START_FAILED) else "")
    assert after.may_be_stale == (kind is K.WRONG_STATE)
    assert after.was_outage == (kind is K.NOTHING_SAID)
    is_told = kind in (
        K.WRONG_STATE, K.REJECTED, K.START_FAILED, K.COMPUTE_QUOTA_FULL, K.DISK_QUOTA_FULL,
    )  # fmt: skip
    assert events(made) == [(f"stop: {meaning.outcome}", {"daytona_message": "words"} if is_told else {})]


def test_a_refusal_keeps_the_quota_that_it_told() -> None:
    made = draft(Action.START, call("start", -1, CallOutcome.PENDING))
    record_result(made, CallResult(K.COMPUTE_QUOTA_FULL, "words", resource="CPU", limit=33.0))
    assert events(made) == [("start: refused", {"daytona_message": "words", "quota": {"CPU": 33.0}})]


def test_a_refusal_that_is_repeated_is_told_once() -> None:
    made = draft(Action.STOP, call("stop", -1, CallOutcome.PENDING, times=2, message="no"))
    record_result(made, CallResult(K.REJECTED, "no"))
    assert [(one.times, one.outcome) for one in made.calls] == [(2, REFUSED)]
    assert events(made) == []


@pytest.mark.parametrize(
    "result",
    [
        CallResult(K.REJECTED, "another no"),
        CallResult(K.ACCEPTED),
        CallResult(K.THROTTLED),
        CallResult(K.START_FAILED, "no"),
    ],
)
def test_another_answer_than_those_before_is_a_line_of_its_own(result: CallResult) -> None:
    pending = call("stop", -1, CallOutcome.PENDING, times=2, message="no", first_at=at(-60))
    made = draft(Action.STOP, pending)
    record_result(made, result)
    before, after = made.calls
    assert before == replace(pending, outcome=REFUSED, times=1, in_doubt_until=None)
    assert (after.id, after.first_at, after.times) == (None, at(-1), 1)
    assert after.outcome == MEANINGS[result.kind].outcome
    assert len(events(made)) == 1


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (call("recover"), True),
        (call("recover", outcome=CallOutcome.PENDING), True),
        (call("recover", outcome=REFUSED), False),
        (call("start"), False),
        (call("recover", operation_id=OTHER), False),
    ],
)
def test_whether_this_operation_has_recovered(made: CallFacts, expected: bool) -> None:
    assert has_recovered(draft(Action.START, made)) is expected


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (call("stop"), False),  # that it was accepted does not say that it is over
        (call("stop", effect_seen_at=NOW), True),
        (call("stop", outcome=CallOutcome.UNKNOWN), False),
        (call("start"), True),
        (call("start", outcome=CallOutcome.PENDING), True),
        (call("start", outcome=REFUSED), False),
        (call("recover"), True),
        (call("stop", effect_seen_at=NOW, operation_id=OTHER), False),
    ],
)
def test_whether_this_operation_is_past_its_stop(made: CallFacts, expected: bool) -> None:
    assert has_stopped(draft(Action.RESTART, made)) is expected


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (call("stop", -5, REFUSED, message="no"), "no"),
        (call("start", -5, REFUSED, message="no"), ""),
        (call("stop", -5, CallOutcome.FAILED, message="no"), ""),
        (call("stop", -5, REFUSED), ""),
        (call("stop", -9.9, REFUSED, message="no", may_be_stale=True), ""),  # the look may come from the cache
        (call("stop", -10, REFUSED, message="no", may_be_stale=True), "no"),
        (call("stop", -1, REFUSED, message="no", may_be_stale=True, first_at=at(-10)), "no"),
        (call("stop", -5, REFUSED, message="no", operation_id=OTHER), ""),
    ],
)
def test_a_refusal_stands_where_a_look_confirms_it(made: CallFacts, expected: str) -> None:
    assert standing_refusal(draft(Action.STOP, made), "stop") == expected


def test_nothing_stands_before_any_call() -> None:
    assert standing_refusal(draft(Action.STOP), "stop") == ""
