"""Changes that Daytona has not confirmed yet: the one reader and the one writer of `Sandbox.pending_changes`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from sandboxes.models import Sandbox
from sandboxes.services.asked import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """One setting on its way to Daytona.

    `due_at`: when it is told, or looked for, next (None: now). `told_at`: when Daytona accepted it. A call without
    an answer may be carried out as late as `doubt_until`, and undo a later one.
    """

    value: Value
    tries: int = 0
    due_at: datetime | None = None
    told_at: datetime | None = None
    doubt_until: datetime | None = None

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Pending:
        times = {name: datetime.fromisoformat(data[name]) for name in TIMES if name in data}
        return cls(value=data["value"], tries=data.get("tries", 0), **times)

    def as_data(self) -> dict[str, Any]:
        times = {name: moment.isoformat() for name in TIMES if (moment := getattr(self, name)) is not None}
        return {"value": self.value} | ({"tries": self.tries} if self.tries else {}) | times

    @property
    def may_show_until(self) -> datetime | None:
        """Until when a call for this value may be carried out, or shown, later than one that is made after it."""
        shown = self.told_at and self.told_at + timedelta(seconds=settings.CALL_ECHO_SECONDS)
        return max(filter(None, (self.doubt_until, shown)), default=None)


TIMES = ("due_at", "told_at", "doubt_until")


def read(row: Sandbox) -> dict[str, Pending]:
    return {key: Pending.from_data(data) for key, data in row.pending_changes.items()}


def write(row: Sandbox, changes: Mapping[str, Pending]) -> None:
    row.pending_changes = {key: one.as_data() for key, one in changes.items()}


def ask(row: Sandbox, values: Mapping[str, Value | None]) -> None:
    """Put values on their way; None takes one off it. An earlier call that may still run late is remembered."""
    changes = read(row)
    for key, value in values.items():
        before = changes.pop(key, None)
        if value is not None:
            changes[key] = Pending(value=value, doubt_until=before.may_show_until if before else None)
    write(row, changes)


def due_at(row: Sandbox, *, now: datetime) -> datetime | None:
    """When the first of them is due; None without any."""
    return min((one.due_at or now for one in read(row).values()), default=None)


def retry(one: Pending, *, at: datetime, doubt_until: datetime | None = None) -> Pending:
    """To be told once more then."""
    later = max(filter(None, (one.doubt_until, doubt_until)), default=None)
    return replace(one, tries=one.tries + 1, due_at=at, told_at=None, doubt_until=later)
