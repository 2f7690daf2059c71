from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """One line: `check` is stable, for programs; `text` and `remedy` are for people."""

    check: str
    level: Level
    text: str
    remedy: str = ""


def ok(check: str, text: str) -> DoctorFinding:
    return DoctorFinding(check, Level.OK, text)


def warning(check: str, text: str, remedy: str) -> DoctorFinding:
    return DoctorFinding(check, Level.WARNING, text, remedy)


def broken(check: str, text: str, remedy: str) -> DoctorFinding:
    return DoctorFinding(check, Level.BROKEN, text, remedy)


def length(time: timedelta) -> str:
    """A length of time in words, such as “3 min”."""
    seconds = max(0, int(time.total_seconds()))
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
