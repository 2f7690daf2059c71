"""What follows from the stored fields of a sandbox, for its row, for its facts and for a part of it alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandboxes.core.states import Seen

if TYPE_CHECKING:
    from datetime import datetime


class Derived:
    """The base of whatever has these fields."""

    __slots__ = ()

    if TYPE_CHECKING:  # columns of a row, or fields of a dataclass
        pk: Any
        name: Any
        daytona_id: Any
        daytona_name: Any
        auto_delete_minutes: Any
        observed_auto_delete: Any
        observed_state: Any
        desired_state: Any
        recoverable: Any
        observed_at: Any
        last_accessed_at: Any
        last_activity_at: Any
        created_at: Any
        deleted_at: Any

    @property
    def short_id(self) -> str:
        return str(self.pk.hex[:12])

    @property
    def display_name(self) -> str:
        """What people read: its name, or Daytona's name or id while no person has named it."""
        return self.name or self.daytona_name or self.daytona_id or f"sandbox {self.short_id}"

    @property
    def was_made_here(self) -> bool:
        """Whether its name in Daytona is one that we gave: it was made by our create, not adopted."""
        return bool(self.daytona_name.endswith(f"-{self.short_id}"))

    @property
    def auto_delete(self) -> int | None:
        """The auto-delete in force: what Daytona holds, else what was asked for; None: nobody knows."""
        held: int | None = self.observed_auto_delete
        asked: int | None = self.auto_delete_minutes
        return asked if held is None else held

    @property
    def last_used_at(self) -> datetime:
        """The later of our clock and Daytona's, which terminals, previews and commands move."""
        times = [t for t in (self.last_accessed_at, self.last_activity_at) if t is not None]
        latest: datetime = max(times, default=self.created_at)
        return latest

    @property
    def seen(self) -> Seen | None:
        """The stored observation, as the plan reads it; None while Daytona has not been seen to have it."""
        if self.deleted_at is not None:
            return Seen(self.observed_state or "destroyed", self.desired_state, missing=True)
        if self.daytona_id is None or self.observed_at is None:
            return None
        return Seen(self.observed_state, self.desired_state, self.recoverable)
