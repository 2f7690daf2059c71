"""What a decision reads of many sandboxes: three statements, whose cost does not grow with their tables."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import connection

from sandboxes import clock
from sandboxes.models.claiming import ACTIVE_IN_SQL
from sandboxes.models.daytona_call import DaytonaCall
from sandboxes.models.in_sql import among, columns, keys, read
from sandboxes.models.intent import IntentChange
from sandboxes.models.operation import Operation
from sandboxes.models.sandbox import Owner, Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

_SANDBOXES, _OWNERS, _OPERATIONS = Sandbox._meta.db_table, Owner._meta.db_table, Operation._meta.db_table
RECENT = timedelta(minutes=15)
_CALLS, _CHANGES = DaytonaCall._meta.db_table, IntentChange._meta.db_table


@dataclass(frozen=True, slots=True)
class ReadOperation:
    """An operation as it was at `present`, the database's time; `on_hold`: its owner is."""

    row: Operation
    on_hold: bool
    present: datetime


def lock(ids: Sequence[UUID]) -> list[Sandbox]:
    """These sandboxes, which nobody else writes before the transaction ends; those that are held are waited for."""
    locked = "FOR NO KEY UPDATE" if connection.vendor == "postgresql" else ""  # SQLite's transaction is the lock
    statement = f"""
        SELECT {columns(Sandbox, "sandbox")} FROM {_SANDBOXES} sandbox
        WHERE sandbox.id {among(ids)} ORDER BY sandbox.id {locked}
    """  # noqa: S608 - names of our own
    return [row for (row,) in read(statement, keys(ids), Sandbox)]


def operations(ids: Sequence[UUID], sandboxes: Sequence[UUID]) -> list[ReadOperation]:
    """These operations, which may have ended, and those of the sandboxes that are active."""
    statement = f"""
        SELECT {columns(Operation, "operation")}, {columns(IntentChange, "change")},
            owner.hold_since IS NOT NULL, {clock.in_sql()}
        FROM {_OPERATIONS} operation
            JOIN {_SANDBOXES} sandbox ON sandbox.id = operation.sandbox_id
            JOIN {_OWNERS} owner ON owner.id = sandbox.owner_id
            LEFT JOIN {_CHANGES} change ON change.id = operation.intent_change_id
        WHERE operation.id {among(ids)}
            OR operation.sandbox_id {among(sandboxes)} AND operation.status IN ({ACTIVE_IN_SQL})
    """  # noqa: S608
    found = []
    here = clock.here()  # SQLite has our own clock
    for row, change, on_hold, present in read(statement, [*keys(ids), *keys(sandboxes)], Operation, IntentChange):
        if change is not None:
            Operation.intent_change.field.set_cached_value(row, change)
        now = present if connection.vendor == "postgresql" else here
        found.append(ReadOperation(row, bool(on_hold), now))
    return found


def calls(sandboxes: Sequence[UUID]) -> list[DaytonaCall]:
    """The calls of these sandboxes that a decision depends on, oldest first: in doubt, of an operation that is
    active, or made just now, so that a fetch may still show what was before them."""
    statement = f"""
        SELECT {columns(DaytonaCall, "call")}
        FROM {_CALLS} call JOIN {_OPERATIONS} operation ON operation.id = call.operation_id
        WHERE call.sandbox_id {among(sandboxes)} AND (
            call.in_doubt_until IS NOT NULL OR operation.status IN ({ACTIVE_IN_SQL})
            OR call.made_at >= {clock.in_sql(plus=-RECENT.total_seconds())}
        )
        ORDER BY call.id
    """  # noqa: S608
    return [row for (row,) in read(statement, keys(sandboxes), DaytonaCall)]
