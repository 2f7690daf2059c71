from __future__ import annotations

import pytest

from sandboxes.core.codes import Code, Refused
from sandboxes.core.intervals import checked, is_made_ephemeral, spelled
from tests.core.building import sandbox


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (0, "never"), (1, "1 min"), (59, "59 min"), (60, "1 h"), (61, "61 min"), (90, "90 min"), (120, "2 h"),
        (1440, "1 d"), (1441, "1,441 min"), (1500, "25 h"), (2880, "2 d"), (525_600, "365 d"),
    ],
)  # fmt: skip
def test_a_time_is_spelled_in_the_largest_unit_that_is_exact(minutes: int, text: str) -> None:
    assert spelled(minutes) == text


@pytest.mark.parametrize(
    ("name", "minutes", "held"),
    [
        ("auto_stop", 0, 0),
        ("auto_stop", 525_600, 525_600),
        ("auto_archive", 0, 43_200),
        ("auto_archive", 1, 1),
        ("auto_archive", 43_200, 43_200),
        ("auto_delete", -1, -1),
        ("auto_delete", 1, 1),
        ("auto_delete", 525_600, 525_600),
    ],
)
def test_an_interval_as_daytona_will_hold_it(name: str, minutes: int, held: int) -> None:
    assert checked(name, minutes) == held


@pytest.mark.parametrize(
    ("name", "minutes"),
    [
        ("auto_stop", -1),
        ("auto_stop", 525_601),
        ("auto_archive", -1),
        ("auto_archive", 43_201),
        ("auto_delete", -2),
        ("auto_delete", 0),
        ("auto_delete", 525_601),
    ],
)
def test_what_daytona_would_refuse_or_store_otherwise_is_refused(name: str, minutes: int) -> None:
    with pytest.raises(Refused) as error:
        checked(name, minutes)
    assert (error.value.code, error.value.extra["errors"][0]["field"]) == (Code.INVALID_REQUEST, f"{name}_minutes")


@pytest.mark.parametrize(
    ("asked", "ephemeral", "is_made_so"),
    [(0, True, True), (0, False, True), (None, True, True), (None, False, False), (60, True, False)],
)
def test_what_was_made_to_end_with_a_stop(asked: int | None, ephemeral: bool, is_made_so: bool) -> None:
    assert is_made_ephemeral(sandbox(auto_delete_minutes=asked, ephemeral=ephemeral)) is is_made_so
