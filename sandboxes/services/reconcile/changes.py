"""What an import changes, field by field, in the same words for a dry run and for the real one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNREADABLE = "cannot be read here"
MOMENT = "the time of the write"


class System(StrEnum):
    SANDKEEPER = "sandkeeper"
    CONVEX = "convex"
    DAYTONA = "daytona"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field of one system. None is "no such row" or "no value"; UNREADABLE a value that no function tells."""

    system: System
    field: str
    before: Any
    after: Any

    def as_data(self) -> dict[str, Any]:
        return {"system": self.system.value, "field": self.field, "before": self.before, "after": self.after}

    def __str__(self) -> str:
        return f"{self.system} {self.field}: {_shown(self.before)} → {_shown(self.after)}"


def differences(system: System, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldChange]:
    """A change for each field of `after` that `before` has otherwise, or not at all."""
    return [
        FieldChange(system, name, before.get(name), value)
        for name, value in after.items()
        if before.get(name) != value
    ]


def in_words(changes: Iterable[FieldChange]) -> str:
    return "; ".join(map(str, changes))


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return f"“{value}”" if isinstance(value, str) and value not in (UNREADABLE, MOMENT) else str(value)
