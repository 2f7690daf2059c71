"""A page of the list beside our rows. Pure: a list row is a hint; what differs is to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sandboxes.gateways.daytona import RemoteSandbox

# The list has the raw state, a GET shows what is about to happen (recording 04_lifecycle; daytona.md section 2).
SHOWN_BY_GET: dict[tuple[str, str], str] = {
    ("started", "stopped"): "stopping",
    ("started", "destroyed"): "destroying",
    ("stopped", "started"): "starting",
    ("stopped", "destroyed"): "destroying",
    ("stopped", "archived"): "archiving",
    ("unknown", "started"): "creating",
}
GRAVE = "DESTROYED_"
GRANTED = ("target", "snapshot", "cpu", "memory_gb", "disk_gb")  # kept where the answer lacks them


@dataclass(frozen=True, slots=True)
class Known:
    """Our row, as far as a page of the list is compared with it. `busy`: an operation is active."""

    pk: UUID
    daytona_id: str | None
    daytona_name: str
    name: str
    owner_id: str
    observed_state: str
    desired_state: str
    recoverable: bool
    observed_auto_delete: int | None
    labels: Mapping[str, str]
    observed_at: datetime | None
    missing_since: datetime | None
    deleted_at: datetime | None
    intent: str
    busy: bool
    resource_tier: str
    harness_id: str
    language: str
    target: str
    snapshot: str
    cpu: int
    memory_gb: int
    disk_gb: int
    created_with: Mapping[str, Any]
    pending_changes: Mapping[str, Any]
    auto_stop_minutes: int | None
    auto_archive_minutes: int | None
    auto_delete_minutes: int | None
    observed_auto_stop: int | None
    observed_auto_archive: int | None

    @property
    def display_name(self) -> str:
        return self.name or self.daytona_name

    @property
    def short_id(self) -> str:
        return self.pk.hex[:12]

    @property
    def was_made_here(self) -> bool:
        return self.daytona_name.endswith(f"-{self.short_id}")


FIELDS = tuple(field.name for field in fields(Known) if field.name != "busy")


def differs(row: Known, item: RemoteSandbox) -> bool:
    """Whether the list says otherwise than our observation, so that somebody has to look."""
    if row.deleted_at is not None:
        return not is_ending(item)
    if row.observed_at is None or row.missing_since is not None:
        return True
    state = SHOWN_BY_GET.get((item.state, item.desired_state), item.state)
    listed = (
        state, item.desired_state, item.recoverable, item.labels, item.auto_stop_interval,
        item.auto_archive_interval, item.auto_delete_interval,
    )  # fmt: skip
    stored = (
        row.observed_state, row.desired_state, row.recoverable, row.labels, row.observed_auto_stop,
        row.observed_auto_archive, row.observed_auto_delete,
    )  # fmt: skip
    granted = ((getattr(item, name), getattr(row, name)) for name in GRANTED)
    return listed != stored or any(given and given != kept for given, kept in granted)


def is_ending(item: RemoteSandbox) -> bool:
    """Daytona is deleting it, or has: it is renamed at once (recording 06_delete)."""
    return item.name.startswith(GRAVE) or item.desired_state == "destroyed" or item.state == "destroyed"


def label_id(item: RemoteSandbox) -> UUID | None:
    """The row that the sandbox says it is of."""
    try:
        return UUID(item.labels.get("sandkeeper_id", ""))
    except ValueError:
        return None


def is_of(row: Known, item: RemoteSandbox) -> bool:
    """Whether this unknown sandbox was made for this row: by its label, or by a name that only we give."""
    return label_id(item) == row.pk or (row.was_made_here and item.name == row.daytona_name)
