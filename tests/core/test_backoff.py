"""Pauses grow, end somewhere, and differ."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sandboxes.core.backoff import backoff, by_age
from sandboxes.core.decide import decide
from sandboxes.core.facts import CallAnswered, CallResult
from sandboxes.core.results import ResultKind
from sandboxes.core.vocabulary import Action, CallOutcome, OperationStatus
from tests.core.building import NOW, call, facts, operation, sandbox


@pytest.mark.parametrize(
    ("attempt", "jitter", "expected"),
    [
        (0, 1.0, 1.0),
        (1, 1.0, 2.0),
        (3, 1.0, 8.0),
        (4, 1.0, 10.0),  # the longest
        (5_000, 1.0, 10.0),  # no overflow after days
        (0, 0.0, 0.5),
        (3, 0.5, 6.0),
    ],
)
def test_a_pause_grows_to_its_end_and_is_drawn_from_its_upper_half(
    attempt: int, jitter: float, expected: float
) -> None:
    assert backoff(attempt, first=1, longest=10, jitter=jitter) == pytest.approx(expected)


def test_the_factor_says_how_fast() -> None:
    assert backoff(2, first=1, longest=100, factor=1.5, jitter=1) == pytest.approx(2.25)


def test_the_exponent_has_an_end() -> None:
    assert backoff(60, first=1, longest=1e30, jitter=1) == backoff(61, first=1, longest=1e30, jitter=1)
    assert backoff(59, first=1, longest=1e30, jitter=1) < backoff(60, first=1, longest=1e30, jitter=1)


@pytest.mark.parametrize(("age", "expected"), [(0, 5), (9, 5), (30, 15), (1_000, 100)])
def test_what_has_lasted_is_looked_at_after_half_of_that_again(age: float, expected: float) -> None:
    assert by_age(age, first=5, longest=100) == expected


def test_two_that_were_refused_together_do_not_come_back_together() -> None:
    pauses = [_pause_after_a_refusal(jitter) for jitter in (0.0, 1.0)]
    assert pauses == [timedelta(seconds=5), timedelta(seconds=10)]


def _pause_after_a_refusal(jitter: float) -> timedelta:
    stop = operation(Action.STOP, status=OperationStatus.IN_PROGRESS, attempt=10**3)
    answer = CallAnswered(CallResult(ResultKind.BUSY, "in progress"))
    decision = decide(
        facts(answer, of=sandbox(), operation=stop, calls=(call("stop", 0, CallOutcome.PENDING),), jitter=jitter)
    )
    assert decision.operation is not None
    assert decision.operation.due_at is not None
    return decision.operation.due_at - NOW
