"""How a sandbox stands to what is wanted of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sandboxes.core.codes import Code
from sandboxes.core.facts import NewOperation
from sandboxes.core.intents import FULFILLED_BY, has_drifted, has_failed, is_pursued, superseded
from sandboxes.core.vocabulary import Action, Actor, Intent, OperationStatus, Source, Status
from tests.core.building import NOW, at, operation, sandbox

if TYPE_CHECKING:
    from datetime import datetime


@pytest.mark.parametrize(
    ("intent", "status", "expected"),
    [
        (Intent.STOPPED, Status.RUNNING, True),
        (Intent.ARCHIVED, Status.STOPPED, True),
        (Intent.DELETED, Status.STOPPED, True),
        (Intent.DELETED, Status.ERROR, True),
        (Intent.STOPPED, Status.ERROR, False),  # nothing but a delete works on it
        (Intent.RUNNING, Status.STOPPED, False),  # a start that failed is a person's to repeat
    ],
)
def test_which_intents_are_pursued(intent: Intent, status: Status, expected: bool) -> None:
    row = replace(sandbox(), intent=intent, status=status, intent_met_at=None)
    assert is_pursued(row) is expected
    assert not is_pursued(replace(row, intent_met_at=NOW))
    assert not is_pursued(replace(row, deleted_at=NOW))
    assert not is_pursued(replace(row, daytona_id=None))


def test_an_error_is_what_nobody_wants() -> None:
    assert set(FULFILLED_BY) == set(Intent)
    assert all(has_drifted(replace(sandbox(), intent=intent, status=Status.ERROR)) for intent in Intent)
    assert not has_drifted(replace(sandbox(), intent=Intent.STOPPED, status=Status.ARCHIVED))
    assert has_drifted(replace(sandbox(), intent=Intent.ARCHIVED, status=Status.STOPPED))


@pytest.mark.parametrize(
    ("action", "status", "expected"),
    [
        (Action.STOP, OperationStatus.FAILED, True),
        (Action.STOP, OperationStatus.CANCELLED, False),
        (Action.STOP, OperationStatus.SUCCEEDED, False),
        (Action.START, OperationStatus.FAILED, False),  # something else is wanted since
        (Action.SYNC, OperationStatus.FAILED, False),
    ],
)
def test_which_operation_has_failed_what_is_wanted(action: Action, status: OperationStatus, expected: bool) -> None:
    row = replace(sandbox(), intent=Intent.STOPPED)
    assert has_failed(row, operation(action, status=status)) is expected
    assert has_failed(row, None) is False


@pytest.mark.parametrize(
    ("action", "asked_at", "intent_at", "is_superseded"),
    [
        (Action.STOP, at(-10), at(-5), True),
        (Action.STOP, at(-5), at(-5), False),
        (Action.STOP, at(-5), at(-10), False),
        (Action.STOP, None, at(-5), False),
        (Action.STOP, at(-10), None, False),
        (Action.START, at(-10), at(-5), False),  # the same is wanted
        (Action.SYNC, at(-10), at(-5), False),  # it wants nothing
    ],
)
def test_what_was_asked_for_before_somebody_wanted_something_else_is_left_undone(
    action: Action, asked_at: datetime | None, intent_at: datetime | None, is_superseded: bool
) -> None:
    row = replace(sandbox(), intent=Intent.RUNNING, intent_at=intent_at)
    asked = NewOperation(action=action, actor=Actor.staff("bob"), source=Source.ADMIN, reason="", asked_at=asked_at)
    refused = superseded(row, asked)
    assert (refused is not None) is is_superseded
    if refused is not None:
        assert (refused.code, "running" in refused.detail) == (Code.SUPERSEDED, True)
