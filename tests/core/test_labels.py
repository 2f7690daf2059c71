"""Which labels people may give, and how a change is merged."""

from __future__ import annotations

import pytest

from sandboxes.core import asked
from sandboxes.core.codes import Refused
from sandboxes.core.labels import MOST, merged, taken_over
from tests.core.building import sandbox

FULL = {f"n{number}": "v" for number in range(MOST)}


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ({}, {"team": "core", "run": "7"}),
        ({"team": "edge"}, {"team": "edge", "run": "7"}),
        ({"run": None}, {"team": "core"}),
        ({"none": None}, {"team": "core", "run": "7"}),
        ({"a.b/c-d_e": "x" * 255}, {"team": "core", "run": "7", "a.b/c-d_e": "x" * 255}),
    ],
)
def test_a_change_is_merged(changes: dict[str, str | None], after: dict[str, str]) -> None:
    assert merged({"team": "core", "run": "7"}, changes) == after


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"), ("7", "x"), ("a b", "x"), ("a:b", "x"), ("é", "x"), ("a" * 64, "x"), ("team", ""),
        ("team", "x" * 256), ("sandkeeper_id", "x"), ("Harness_Name", "x"), ("daytona.io/x", "x"),
        ("code-toolbox-language", "python"), ("auto_stop", "5"), ("harness_id", None),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_its_name(name: str, value: str | None) -> None:
    with pytest.raises(Refused) as refused:
        merged({}, {name: value})
    assert refused.value.code == "invalid_request"
    assert [error["field"] for error in refused.value.extra["errors"]] == [f"labels.{name}"]


def test_there_are_twenty_at_most() -> None:
    assert len(merged({}, FULL)) == MOST
    with pytest.raises(Refused, match="20 labels at most"):
        merged(FULL, {"more": "x"})
    assert "more" in merged(FULL, {"more": "x", "n0": None})


def test_of_a_foreign_sandbox_those_are_taken_over_that_people_may_give() -> None:
    foreign = {"team": "core", "harness_user_id": "alice", "7": "x", "empty": "", "code-toolbox-language": "python"}
    assert taken_over(foreign) == {"team": "core"}
    assert len(taken_over({f"n{number}": "v" for number in range(MOST + 5)})) == MOST


def test_what_daytona_holds_otherwise_is_a_difference_whoever_made_the_sandbox() -> None:
    for created_with in ({}, {"target": "eu"}):
        row = sandbox(user_labels={"team": "core"}, labels={"team": "theirs"}, created_with=created_with, name="")
        (one,) = [one for one in asked.differences(row) if one.key == "team"]
        assert (one.field, one.asked, one.observed) == ("labels.team", "core", "theirs")


@pytest.mark.parametrize(
    ("held", "value", "holds"),
    [({}, "", True), ({"team": "core"}, "", False), ({"team": "core"}, "core", True), ({}, "core", False)],
)
def test_a_label_that_is_taken_away_is_held_when_there_is_none(
    held: dict[str, str], value: str, holds: bool
) -> None:
    assert asked.holds(sandbox(labels=held), "team", value) is holds
