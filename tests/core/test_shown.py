from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core.shown import (
    GONE_WORDS,
    Absent,
    Push,
    Shown,
    as_known,
    our_messages,
    shown_of,
    status_in_convex,
    to_push,
    wanted,
)
from sandboxes.core.vocabulary import Intent, Status
from tests.core.building import sandbox

if TYPE_CHECKING:
    from sandboxes.core.facts import SandboxFacts

GONE: dict[str, Any] = {"status": Status.GONE, "observed_auto_delete": -1}
RUNS = Shown("running", "", "atlas")


@dataclass
class Projection:
    sandbox: SandboxFacts
    withdrawn: bool = False
    removed: bool = False


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, RUNS),
        ({"daytona_id": None}, None),
        ({"error_reason": "of before"}, RUNS),
        ({"status": Status.ERROR, "error_reason": "x" * 1001}, Shown("error", "x" * 1000, "atlas")),
        (GONE, Shown("archived", GONE_WORDS, "atlas")),
        (GONE | {"observed_auto_delete": None}, Shown("archived", GONE_WORDS, "atlas")),
        (GONE | {"intent": Intent.DELETED}, None),
        (GONE | {"ephemeral": True}, None),
        (GONE | {"observed_auto_delete": 0}, None),
        (GONE | {"observed_auto_delete": 60}, None),
    ],
)
def test_what_there_is_to_show(fields: dict[str, Any], expected: Shown | None) -> None:
    assert shown_of(sandbox(**fields)) == expected


@pytest.mark.parametrize(
    ("fields", "withdrawn", "expected"),
    [(GONE, True, None), (GONE, False, Shown("archived", GONE_WORDS, "atlas")), ({}, True, RUNS)],
)
def test_only_what_is_gone_can_be_withdrawn(
    fields: dict[str, Any], withdrawn: bool, expected: Shown | None
) -> None:
    assert wanted(Projection(sandbox(**fields), withdrawn=withdrawn)) == expected


def test_what_convex_shows_of_one_that_is_not_behind() -> None:
    assert status_in_convex(Projection(sandbox())) == "running"
    assert status_in_convex(Projection(sandbox(), removed=True)) == ""
    assert status_in_convex(Projection(sandbox(daytona_id=None))) == ""


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, Push(RUNS, "running", None, "atlas", Absent.CREATE)),
        (
            {"row": True, "status": "running", "error": "", "name": "atlas"},
            Push(RUNS, None, None, None, Absent.LEAVE),
        ),
        ({"row": True, "status": "stopped"}, Push(RUNS, "running", None, "atlas", Absent.LEAVE)),
        ({"status": "running", "error": "ours"}, Push(RUNS, None, "", "atlas", Absent.CREATE)),
        ({"row": True, "name": "another", "again": True}, Push(RUNS, "running", None, "atlas", Absent.RECREATE)),
    ],
)
def test_what_is_known_to_be_there_is_not_sent(known: dict[str, Any], expected: Push) -> None:
    assert to_push(Projection(sandbox()), known) == expected


def test_an_error_of_ours_is_sent_unless_it_stands_there() -> None:
    row = Projection(sandbox(status=Status.ERROR, error_reason="why", name=""))
    push = to_push(row, {})
    assert push is not None
    assert (push.error, push.name) == ("why", None)
    again = to_push(row, {"error": "why"})
    assert again is not None
    assert again.error is None


def test_what_its_user_removed_is_left_and_what_is_not_to_be_shown_is_removed() -> None:
    removed = to_push(Projection(sandbox(), removed=True), {})
    assert removed is not None
    assert removed.absent == Absent.LEAVE
    assert to_push(Projection(sandbox(daytona_id=None)), {}) is None


def test_what_is_known_after_a_push() -> None:
    assert as_known(RUNS, {"name": "of before", "again": True}) == {
        "row": True, "status": "running", "error": "", "name": "atlas",
    }  # fmt: skip
    nameless = Shown("running", "why", "")
    assert as_known(nameless, {"name": "of before"}) == {
        "row": True, "status": "running", "error": "why", "name": "of before",
    }  # fmt: skip
    assert "name" not in as_known(nameless, {})


def test_only_messages_that_we_may_have_written_are_ours_to_take_back() -> None:
    row = sandbox(error_reason="x" * 1001)
    assert our_messages(row, {"error": "sent"}) == sorted([GONE_WORDS, "sent", "x" * 1000])
    assert our_messages(sandbox(), {}) == [GONE_WORDS]
