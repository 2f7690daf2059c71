"""What was asked of Daytona, beside what it holds."""

from __future__ import annotations

from typing import Any

import pytest

from sandboxes.core.asked import Difference, differences, drift, labels_of, lost_labels, observed
from tests.core.building import NOW, SANDBOX, sandbox

OURS = {
    "sandkeeper_id": str(SANDBOX),
    "harness_user_id": "alice",
    "harness_resource_tier": "basic",
    "harness_name": "atlas",
    "code-toolbox-language": "python",
}
ON_ITS_WAY = {"value": 5}


def differ(**fields: Any) -> list[tuple[str, Any, Any, str, bool]]:
    """Of a sandbox that holds our labels."""
    found = differences(sandbox(**({"labels": OURS} | fields)))
    return [(one.field, one.asked, one.observed, one.key, one.pending) for one in found]


def test_the_labels_that_we_put_on_it() -> None:
    assert labels_of(sandbox()) == OURS
    assert labels_of(sandbox(harness_id="h", name="")) == {
        name: value for name, value in OURS.items() if name != "harness_name"
    } | {"harness_id": "h"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, []),
        ({"auto_stop_minutes": 15}, []),
        ({"auto_stop_minutes": 5}, [("auto_stop_minutes", 5, 15, "auto_stop", False)]),
        ({"auto_stop_minutes": 5, "observed_auto_stop": None}, []),  # Daytona has not told
        ({"auto_stop_minutes": 0}, [("auto_stop_minutes", 0, 15, "auto_stop", False)]),
        ({"auto_archive_minutes": 5}, [("auto_archive_minutes", 5, 10080, "auto_archive", False)]),
        ({"auto_delete_minutes": 5}, [("auto_delete_minutes", 5, -1, "auto_delete", False)]),
        (
            {"auto_stop_minutes": 5, "pending_changes": {"auto_stop": ON_ITS_WAY}},
            [("auto_stop_minutes", 5, 15, "auto_stop", True)],
        ),
    ],
)
def test_intervals_that_differ(fields: dict[str, Any], expected: list[Any]) -> None:
    assert differ(**fields) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": "new"}, [("name", "new", "atlas", "harness_name", False)]),
        (
            {"name": "new", "pending_changes": {"harness_name": ON_ITS_WAY}},
            [("name", "new", "atlas", "harness_name", True)],
        ),
        (
            {"labels": {name: value for name, value in OURS.items() if name != "harness_user_id"}},
            [("labels.harness_user_id", "alice", None, "harness_user_id", False)],
        ),
        ({"labels": OURS | {"theirs": "x"}}, []),
        # of an adopted one it is the name alone, once Daytona has one
        ({"daytona_name": "theirs", "labels": {}}, []),
        ({"daytona_name": "theirs", "labels": {"harness_name": "atlas"}}, []),
        (
            {"daytona_name": "theirs", "labels": {"harness_name": "old", "harness_user_id": "bob"}},
            [("name", "atlas", "old", "harness_name", False)],
        ),
    ],
)
def test_labels_that_differ(fields: dict[str, Any], expected: list[Any]) -> None:
    assert differ(**fields) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"created_with": {"cpu": 1, "target": "eu"}}, []),
        ({"created_with": {"cpu": 4}}, [("cpu", 4, 1, "", False)]),
        ({"created_with": {"snapshot": "s"}}, []),  # Daytona has not told
        ({"created_with": {"target": ""}}, []),  # nobody asked
    ],
)
def test_what_a_create_asked_for(fields: dict[str, Any], expected: list[Any]) -> None:
    assert differ(**fields) == expected


@pytest.mark.parametrize("fields", [{"observed_at": None}, {"deleted_at": NOW}])
def test_what_was_not_seen_or_is_gone_differs_from_nothing(fields: dict[str, Any]) -> None:
    assert differ(name="new", **fields) == []


def test_what_is_on_its_way_is_no_drift_and_not_lost() -> None:
    row = sandbox(
        name="new", auto_stop_minutes=5, auto_archive_minutes=5, labels={}, created_with={"cpu": 4},
        pending_changes={"auto_stop": ON_ITS_WAY, "harness_name": ON_ITS_WAY},
    )  # fmt: skip
    lost = {name: value for name, value in OURS.items() if name != "harness_name"}
    assert [one.key for one in drift(row)] == ["auto_archive", *lost, ""]
    assert lost_labels(row) == lost


def test_what_daytona_holds_of_a_setting() -> None:
    row = sandbox(labels={"harness_name": "there"})
    assert (observed(row, "auto_stop"), observed(row, "harness_name"), observed(row, "other")) == (
        15,
        "there",
        None,
    )


@pytest.mark.parametrize(("held", "words"), [(15, "15"), (0, "0"), (None, "not set"), ("", "not set")])
def test_a_difference_in_words(held: Any, words: str) -> None:
    assert str(Difference("auto_stop_minutes", 5, held)) == (
        f"auto_stop_minutes is {words} in Daytona, 5 was asked for"
    )
