from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core.causes import Cause
from sandboxes.core.draft import Draft
from sandboxes.core.observed_causes import cause_of_change
from sandboxes.core.vocabulary import Action, CallOutcome, Source
from tests.core.building import LIMITS, NOW, OTHER, at, call, operation, remote, sandbox

if TYPE_CHECKING:
    from sandboxes.core.facts import CallFacts, OperationFacts, SandboxFacts

MINUTE = 60.0


def cause(
    state: str, *calls: CallFacts, of: SandboxFacts | None = None, one: OperationFacts | None = None, **shown: Any
) -> Cause:
    draft = Draft(of or sandbox(), now=NOW, limits=LIMITS, operation=one, calls=calls)
    return cause_of_change(draft, remote(state, **shown), started=NOW)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Source.API, Cause.OPERATION), (Source.ADMIN, Cause.OPERATION), (Source.SWEEP, Cause.OPERATION),
        (Source.EVICTION, Cause.EVICTION), (Source.POLICY, Cause.POLICY),
    ],
)  # fmt: skip
def test_after_a_call_of_the_operation_it_is_of_what_asked_for_that(source: Source, expected: Cause) -> None:
    assert cause("stopped", call("stop"), one=operation(Action.STOP, source=source)) == expected


def test_an_operation_that_has_called_nothing_and_a_sync_cause_nothing() -> None:
    assert cause("stopped", one=operation(Action.STOP)) == Cause.OUTSIDE
    assert cause("resizing", call("stop"), one=operation(Action.SYNC)) == Cause.OUTSIDE


@pytest.mark.parametrize(
    ("name", "state", "expected"),
    [
        ("stop", "stopped", Cause.SYSTEM),
        ("stop", "stopping", Cause.SYSTEM),
        ("stop", "error", Cause.SYSTEM),
        ("stop", "started", Cause.OUTSIDE),
        ("delete", "destroyed", Cause.SYSTEM),
        ("delete", "error", Cause.OUTSIDE),
        ("recover", "stopped", Cause.SYSTEM),
        ("recover", "archived", Cause.SYSTEM),
        ("start", "stopped", Cause.OUTSIDE),
    ],
)
def test_what_our_latest_call_may_lead_to_is_ours(name: str, state: str, expected: Cause) -> None:
    assert cause(state, call(name, operation_id=OTHER)) == expected


def test_what_a_call_of_before_began_is_of_whichever_operation_looks() -> None:
    assert cause("stopped", call("stop", operation_id=OTHER), one=operation(Action.START)) == Cause.OPERATION


def test_a_refused_call_explains_nothing() -> None:
    assert cause("stopped", call("stop", outcome=CallOutcome.REFUSED)) == Cause.OUTSIDE


@pytest.mark.parametrize(
    ("state", "seen", "made", "expected"),
    [
        ("started", None, -400, Cause.SYSTEM),  # nothing was seen before
        ("started", -400, -400, Cause.SYSTEM),  # the first fetch since
        ("started", -399, -400, Cause.OUTSIDE),
        ("stopping", -5, -300, Cause.SYSTEM),  # it goes on with what the call began
        ("stopping", -5, -301, Cause.OUTSIDE),
        ("unheard of", -5, -10, Cause.OUTSIDE),
    ],
)
def test_how_long_a_call_explains_what_is_seen(
    state: str, seen: float | None, made: float, expected: Cause
) -> None:
    row = sandbox(state, observed_at=None if seen is None else at(seen))
    assert cause("stopped", call("stop", made), of=row) == expected


@pytest.mark.parametrize(
    ("state", "seconds", "expected"),
    [
        ("stopped", 15 * MINUTE - 10, Cause.AUTO_STOP),
        ("stopping", 15 * MINUTE + 120, Cause.AUTO_STOP),
        ("stopped", 15 * MINUTE - 11, Cause.OUTSIDE),
        ("stopped", 15 * MINUTE + 121, Cause.OUTSIDE),
        ("archived", 15 * MINUTE, Cause.OUTSIDE),
    ],
)
def test_a_stop_when_the_auto_stop_was_due_is_its(state: str, seconds: float, expected: Cause) -> None:
    used = at(-30 * MINUTE)
    stopped_at = at(seconds - 30 * MINUTE)
    assert cause(state, of=sandbox(last_activity_at=used), last_activity_at=stopped_at) == expected
    kept = sandbox(last_activity_at=at(-60 * MINUTE), touch_forwarded_at=used)
    assert cause(state, of=kept, last_activity_at=stopped_at) == expected


@pytest.mark.parametrize("fields", [{"observed_auto_stop": 0}, {"last_activity_at": None}])
def test_without_an_interval_or_a_use_nothing_tells_an_auto_stop(fields: dict[str, Any]) -> None:
    row = sandbox(**({"last_activity_at": at(-15 * MINUTE)} | fields))
    assert cause("stopped", of=row, last_activity_at=NOW) == Cause.OUTSIDE
    assert cause("stopped", of=sandbox(last_activity_at=at(-15 * MINUTE)), last_activity_at=None) == Cause.OUTSIDE
