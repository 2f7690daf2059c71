from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.core.building import OTHER, SANDBOX, remote

if TYPE_CHECKING:
    from uuid import UUID

OURS = f"atlas-{SANDBOX.hex[:12]}"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, False),
        ({"desired_state": "destroyed"}, True),
        ({"state": "destroyed"}, True),
        ({"name": f"DESTROYED_{OURS}_1767268800000"}, True),
    ],
)
def test_what_daytona_is_deleting(fields: dict[str, Any], expected: bool) -> None:
    assert remote(**fields).is_ending is expected


@pytest.mark.parametrize(("label", "expected"), [(str(SANDBOX), SANDBOX), ("a word", None), (None, None)])
def test_the_sandbox_that_it_says_it_is(label: str | None, expected: UUID | None) -> None:
    assert remote(labels={} if label is None else {"sandkeeper_id": label}).labelled_id == expected


@pytest.mark.parametrize(
    ("name", "label", "asked_for", "expected"),
    [
        ("renamed", SANDBOX, OURS, True),
        (OURS, None, OURS, True),
        (OURS, OTHER, OURS, True),  # its name is one that only we give
        ("renamed", None, OURS, False),
        ("renamed", OTHER, OURS, False),
        ("atlas", None, "atlas", False),  # anybody may have given that name
    ],
)
def test_whether_it_was_made_for_this_sandbox(
    name: str, label: UUID | None, asked_for: str, expected: bool
) -> None:
    labels = {} if label is None else {"sandkeeper_id": str(label)}
    assert remote(name=name, labels=labels).was_made_for(SANDBOX, asked_for) is expected
