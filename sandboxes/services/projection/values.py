"""What is pushed, in the form in which the gateway sends it. Pure: no query, no call."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sandboxes.core.shown import Push, our_messages, to_push
from sandboxes.providers.convex.gateway import ConvexRow, RowChange

if TYPE_CHECKING:
    from sandboxes.models import ConvexProjection, Sandbox

# The application's own name for a sandbox without one. Convex has no row without a name, so one that is created
# there for a sandbox that nobody named bears it; a row that exists keeps its own.
UNNAMED = "sandbox"


def row_of(row: Sandbox, push: Push, *, harness: str = "") -> ConvexRow:
    """A whole row, for its creation."""
    return ConvexRow(
        name=push.shown.name or UNNAMED,
        status=push.shown.status,
        error_message=push.shown.error,
        ephemeral=row.ephemeral,
        cpu=row.cpu,
        memory_gb=row.memory_gb,
        disk_gb=row.disk_gb,
        created_at_ms=int(row.created_at.timestamp() * 1000),
        language=row.language,
        snapshot=row.snapshot,
        git_repo=row.git_repo,
        harness_id=harness,
    )


def change_of(row: ConvexProjection) -> RowChange:
    """What is to be pushed, or the removal of the row, for our own functions in Convex."""
    push = to_push(row, row.sent)
    change = touch_of(row)
    if push is None:
        return replace(change, remove=True)
    sandbox = row.sandbox
    return replace(
        change,
        row=row_of(sandbox, push, harness=sandbox.harness_id if row.link_due else ""),
        first_creation=row.link_due,
        renames=push.name is not None,
        takes_back=our_messages(sandbox, row.sent),
        absent=push.absent,
    )


def touch_of(row: ConvexProjection) -> RowChange:
    """Only that it was used."""
    sandbox = row.sandbox
    return RowChange(
        sandbox_id=str(sandbox.pk),
        daytona_id=sandbox.daytona_id or "",
        owner=sandbox.owner_id,
        revision=row.wanted_generation,
        last_accessed_ms=accessed_ms(sandbox),
    )


def accessed_ms(row: Sandbox) -> int | None:
    return None if row.last_accessed_at is None else int(row.last_accessed_at.timestamp() * 1000)
