"""What Convex shows of a sandbox, by the functions the application publishes. Nothing is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes.providers.convex.gateway import (
    ApplicationRow,
    ConvexGateway,
    ConvexRejected,
    ConvexUnauthorized,
    Function,
    FunctionMissing,
)
from sandboxes.services.projection import push_result

if TYPE_CHECKING:
    from sandboxes.models import Sandbox

CANNOT_BE_READ = (ConvexRejected, ConvexUnauthorized, FunctionMissing)


def look(convex: ConvexGateway, row: Sandbox, *, is_expected: bool = True) -> ApplicationRow | None:
    """Convex's row of the sandbox, as far as it can be read; None: there is none.

    Raises:
        ForeignOwner: it belongs to another owner, so that nothing of it may be written.
    """
    if is_expected and (found := listed(convex, row)) is not None:
        return found
    if not is_there(convex, row):
        return None
    found = None if is_expected else listed(convex, row)
    return found or ApplicationRow(row.daytona_id or "", "", owner=row.owner_id)


def is_there(convex: ConvexGateway, row: Sandbox) -> bool:
    """Whether Convex has a row of it. Raises ForeignOwner."""
    owner = convex.owner_of(row.daytona_id or "")
    if owner not in (None, row.owner_id):
        raise push_result.foreign(row, str(owner))
    return owner is not None


def listed(convex: ConvexGateway, row: Sandbox) -> ApplicationRow | None:
    """As its owner sees it in the application; None: it is not there, or the key may not act as a user."""
    rows = rows_of(convex, row.owner_id) or []
    return next((item for item in rows if item.daytona_id == row.daytona_id), None)


def rows_of(convex: ConvexGateway, owner_id: str) -> list[ApplicationRow] | None:
    """All rows of an owner; None where they cannot be read."""
    try:
        return convex.rows_as_owner(owner_id)
    except CANNOT_BE_READ:
        return None


def status(convex: ConvexGateway, row: Sandbox) -> str | None:
    """Where a function for the deploy key tells it."""
    if convex.has(Function.LIST_FOR_RECONCILE):
        rows = convex.list_for_reconcile(row.owner_id)
        return next((item.status for item in rows if item.daytona_id == row.daytona_id), None)
    return convex.status_of(row.daytona_id or "") if convex.has(Function.STATUS) else None
