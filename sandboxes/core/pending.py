"""Changes that Daytona has not confirmed yet: what one of them waits for, and its form in `pending_changes`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandboxes.core.asked import Value

TIMES = ("due_at", "told_at", "doubt_until")


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

    def may_show_until(self, read_cache: float) -> datetime | None:
        """Until when a call for this value may be carried out, or shown, later than one that is made after it."""
        shown = self.told_at and self.told_at + timedelta(seconds=read_cache)
        return max(filter(None, (self.doubt_until, shown)), default=None)

    def after_fetch(self, *, holds: bool, seen: datetime, read_cache: float) -> Pending | None:
        """What is left of it after a fetch that began at `seen`; None when it is over.

        It is over when Daytona holds the value, or holds another one for good.
        """
        may_be_undone = self.doubt_until is not None and seen < self.doubt_until
        if holds:
            return replace(self, told_at=self.told_at or seen, due_at=self.doubt_until) if may_be_undone else None
        if self.told_at is None:
            return self
        shows_from = self.told_at + timedelta(seconds=read_cache)  # GETs come from a cache until then
        if seen < shows_from:
            return replace(self, due_at=shows_from)
        if self.doubt_until is None:
            return None
        return replace(self, told_at=None, due_at=None, doubt_until=self.doubt_until if may_be_undone else None)

    def retry(self, *, at: datetime, doubt_until: datetime | None = None) -> Pending:
        """To be told once more then."""
        later = max(filter(None, (self.doubt_until, doubt_until)), default=None)
        return replace(self, tries=self.tries + 1, due_at=at, told_at=None, doubt_until=later)


def from_data(data: Mapping[str, Any]) -> dict[str, Pending]:
    """Read what `as_data` wrote."""
    return {key: _one(stored) for key, stored in data.items()}


def _one(data: Mapping[str, Any]) -> Pending:
    times = {name: datetime.fromisoformat(data[name]) for name in TIMES if name in data}
    return Pending(value=data["value"], tries=data.get("tries", 0), **times)


def as_data(changes: Mapping[str, Pending]) -> dict[str, Any]:
    """As JSON, without what is empty."""
    return {key: _as_data(one) for key, one in changes.items()}


def _as_data(one: Pending) -> dict[str, Any]:
    times = {name: moment.isoformat() for name in TIMES if (moment := getattr(one, name)) is not None}
    return {"value": one.value} | ({"tries": one.tries} if one.tries else {}) | times


def ask(data: Mapping[str, Any], values: Mapping[str, Value | None], *, read_cache: float) -> dict[str, Any]:
    """Put values on their way; None takes one off it. An earlier call that may still run late is remembered."""
    changes = from_data(data)
    for key, value in values.items():
        before = changes.pop(key, None)
        if value is not None:
            changes[key] = Pending(value=value, doubt_until=before.may_show_until(read_cache) if before else None)
    return as_data(changes)


def due_at(data: Mapping[str, Any], *, now: datetime) -> datetime | None:
    """When the first of them is due; None without any."""
    return min((one.due_at or now for one in from_data(data).values()), default=None)
