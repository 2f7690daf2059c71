"""`allowed_actions` says what a request would accept, and offers nothing that must fail, over all states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core import gate
from sandboxes.core.codes import Code, Refused
from sandboxes.core.gate import destroyed_after
from sandboxes.core.plan import Fail, plan
from sandboxes.core.states import STATES
from sandboxes.core.vocabulary import Action
from tests.core.building import NOW, at, sandbox

if TYPE_CHECKING:
    from sandboxes.core.facts import SandboxFacts

ACTIONS = [action for action in Action if action != Action.CREATE]


def seen(state: str, **fields: Any) -> SandboxFacts:
    return sandbox(state, status=STATES[state].status, **({"observed_auto_delete": None} | fields))


def refusal(row: SandboxFacts, action: Action, **asked: Any) -> Refused | None:
    return gate.refusal(row, action, **({"active": None, "is_uncertain": False, "on_hold": False} | asked))


def allowed_actions(row: SandboxFacts, *, is_uncertain: bool = False) -> list[str]:
    refused = gate.obstacles(row, active=None, is_uncertain=is_uncertain, on_hold=False)
    return [action.value for action in ACTIONS if action not in refused]


@pytest.mark.parametrize("recoverable", [False, True])
@pytest.mark.parametrize("state", STATES)
def test_what_is_offered_is_accepted_and_does_not_fail_at_its_first_step(state: str, recoverable: bool) -> None:
    row = seen(state, recoverable=recoverable)
    offered = allowed_actions(row)
    for action in ACTIONS:
        step = plan(action, row.seen)
        refused = refusal(row, action)
        assert (action in offered) == (refused is None)
        if row.status != "gone":
            assert (action in offered) != isinstance(step, Fail), action


def test_of_what_cannot_be_recovered_only_a_delete_and_a_look_are_offered() -> None:
    assert allowed_actions(seen("error")) == ["delete", "sync"]
    found = refusal(seen("error"), Action.START)
    assert found is not None
    assert found.code == Code.SANDBOX_UNRECOVERABLE


@pytest.mark.parametrize(
    ("state", "action"), [("stopped", Action.START), ("archived", Action.START), ("error", Action.RECOVER)]
)
def test_nothing_that_starts_it_is_accepted_for_an_owner_on_hold(state: str, action: Action) -> None:
    row = seen(state, recoverable=True)
    assert refusal(row, action) is None
    found = refusal(row, action, on_hold=True)
    assert found is not None
    assert found.code == Code.OWNER_ON_HOLD


def test_in_doubt_nothing_is_foretold() -> None:
    assert "start" in allowed_actions(seen("error", missing_since=NOW))
    assert "start" in allowed_actions(seen("error"), is_uncertain=True)


@pytest.mark.parametrize(
    ("fields", "minutes"),
    [
        ({}, None),
        ({"auto_delete_minutes": -1}, None),
        ({"auto_delete_minutes": 60}, 60),  # Daytona has not told yet
        ({"auto_delete_minutes": -1, "observed_auto_delete": 0}, 0),
        ({"auto_delete_minutes": 60, "observed_auto_delete": -1}, None),
        ({"observed_auto_delete": 1440}, 1440),
        ({"observed_auto_delete": 1441}, None),
        ({"observed_auto_delete": 1441, "pending_changes": {"auto_delete": {"value": 5}}}, 5),
        ({"observed_auto_delete": 5, "pending_changes": {"auto_delete": {"value": -1}}}, 5),
    ],
)
def test_how_soon_daytona_deletes_it_after_a_stop(fields: dict[str, Any], minutes: int | None) -> None:
    assert destroyed_after(seen("started", **fields)) == minutes


@pytest.mark.parametrize("state", ["started", "starting", "stopped", "archived"])
@pytest.mark.parametrize("action", [Action.STOP, Action.RESTART, Action.ARCHIVE, Action.DELETE])
def test_only_what_would_stop_it_needs_force(state: str, action: Action) -> None:
    row = seen(state, observed_auto_delete=5)
    refused = refusal(row, action)
    needs = state in ("started", "starting") and action != Action.DELETE
    assert (refused is not None and refused.code == Code.AUTO_DELETE_WOULD_DESTROY) == needs
    assert refusal(row, action, force=True) is None


def test_what_needs_force_is_not_offered() -> None:
    assert "stop" not in allowed_actions(sandbox(observed_auto_delete=5))


# --- what was asked for before


@pytest.mark.parametrize(
    ("row", "action", "asked", "code"),
    [
        (sandbox(status="gone"), Action.START, {}, Code.SANDBOX_GONE),
        (sandbox(status="gone"), Action.SYNC, {}, Code.SANDBOX_GONE),
        (sandbox(status="gone"), Action.DELETE, {}, None),  # it leaves its owner's list in Convex
        (sandbox(status="gone", intent="deleted"), Action.DELETE, {}, Code.SANDBOX_GONE),
        (sandbox(intent="deleted"), Action.START, {}, Code.SANDBOX_DELETING),
        (sandbox(intent="deleted"), Action.SYNC, {}, None),
        (sandbox(intent="deleted"), Action.DELETE, {}, None),
        (sandbox(), Action.STOP, {"active": "create"}, Code.SANDBOX_CREATING),
        (sandbox(), Action.START, {"active": "create"}, None),
        (sandbox(), Action.DELETE, {"active": "create"}, None),
        (sandbox(), Action.RESTART, {"active": "create"}, Code.SANDBOX_CREATING),
        (sandbox(), Action.STOP, {"active": "start"}, None),
    ],
)
def test_what_is_refused_for_what_was_asked_before(
    row: SandboxFacts, action: Action, asked: dict[str, Any], code: Code | None
) -> None:
    found = refusal(row, action, **asked)
    assert (found.code if found else None) == code


@pytest.mark.parametrize(
    ("row", "action", "words"),
    [
        (sandbox(desired_state="destroyed"), Action.START, "Daytona is deleting “atlas”."),
        (sandbox("error"), Action.START, "Daytona cannot recover “atlas”: delete it. A sync looks again."),
        (sandbox("error"), Action.STOP, "“atlas” is in error: delete it."),
        (sandbox("error", recoverable=True), Action.STOP, "“atlas” is in error: recover or delete it."),
    ],
)
def test_why_something_would_fail_is_said(row: SandboxFacts, action: Action, words: str) -> None:
    found = refusal(row, action)
    assert found is not None
    assert found.detail == words


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (None, "its auto-delete."),
        (5, "its auto-delete."),
        (60, "its auto-delete there. 60 was asked for."),
    ],
)
def test_whose_auto_delete_it_is_is_said(asked: int | None, words: str) -> None:
    found = refusal(sandbox(auto_delete_minutes=asked, observed_auto_delete=5), Action.STOP)
    assert found is not None
    assert found.detail == f"Daytona deletes “atlas” 5 min after it stops: that is {words}"


# --- may a program use it


@pytest.mark.parametrize(
    ("fields", "on_hold", "code"),
    [
        ({}, False, None),
        ({}, True, Code.OWNER_ON_HOLD),
        ({"intent": "stopped"}, True, Code.SANDBOX_STOPPED_BY_USER),
        ({"intent": "archived"}, False, Code.SANDBOX_STOPPED_BY_USER),
        ({"intent": "deleted"}, False, Code.SANDBOX_GONE),
        ({"status": "gone"}, False, Code.SANDBOX_GONE),
    ],
)
def test_whether_a_program_may_use_it(fields: dict[str, Any], on_hold: bool, code: Code | None) -> None:
    row = sandbox(**fields)
    if code is None:
        gate.check_may_run(row, on_hold=on_hold)
        return
    with pytest.raises(Refused) as error:
        gate.check_may_run(row, on_hold=on_hold)
    assert error.value.code == code


@pytest.mark.parametrize(
    ("fields", "message", "stopped_at"),
    [
        (
            {"intent_reason": "too dear"},
            f"owner:alice wants “atlas” stopped since {at(-3600).isoformat()}. too dear",
            at(-3600).isoformat(),
        ),
        ({"intent_at": None}, "owner:alice wants “atlas” stopped since .", ""),
    ],
)
def test_who_stopped_it_when_and_why_is_said(fields: dict[str, Any], message: str, stopped_at: str) -> None:
    with pytest.raises(Refused) as error:
        gate.check_may_run(sandbox(intent="stopped", **fields), on_hold=False)
    assert error.value.detail == message
    assert error.value.extra["stopped_at"] == stopped_at
