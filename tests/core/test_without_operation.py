"""A look of its own: an intent that is not met is issued again, and what is on its way to Daytona is compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sandboxes.core import pending
from sandboxes.core.decide import decide
from sandboxes.core.facts import AddEvent, Decision, Fetched, LastRequest, NewOperation, SandboxFacts, TellDaytona
from sandboxes.core.parameters import Parameters
from sandboxes.core.pending import Pending
from sandboxes.core.vocabulary import Action, Actor, CallOutcome, OperationStatus, Source
from sandboxes.core.without_operation import keep_intent
from tests.core.building import NOW, OTHER, at, call, facts, fetched, sandbox

SUCCEEDED, FAILED = OperationStatus.SUCCEEDED, OperationStatus.FAILED


def look(row: SandboxFacts, answer: Fetched, **fields: Any) -> Decision:
    return decide(facts(answer, of=row, **fields))


def unmet(intent: str, state: str = "started", **fields: Any) -> SandboxFacts:
    return sandbox(state, **({"intent": intent, "intent_met_at": None, "intent_at": at(-100)} | fields))


def kept(decision: Decision) -> list[tuple[str, bool]]:
    return [(one.action, one.parameters.force) for one in decision.effects if isinstance(one, NewOperation)]


def last(action: str, status: str, *, forced: bool = False) -> LastRequest:
    return LastRequest(action=action, status=status, parameters=Parameters(force=forced))


@pytest.mark.parametrize(
    ("row", "state", "asked", "expected"),
    [
        (unmet("stopped"), "started", last("stop", FAILED), [("stop", False)]),
        (unmet("stopped"), "started", last("stop", FAILED, forced=True), [("stop", True)]),
        (unmet("stopped"), "started", None, [("stop", False)]),
        (unmet("archived"), "stopped", last("archive", FAILED), [("archive", False)]),
        (unmet("deleted"), "started", last("delete", FAILED), [("delete", False)]),
        (unmet("stopped"), "stopped", last("stop", FAILED), []),  # it is met
        (unmet("stopped"), "stopping", last("stop", FAILED), []),  # an operation could do nothing
        (unmet("stopped"), "error", last("stop", FAILED), []),
        (unmet("stopped", intent_met_at=at(-9)), "started", last("stop", SUCCEEDED), []),
        (unmet("stopped", intent_at=at(1)), "stopped", None, []),
        (unmet("running", "stopped"), "stopped", last("start", FAILED), []),  # that was answered
        (unmet("running", "stopped"), "stopped", last("start", SUCCEEDED), [("start", False)]),
        (unmet("running", "stopped"), "stopped", last("recover", SUCCEEDED), [("start", False)]),
        (unmet("running", "stopped"), "stopped", last("create", SUCCEEDED), [("start", False)]),
        (unmet("running", "stopped"), "stopped", last("stop", SUCCEEDED), []),
        (unmet("running", "stopped"), "stopped", None, []),
        (unmet("stopped"), "destroyed", None, []),
    ],
)
def test_an_intent_that_is_not_met_is_issued_again(
    row: SandboxFacts, state: str, asked: LastRequest | None, expected: list[tuple[str, bool]]
) -> None:
    assert kept(look(row, fetched(state), last_request=asked)) == expected


@pytest.mark.parametrize(("forced", "expected"), [(True, [("stop", True)]), (False, [])])
def test_nothing_that_would_destroy_it_is_issued_without_force(
    forced: bool, expected: list[tuple[str, bool]]
) -> None:
    answer = fetched("started", auto_delete_interval=0)
    assert kept(look(unmet("stopped"), answer, last_request=last("stop", FAILED, forced=forced))) == expected


def test_nothing_is_issued_beside_an_operation_or_before_it_is_made() -> None:
    assert kept(look(unmet("stopped"), fetched("started"), active="archive")) == []
    assert kept(look(unmet("stopped", "", daytona_id=None, observed_at=None), Fetched(NOW))) == []


def test_a_call_whose_effect_may_not_show_yet_is_waited_for() -> None:
    made = call("stop", -5, operation_id=OTHER)
    assert kept(look(unmet("stopped"), fetched("started"), calls=(made,))) == []
    refused = replace(made, outcome=CallOutcome.REFUSED)
    assert kept(look(unmet("stopped"), fetched("started"), calls=(refused,))) == [("stop", False)]


@pytest.mark.parametrize(
    ("row", "action"),
    [
        (sandbox(intent="running"), Action.START),
        (sandbox(intent="deleted"), Action.DELETE),
        (sandbox(intent="running", daytona_id=None), Action.CREATE),
        (sandbox(intent="deleted", daytona_id=None), Action.DELETE),
    ],
)
def test_the_operation_that_keeps_an_intent(row: SandboxFacts, action: Action) -> None:
    new = keep_intent(row, parameters=Parameters(force=True))
    assert (new.action, new.actor, new.source, new.parameters.force) == (
        action,
        Actor.system("intent"),
        Source.SWEEP,
        True,
    )
    assert new.reason == f"owner:alice wants it {row.intent}"


# --- what is on its way to Daytona


def waiting(**changes: Pending) -> SandboxFacts:
    return sandbox(daytona_name="foreign", auto_stop_minutes=5, pending_changes=pending.as_data(changes))


DOUBTED = Pending(value=5, told_at=NOW, due_at=at(9), doubt_until=at(9))


def told(decision: Decision) -> list[tuple[str, ...]]:
    return [one.keys for one in decision.effects if isinstance(one, TellDaytona)]


@pytest.mark.parametrize(
    ("one", "holds", "left", "is_told"),
    [
        (Pending(value=5), 15, Pending(value=5), True),
        (Pending(value=5, due_at=at(0)), 15, Pending(value=5, due_at=at(0)), True),
        (Pending(value=5, due_at=at(1)), 15, Pending(value=5, due_at=at(1)), False),
        (Pending(value=5), 5, None, False),
        (Pending(value=5, told_at=at(-9)), 15, Pending(value=5, told_at=at(-9), due_at=at(1)), False),
        (Pending(value=5, told_at=at(-10)), 15, None, False),  # it holds another one for good
        (Pending(value=5, told_at=at(-10)), 5, None, False),
        (Pending(value=5, told_at=at(-10), doubt_until=at(9)), 15, Pending(value=5, doubt_until=at(9)), True),
        (Pending(value=5, told_at=at(-10), doubt_until=at(0)), 15, Pending(value=5), True),
        (Pending(value=5, doubt_until=at(9)), 5, DOUBTED, False),
        (Pending(value=5, doubt_until=at(0)), 5, None, False),
    ],
)  # fmt: skip
def test_what_is_left_of_a_change_after_a_look(
    one: Pending, holds: int, left: Pending | None, is_told: bool
) -> None:
    decision = look(waiting(auto_stop=one), fetched("started", auto_stop_interval=holds))
    assert decision.sandbox.pending_changes == pending.as_data({"auto_stop": left} if left else {})
    assert told(decision) == ([("auto_stop",)] if is_told else [])


def test_a_change_that_daytona_did_not_take_is_told_on_the_timeline() -> None:
    decision = look(waiting(auto_stop=Pending(value=5, told_at=at(-10))), fetched("started"))
    texts = [one.text for one in decision.effects if isinstance(one, AddEvent)]
    assert texts == ["auto_stop_minutes is 15 in Daytona, 5 was asked for"]


def test_a_change_that_is_still_on_its_way_is_no_difference_yet() -> None:
    decision = look(waiting(auto_stop=Pending(value=5, told_at=at(-9))), fetched("started"))
    assert [one for one in decision.effects if isinstance(one, AddEvent)] == []


def test_what_was_not_seen_is_not_compared() -> None:
    row = waiting(auto_stop=Pending(value=5))
    decision = look(row, Fetched(NOW))
    assert decision.sandbox.pending_changes == row.pending_changes
    assert told(decision) == []


def test_labels_that_somebody_took_away_are_told_with_a_new_one() -> None:
    row = sandbox(pending_changes=pending.as_data({"harness_name": Pending(value="new")}), name="new")
    changes = look(row, fetched("started", labels={"harness_user_id": "alice"})).sandbox.pending_changes
    assert sorted(changes) == ["code-toolbox-language", "harness_name", "harness_resource_tier", "sandkeeper_id"]
    alone = sandbox(pending_changes=pending.as_data({"auto_stop": Pending(value=5)}))
    assert sorted(look(alone, fetched("started", labels={})).sandbox.pending_changes) == ["auto_stop"]
    told_of = sandbox(
        name="new", pending_changes=pending.as_data({"harness_name": Pending(value="new", told_at=NOW)})
    )
    assert sorted(look(told_of, fetched("started", labels={})).sandbox.pending_changes) == ["harness_name"]


def test_a_change_of_a_change_remembers_what_may_run_late() -> None:
    first = pending.ask({}, {"auto_stop": 5}, read_cache=10)
    assert pending.from_data(first) == {"auto_stop": Pending(value=5)}
    made = pending.as_data({"auto_stop": Pending(value=5, told_at=at(-1), doubt_until=at(3), tries=2)})
    assert pending.from_data(pending.ask(made, {"auto_stop": 7}, read_cache=10)) == {
        "auto_stop": Pending(value=7, doubt_until=at(9))
    }
    assert pending.ask(made, {"auto_stop": None}, read_cache=10) == {}


def test_a_change_that_is_tried_again_keeps_the_longer_doubt() -> None:
    one = Pending(value=5, tries=1, told_at=NOW, doubt_until=at(3))
    again = Pending(value=5, tries=2, due_at=at(1), doubt_until=at(9))
    assert one.retry(at=at(1), doubt_until=at(9)) == again
    assert one.retry(at=at(1)) == replace(again, doubt_until=at(3))
    assert Pending(value=5).retry(at=at(1)) == Pending(value=5, tries=1, due_at=at(1))


def test_the_first_change_that_is_due_counts() -> None:
    made = pending.as_data({"a": Pending(value=1, due_at=at(9)), "b": Pending(value=1, due_at=at(5))})
    assert pending.due_at(made, now=NOW) == at(5)
    assert pending.due_at({}, now=NOW) is None


def test_a_change_is_stored_without_what_is_empty() -> None:
    changes = {"a": Pending(value=1), "b": Pending(value="x", tries=3, due_at=at(9))}
    stored = pending.as_data(changes)
    assert stored == {"a": {"value": 1}, "b": {"value": "x", "tries": 3, "due_at": at(9).isoformat()}}
    assert pending.from_data(stored) == changes
