"""What an interval may be: what Daytona would refuse, or silently store otherwise, is settled here. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sandboxes.core.codes import invalid

MAX_MINUTES = 525_600  # a year; Daytona's own end is its database's
MAX_ARCHIVE_MINUTES = 43_200  # 30 days; Daytona stores this instead of anything above
UNITS = ((1_440, "d"), (60, "h"), (1, "min"))


@dataclass(frozen=True, slots=True)
class IntervalRange:
    least: int
    most: int
    message: str


RANGES = {
    "auto_stop": IntervalRange(0, MAX_MINUTES, f"auto_stop is 0 (never) to {MAX_MINUTES} minutes, a year."),
    "auto_archive": IntervalRange(
        0, MAX_ARCHIVE_MINUTES,
        f"auto_archive is 1 to {MAX_ARCHIVE_MINUTES} minutes, 30 days: Daytona keeps nothing stopped for longer. "
        f"0 means {MAX_ARCHIVE_MINUTES}.",
    ),
    "auto_delete": IntervalRange(
        -1, MAX_MINUTES, f"auto_delete is -1 (never) or 1 to {MAX_MINUTES} minutes, a year.",
    ),
}  # fmt: skip


def spelled(minutes: int) -> str:
    """A time of a rule for people, exact: `90 min`, `2 h`, `30 d`; 0 is `never`."""
    if not minutes:
        return "never"
    size, unit = next(pair for pair in UNITS if minutes % pair[0] == 0)
    return f"{minutes // size:,} {unit}"


def checked(name: str, minutes: int) -> int:
    """The interval as Daytona will hold it.

    Raises:
        Refused: INVALID_REQUEST. An auto-delete of 0 makes a sandbox ephemeral, which only a create may do.
    """
    allowed = RANGES[name]
    if not allowed.least <= minutes <= allowed.most or (name == "auto_delete" and minutes == 0):
        raise invalid(f"{name}_minutes", allowed.message)
    return MAX_ARCHIVE_MINUTES if name == "auto_archive" and minutes == 0 else minutes


class Ephemeral(Protocol):
    @property
    def ephemeral(self) -> bool: ...
    @property
    def auto_delete_minutes(self) -> int | None: ...


def is_made_ephemeral(row: Ephemeral) -> bool:
    """Whether it was made to end with a stop, not set to by somebody in Daytona's dashboard later."""
    return row.auto_delete_minutes == 0 or (row.auto_delete_minutes is None and row.ephemeral)
