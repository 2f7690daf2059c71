"""What Convex shall show of a sandbox. Pure: no query, no call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandboxes.gateways.convex import Change, Row
from sandboxes.models import Sandbox
from sandboxes.states import Intent, Status

GONE_WORDS = "This sandbox no longer exists in Daytona. Delete it to take it off the list."
MESSAGE_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class Shown:
    """The values of a row that change during a sandbox's life."""

    status: str
    error: str
    name: str

    def as_sent(self) -> dict[str, Any]:
        """As `Sandbox.convex_sent` remembers them; `row` says that Convex has a row of ours."""
        return {"row": True, "status": self.status, "error": self.error, "name": self.name}


def wanted(row: Sandbox) -> Shown | None:
    """What Convex shall show; None: no row at all."""
    if row.status != Status.GONE:
        error = row.error_reason[:MESSAGE_LIMIT] if row.status == Status.ERROR else ""
        return Shown(row.status, error, row.name)
    if is_to_be_removed(row):
        return None
    # Convex knows no word for a sandbox that went without anybody asking: the message says it.
    return Shown(Status.ARCHIVED, GONE_WORDS, row.name)


def is_to_be_removed(row: Sandbox) -> bool:
    """Gone as its owner wanted, or as Daytona was told to do by itself; or Convex's list has no place for it."""
    ends_itself = row.ephemeral or (row.auto_delete is not None and row.auto_delete >= 0)
    return row.status == Status.GONE and (row.intent == Intent.DELETED or ends_itself or row.convex_withdrawn)


def row_of(row: Sandbox, shown: Shown, *, with_harness: bool = True) -> Row:
    return Row(
        name=shown.name,
        status=shown.status,
        error_message=shown.error,
        ephemeral=row.ephemeral,
        cpu=row.cpu,
        memory_gb=row.memory_gb,
        disk_gb=row.disk_gb,
        created_at_ms=int(row.created_at.timestamp() * 1000),
        language=row.language,
        snapshot=row.snapshot,
        git_repo=row.git_repo,
        harness_id=row.harness_id if with_harness else "",
    )


def change_of(row: Sandbox) -> Change:
    """The row, or its removal, for our own functions in Convex."""
    shown = wanted(row)
    return Change(
        sandbox_id=str(row.pk),
        daytona_id=row.daytona_id or "",
        owner=row.owner_id,
        revision=row.revision,
        row=None if shown is None else row_of(row, shown),
        remove=shown is None,
        last_accessed_ms=accessed_ms(row),
    )


def touch_of(row: Sandbox) -> Change:
    """Only that it was used."""
    return Change(
        sandbox_id=str(row.pk),
        daytona_id=row.daytona_id or "",
        owner=row.owner_id,
        revision=row.revision,
        last_accessed_ms=accessed_ms(row),
    )


def accessed_ms(row: Sandbox) -> int | None:
    return None if row.last_accessed_at is None else int(row.last_accessed_at.timestamp() * 1000)
