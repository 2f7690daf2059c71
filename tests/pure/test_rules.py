"""`allowed_actions` says what a request would accept, and offers nothing that must fail, over all states."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sandboxes import planner
from sandboxes.codes import Code
from sandboxes.models import Operation, Owner, Sandbox
from sandboxes.services.lifecycle.rules import allowed_actions, destroyed_after, refusal
from sandboxes.states import STATUS_OF_STATE, Action, Intent, OperationStatus

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACTIONS = [action for action in Action if action != Action.CREATE]


def seen(state: str, **fields: Any) -> Sandbox:
    row = Sandbox(owner=Owner(pk="alice"), name="atlas", daytona_id="d", observed_at=NOW, observed_state=state)
    row.desired_state = state
    row.status = STATUS_OF_STATE[state]
    row.intent = Intent.RUNNING
    for name, value in fields.items():
        setattr(row, name, value)
    return row


@pytest.mark.parametrize("recoverable", [False, True])
@pytest.mark.parametrize("state", STATUS_OF_STATE)
def test_what_is_offered_is_accepted_and_does_not_fail_at_its_first_step(state: str, recoverable: bool) -> None:
    row = seen(state, recoverable=recoverable)
    offered = allowed_actions(row, active=None, on_hold=False)
    for action in ACTIONS:
        step = planner.plan(action, row.seen, planner.Calls())
        refused = refusal(row, action, active=None, on_hold=False)
        assert (action in offered) == (refused is None)
        if row.status != "gone":
            assert (action in offered) != isinstance(step, planner.Fail), action


def test_of_what_cannot_be_recovered_only_a_delete_and_a_look_are_offered() -> None:
    assert allowed_actions(seen("error"), active=None, on_hold=False) == ["delete", "sync"]
    found = refusal(seen("error"), Action.START, active=None, on_hold=False)
    assert found is not None
    assert found.code == Code.SANDBOX_UNRECOVERABLE


@pytest.mark.parametrize("doubt", [{"unsettled_until": NOW}, {"missing_since": NOW}])
def test_in_doubt_nothing_is_foretold(doubt: dict[str, datetime]) -> None:
    assert "start" in allowed_actions(seen("error", **doubt), active=None, on_hold=False)


def test_while_a_call_of_ours_may_change_it_nothing_is_foretold() -> None:
    row = seen("error", recoverable=False)
    active = Operation(sandbox=row, action=Action.RECOVER, status=OperationStatus.IN_PROGRESS)
    active.calls = [{"name": "recover", "at": NOW.isoformat(), "outcome": "accepted"}]
    assert "stop" in allowed_actions(row, active=active, on_hold=False)


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
@pytest.mark.parametrize("action", [Action.STOP, Action.ARCHIVE, Action.DELETE])
def test_only_what_would_stop_it_needs_force(state: str, action: Action) -> None:
    row = seen(state, observed_auto_delete=5)
    refused = refusal(row, action, active=None, on_hold=False)
    needs = state in ("started", "starting") and action != Action.DELETE
    assert (refused is not None and refused.code == Code.AUTO_DELETE_WOULD_DESTROY) == needs
    assert refusal(row, action, active=None, on_hold=False, force=True) is None
