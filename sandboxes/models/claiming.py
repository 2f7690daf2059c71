"""Leasing what is due: two statements for any number of rows, in SQL because both return what they wrote."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import connection

from sandboxes import clock
from sandboxes.core.vocabulary import ACTIVE, Action, OperationStatus
from sandboxes.models.in_sql import among, as_uuid, keys, run
from sandboxes.models.lease import LONGEST
from sandboxes.models.operation import Operation
from sandboxes.models.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

UNSENT_IN_SQL = f"action = '{Action.CREATE.value}' AND status = '{OperationStatus.QUEUED.value}'"
ACTIVE_IN_SQL = ", ".join(f"'{status.value}'" for status in sorted(ACTIVE))


@dataclass(frozen=True, slots=True)
class Claimed:
    """A sandbox that was leased at `present`, the database's time, with its active operation if it has one.

    `is_unsent`: that is a create which nobody has attempted yet, so that nothing of it is in Daytona.
    """

    sandbox_id: UUID
    daytona_id: str | None
    daytona_name: str
    owner: str
    present: datetime
    operation_id: UUID | None = None
    request_id: str = ""
    is_unsent: bool = False


def claim(ids: Sequence[UUID], *, token: str, seconds: float) -> list[Claimed]:
    """Lease those of the sandboxes that nobody holds.

    They, and their active operations, are due again when the lease ends, should their holder die. A crash between
    the two statements leaves an operation that is due under a lease, which nobody takes before it ends.
    """
    sandboxes = _lease(ids, token, seconds)
    if not sandboxes:
        return []
    operations = _postpone([one[0] for one in sandboxes], seconds)
    present = sandboxes[0][-1]
    return [
        Claimed(pk, daytona_id, name, owner, present, *operations.get(pk, (None, "", False)))
        for pk, daytona_id, name, owner, _ in sandboxes
    ]


def _lease(ids: Sequence[UUID], token: str, seconds: float) -> list[tuple[UUID, str | None, str, str, datetime]]:
    now, until, void = clock.in_sql(), clock.in_sql(plus=seconds), clock.in_sql(plus=LONGEST.total_seconds())
    chosen = f"id {among(ids)} AND (lease_until IS NULL OR lease_until < {now} OR lease_until > {void})"
    if connection.vendor == "postgresql":
        # In one order, and without waiting: two workers that claim the same rows cannot wait for each other.
        chosen = (
            f"id IN (SELECT id FROM {_table(Sandbox)} WHERE {chosen} ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)"  # noqa: S608 - names and times of our own
        )
    statement = f"""
        UPDATE {_table(Sandbox)} SET lease_token = %s, lease_until = {until},
            fetch_due_at = CASE WHEN fetch_due_at < {until} THEN {until} ELSE fetch_due_at END
        WHERE {chosen} RETURNING id, daytona_id, daytona_name, owner_id, lease_until{_unflushed()}
    """  # noqa: S608
    found = run(statement, [token, *keys(ids)])
    here = clock.here()  # SQLite has our own clock
    lease = timedelta(seconds=seconds)
    return [
        (as_uuid(pk), daytona_id, name, owner, ends - lease if connection.vendor == "postgresql" else here)
        for pk, daytona_id, name, owner, ends, *_ in found
    ]


def _postpone(ids: Sequence[UUID], seconds: float) -> dict[UUID, tuple[UUID, str, bool]]:
    """Of each sandbox the active operation, which is not due again before the lease ends."""
    until = clock.in_sql(plus=seconds)
    statement = f"""
        UPDATE {_table(Operation)} SET due_at = CASE WHEN due_at > {until} THEN due_at ELSE {until} END
        WHERE sandbox_id {among(ids)} AND status IN ({ACTIVE_IN_SQL})
        RETURNING sandbox_id, id, request_id, {UNSENT_IN_SQL}{_unflushed()}
    """  # noqa: S608
    return {
        as_uuid(sandbox): (as_uuid(pk), request_id, bool(is_unsent))
        for sandbox, pk, request_id, is_unsent, *_ in run(statement, keys(ids))
    }


def _unflushed() -> str:
    """A last column that spares PostgreSQL the wait for its disk: what a crash of it takes back is due again.

    Nothing is changed in Daytona under a claim before a decision is written, which waits for the disk, and so for
    all that was written before.
    """
    return ", set_config('synchronous_commit', 'off', true)" if connection.vendor == "postgresql" else ""


def _table(model: type[Sandbox | Operation]) -> str:
    return model._meta.db_table
