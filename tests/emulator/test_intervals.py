"""What Daytona does with intervals, as it was recorded: clamped, refused, or an error of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.emulator.wire import Wire, message

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

LONGEST = 43_200
STORED = {"autostop": "autoStopInterval", "autoarchive": "autoArchiveInterval", "autodelete": "autoDeleteInterval"}


@pytest.mark.parametrize(
    ("verb", "sent", "status", "stored"),
    [
        ("autostop", "0", 201, 0),
        ("autostop", "-1", 400, 15),
        ("autoarchive", "-1", 400, 10_080),
        ("autoarchive", "0", 201, LONGEST),
        ("autoarchive", "525600", 201, LONGEST),
        ("autoarchive", "2147483648", 201, LONGEST),
        ("autostop", "2147483648", 500, 15),
        ("autodelete", "2147483648", 500, -1),
        ("autodelete", "-5", 201, -5),
        ("autostop", "abc", 500, 15),
        ("autoarchive", "1.5", 500, 10_080),
        ("autodelete", "abc", 500, -1),
    ],
)
def test_an_interval_that_is_set(
    emulator: Emulator, wire: Wire, verb: str, sent: str, status: int, stored: int
) -> None:
    (key,) = emulator.seed(count=1)
    answer = wire.post(key, f"{verb}/{sent}")
    assert answer.status_code == status
    assert wire.get(key).json()[STORED[verb]] == stored
    if status == 500:
        assert message(answer) == "An unexpected error occurred."


@pytest.mark.parametrize(
    ("field", "sent", "status", "stored"),
    [
        ("autoStopInterval", -1, 400, None),
        ("autoStopInterval", None, 500, None),
        ("autoStopInterval", 1.5, 500, None),
        ("autoDeleteInterval", -5, 200, -5),
        ("autoArchiveInterval", 0, 200, LONGEST),
        ("autoArchiveInterval", 999_999, 200, LONGEST),
    ],
)
def test_an_interval_of_a_create(
    emulator: Emulator, wire: Wire, field: str, sent: Any, status: int, stored: int | None
) -> None:
    answer = wire.create(**{field: sent})
    assert answer.status_code == status
    assert answer.json().get(field) == stored
