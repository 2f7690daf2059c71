"""How long is waited before something is tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sandboxes.core import quota
from sandboxes.core.backoff import backoff
from sandboxes.core.decide import decide
from sandboxes.core.facts import CallAnswered, Result
from sandboxes.core.results import ResultKind
from sandboxes.core.vocabulary import Action, CallOutcome, OperationStatus
from tests.core.building import NOW, call, facts, operation, sandbox


@pytest.mark.parametrize(("attempt", "longest"), [(0, 1.0), (1, 2.0), (3, 8.0), (4, 10.0), (10**6, 10.0)])
def test_a_pause_grows_to_its_end_and_is_drawn_from_the_upper_half_of_that(attempt: int, longest: float) -> None:
    pauses = [backoff(attempt, first=1.0, longest=10.0, jitter=jitter) for jitter in (0.0, 0.5, 1.0)]
    assert pauses == [longest / 2, longest * 0.75, longest]


def test_two_that_were_refused_together_do_not_come_back_together() -> None:
    pauses = [_pause_after_a_refusal(jitter) for jitter in (0.0, 1.0)]
    assert pauses == [timedelta(seconds=5), timedelta(seconds=10)]


def _pause_after_a_refusal(jitter: float) -> timedelta:
    stop = operation(Action.STOP, status=OperationStatus.IN_PROGRESS, attempt=10**3)
    answer = CallAnswered(Result(ResultKind.BUSY, "in progress"))
    decision = decide(
        facts(answer, of=sandbox(), operation=stop, calls=(call("stop", 0, CallOutcome.PENDING),), jitter=jitter)
    )
    assert decision.operation is not None
    assert decision.operation.due_at is not None
    return decision.operation.due_at - NOW


def test_two_that_found_the_quota_full_together_do_not_ask_again_together() -> None:
    found = [quota.begin("full", now=NOW, jitter=jitter).not_before for jitter in (0.0, 0.5, 1.0)]
    assert found == [NOW + timedelta(seconds=seconds) for seconds in (0.2, 0.5, 0.8)]
