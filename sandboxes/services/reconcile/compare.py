"""A page of the list beside our rows. Pure: a list row is a hint; what differs is to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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
FIELDS = (
    "pk", "daytona_id", "daytona_name", "name", "owner_id", "observed_state", "desired_state", "recoverable",
    "observed_auto_delete", "labels", "observed_at", "missing_since", "deleted_at", "intent",
)  # fmt: skip


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

    @property
    def short_id(self) -> str:
        return self.pk.hex[:12]


def differs(row: Known, item: RemoteSandbox) -> bool:
    """Whether the list says otherwise than our observation, so that somebody has to look."""
    if row.deleted_at is not None:
        return not is_ending(item)
    if row.observed_at is None or row.missing_since is not None:
        return True
    state = SHOWN_BY_GET.get((item.state, item.desired_state), item.state)
    listed = (state, item.desired_state, item.recoverable, item.auto_delete_interval, item.labels)
    return listed != (
        row.observed_state, row.desired_state, row.recoverable, row.observed_auto_delete, row.labels,
    )  # fmt: skip


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
    ours = row.daytona_name.endswith(f"-{row.short_id}")
    return label_id(item) == row.pk or (ours and item.name == row.daytona_name)
