"""How a sandbox stands to what is wanted of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sandboxes.core.intents import FULFILLED_BY, has_drifted, is_pursued
from sandboxes.core.vocabulary import Intent, Status
from tests.core.building import NOW, sandbox


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
