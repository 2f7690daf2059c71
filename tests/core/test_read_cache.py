"""What a GET proves of a call made just before it, while Daytona answers GETs from a cache."""

from __future__ import annotations

import pytest

from sandboxes.core.decide import decide
from sandboxes.core.plan import Call, LookAgain
from sandboxes.core.vocabulary import Action, CallOutcome, OperationStatus
from tests.core.building import LIMITS, call, facts, fetched, operation, sandbox

CACHE = LIMITS.read_cache


@pytest.mark.parametrize(
    ("outcome", "believed_after"),
    [
        (CallOutcome.ACCEPTED, CACHE),
        (CallOutcome.FAILED, CACHE),
        (CallOutcome.UNKNOWN, CACHE / 2),
        (CallOutcome.PENDING, CACHE / 2),
    ],
)
def test_a_state_from_before_a_call_is_believed_once_the_cache_cannot_hold_it_any_more(
    outcome: CallOutcome, believed_after: float
) -> None:
    """A call without an answer is taken for lost after half of that: it was most likely never made."""
    assert isinstance(_step(outcome, believed_after - 0.1), LookAgain)
    assert _step(outcome, believed_after) == Call("start")


def _step(outcome: CallOutcome, age: float) -> object:
    """What follows when Daytona still says “stopped” so long after our start."""
    start = operation(Action.START, status=OperationStatus.IN_PROGRESS)
    made = call("start", -age, outcome)
    return decide(facts(fetched("stopped"), of=sandbox("stopped"), operation=start, calls=(made,))).step
