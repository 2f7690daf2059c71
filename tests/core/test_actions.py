"""The table of actions, and what is derived from it."""

from __future__ import annotations

import re

import pytest

from sandboxes.core.actions import (
    ACTION_FOR,
    ACTIONS,
    CALLS,
    DEADLINES,
    INTENT_OF,
    MOVING,
    STARTING,
    Button,
    brings_about,
    joins,
)
from sandboxes.core.vocabulary import Action, Intent, Status
from tests.core.building import sandbox
from tests.support.environment import ROOT

CREATING = "creating pending_build building_snapshot forking unknown"
RUNS = "starting restoring resuming pulling_snapshot resizing started snapshotting"


def test_every_action_has_its_row() -> None:
    assert set(ACTIONS) == set(Action)


@pytest.mark.parametrize(
    ("call", "shown", "effects", "before"),
    [
        ("create", Status.CREATING, f"{CREATING} {RUNS}", ""),
        ("start", Status.STARTING, RUNS, "stopped archived archiving paused"),
        ("recover", Status.STARTING, RUNS, "error build_failed stopped archived"),
        ("stop", Status.STOPPING, "stopping pausing stopped paused", "started paused"),
        ("archive", Status.STOPPING, "archiving archived", "stopped"),
        (
            "delete",
            Status.STOPPING,
            "destroying destroyed",
            "started stopped paused archived error build_failed archiving pending_build",
        ),
    ],
)
def test_what_each_call_brings_about(call: str, shown: Status, effects: str, before: str) -> None:
    row = CALLS[call]
    assert (row.shown, row.effects, row.before) == (shown, frozenset(effects.split()), frozenset(before.split()))


def test_nothing_else_is_a_call() -> None:
    assert set(CALLS) == {"create", "start", "stop", "archive", "delete", "recover"}
    assert {Status.CREATING, Status.STARTING, Status.STOPPING} == MOVING


@pytest.mark.parametrize(
    ("call", "intents"),
    [
        ("create", "running"),
        ("start", "running deleted"),
        ("recover", "running deleted"),
        ("stop", "stopped deleted"),
        ("archive", "stopped archived deleted"),
        ("delete", "deleted"),
    ],
)
def test_which_intents_a_late_call_leaves_met(call: str, intents: str) -> None:
    assert [intent.value for intent in Intent if brings_about(call, intent)] == intents.split()


def test_what_each_action_makes_wanted() -> None:
    assert INTENT_OF == {
        "create": Intent.RUNNING,
        "start": Intent.RUNNING,
        "recover": Intent.RUNNING,
        "restart": Intent.RUNNING,
        "stop": Intent.STOPPED,
        "archive": Intent.ARCHIVED,
        "delete": Intent.DELETED,
    }
    assert {intent: INTENT_OF[action] for intent, action in ACTION_FOR.items()} == {one: one for one in Intent}
    assert {Action.CREATE, Action.START, Action.RESTART, Action.RECOVER} == STARTING


def test_only_a_delete_has_as_long_as_it_takes() -> None:
    assert set(Action) - set(DEADLINES) == {Action.DELETE}
    assert {"start_archived", "capacity"} < set(DEADLINES)


def test_the_example_names_the_default_of_each_deadline() -> None:
    example = (ROOT / ".env.example").read_text()
    assert set(re.findall(r"# (DEADLINE_\w+=\S+)", example)) == {
        f"DEADLINE_{name.upper()}={seconds:g}" for name, seconds in DEADLINES.items()
    }


def test_only_a_delete_is_dangerous() -> None:
    assert {action for action, row in ACTIONS.items() if row.button is not None and row.button.danger} == {
        Action.DELETE
    }


def test_what_stops_on_the_way() -> None:
    assert {action for action, row in ACTIONS.items() if row.stops} == {Action.STOP, Action.RESTART, Action.ARCHIVE}


@pytest.mark.parametrize(
    ("action", "active", "expected"),
    [
        (Action.START, Action.START, True),
        (Action.START, Action.CREATE, True),
        (Action.START, Action.RESTART, True),
        (Action.RESTART, Action.RESTART, True),
        (Action.RESTART, Action.START, False),
        (Action.RESTART, Action.STOP, False),
        (Action.CREATE, Action.START, False),
        (Action.START, Action.RECOVER, False),
        (Action.STOP, Action.CREATE, False),
    ],
)
def test_what_a_request_becomes_part_of(action: Action, active: Action, expected: bool) -> None:
    assert joins(action, active) is expected


def button(action: Action) -> Button:
    found = ACTIONS[action].button
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        (Action.START, {"status": Status.RUNNING}),
        (Action.STOP, {"status": Status.STOPPED, "intent": Intent.STOPPED}),
        (Action.ARCHIVE, {"status": Status.ARCHIVED, "intent": Intent.ARCHIVED}),
    ],
)
def test_what_is_so_already_is_not_asked_for(action: Action, fields: dict[str, str]) -> None:
    pointless = button(action).pointless
    assert pointless(sandbox(**fields), None).startswith("It is ")
    assert pointless(sandbox(**fields), object()) == ""
    assert pointless(sandbox(**fields, intent_met_at=None), None) == ""
    assert pointless(sandbox(status=Status.ERROR), None) == ""


def test_a_sandbox_that_stopped_by_itself_can_be_stopped_for_good() -> None:
    assert button(Action.STOP).pointless(sandbox(status=Status.STOPPED), None) == ""


@pytest.mark.parametrize(
    ("status", "expected"), [("stopped", True), ("archived", True), ("running", False), ("error", False)]
)
def test_what_does_not_run_is_started_and_not_restarted(status: str, expected: bool) -> None:
    assert bool(button(Action.RESTART).pointless(sandbox(status=status), None)) is expected


def test_only_what_is_in_error_is_recovered() -> None:
    assert button(Action.RECOVER).pointless(sandbox(status=Status.ERROR), None) == ""
    assert button(Action.RECOVER).pointless(sandbox(), None) != ""


def test_a_delete_of_what_is_gone_only_unlists_it() -> None:
    assert button(Action.DELETE).only_unlists(sandbox(status=Status.GONE))
    assert not button(Action.DELETE).only_unlists(sandbox())
    assert not button(Action.STOP).only_unlists(sandbox(status=Status.GONE))
