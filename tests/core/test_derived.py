from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core.states import Seen
from tests.core.building import NOW, SANDBOX, at, sandbox

if TYPE_CHECKING:
    from datetime import datetime


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "atlas"),
        ({"name": ""}, f"atlas-{SANDBOX.hex[:12]}"),
        ({"name": "", "daytona_name": ""}, "d-1"),
        ({"name": "", "daytona_name": "", "daytona_id": None}, f"sandbox {SANDBOX.hex[:12]}"),
    ],
)
def test_what_people_read_until_it_is_named(fields: dict[str, Any], name: str) -> None:
    assert sandbox(**fields).display_name == name


def test_only_a_name_that_we_gave_says_that_it_was_made_here() -> None:
    assert sandbox().was_made_here is True
    assert sandbox(daytona_name="atlas").was_made_here is False


@pytest.mark.parametrize(("held", "asked", "expected"), [(None, 60, 60), (0, 60, 0), (30, None, 30)])
def test_daytonas_auto_delete_is_in_force(held: int | None, asked: int | None, expected: int) -> None:
    assert sandbox(observed_auto_delete=held, auto_delete_minutes=asked).auto_delete == expected


@pytest.mark.parametrize(
    ("ours", "daytonas", "expected"),
    [(at(-5), at(-9), at(-5)), (at(-9), at(-5), at(-5)), (None, at(-9), at(-9)), (None, None, at(-7200))],
)
def test_the_later_clock_of_use_counts(
    ours: datetime | None, daytonas: datetime | None, expected: datetime
) -> None:
    assert sandbox(last_accessed_at=ours, last_activity_at=daytonas).last_used_at == expected


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({}, Seen("started", "started", False)),
        ({"recoverable": True}, Seen("started", "started", True)),
        ({"daytona_id": None}, None),
        ({"observed_at": None}, None),
        ({"deleted_at": NOW}, Seen("started", "started", missing=True)),
        ({"deleted_at": NOW, "observed_state": "", "desired_state": ""}, Seen("destroyed", "", missing=True)),
    ],
)
def test_the_stored_observation_as_the_plan_reads_it(fields: dict[str, Any], seen: Seen | None) -> None:
    assert sandbox(**fields).seen == seen
