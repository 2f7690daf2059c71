"""Which rows are due: the few statements that run all the time, in SQL, the same on both databases where possible.

Owners take turns: one index (owner, due time) is read owner by owner, from where the last pick ended, so that a
pick costs as much as it finds, however many rows one owner has due.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from sandboxes import clock
from sandboxes.core.vocabulary import ActorKind
from sandboxes.models import (
    ConvexProjection,
    Delivery,
    Feed,
    Job,
    Operation,
    Policy,
    Receiver,
    Sandbox,
    SandboxEvent,
)
from sandboxes.models.claiming import ACTIVE_IN_SQL

_OPERATIONS, _SANDBOXES = Operation._meta.db_table, Sandbox._meta.db_table
_PROJECTIONS, _POLICIES = ConvexProjection._meta.db_table, Policy._meta.db_table
_EVENTS, _FEED = SandboxEvent._meta.db_table, Feed._meta.db_table


@dataclass(frozen=True, slots=True)
class Queue:
    """Rows of one table with a due time: `holds` says which of them are waiting at all."""

    table: str
    sandbox: str  # what is claimed: the sandbox, or the row itself
    owner: str
    due: str
    holds: str

    def where(self, row: str = "queue") -> str:
        return f"{self.holds.format(row=row)} AND {row}.{self.due} <= {clock.in_sql()}"


PEOPLE = Queue(
    _OPERATIONS, "sandbox_id", "owner", "due_at",
    f"{{row}}.status IN ({ACTIVE_IN_SQL}) AND {{row}}.actor_kind <> '{ActorKind.SYSTEM.value}'",
)  # fmt: skip
SYSTEM = Queue(
    _OPERATIONS, "sandbox_id", "owner", "due_at",
    f"{{row}}.status IN ({ACTIVE_IN_SQL}) AND {{row}}.actor_kind = '{ActorKind.SYSTEM.value}'",
)  # fmt: skip
FETCHES = Queue(_SANDBOXES, "id", "owner_id", "fetch_due_at", "{row}.fetch_due_at IS NOT NULL")
TOUCHES = Queue(_SANDBOXES, "id", "owner_id", "touch_due_at", "{row}.touch_due_at IS NOT NULL")
JOBS = Queue(Job._meta.db_table, "", "", "due_at", "{row}.due_at IS NOT NULL")
POLICIES = Queue(_SANDBOXES, "id", "owner_id", "policy_due_at", "{row}.policy_due_at IS NOT NULL")
CHANGED_POLICIES = Queue(_POLICIES, "", "", "changed_at", "{row}.told_up_to IS NOT NULL")
PUSHES = Queue(_PROJECTIONS, "sandbox_id", "", "due_at", "{row}.due_at IS NOT NULL")
DELIVERIES = Queue(Delivery._meta.db_table, "id", "receiver_id", "due_at", "{row}.due_at IS NOT NULL")
# Receivers that have not been given all of the feed.
_NUMBERLESS, _LAST = f"SELECT 1 FROM {_EVENTS} WHERE seq IS NULL", f"SELECT MAX(last) FROM {_FEED}"  # noqa: S608
UNREAD = Queue(
    Receiver._meta.db_table, "id", "", "created_at",
    "{row}.key_id IS NOT NULL AND {row}.disabled_at IS NULL"
    f" AND (EXISTS ({_NUMBERLESS}) OR {{row}}.position < ({_LAST}))",
)  # fmt: skip


def due(queues: tuple[Queue, ...]) -> list[bool]:
    """Whether anything is due in each of them: one statement."""
    parts = [
        f"EXISTS (SELECT 1 FROM {queue.table} queue WHERE {queue.where()})"  # noqa: S608 - names of our own
        for queue in queues
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}")
        return [bool(found) for found in cursor.fetchone()]


def owners(queue: Queue, *, after: str | None, limit: int) -> list[str]:
    """Up to so many owners who have something due, in their order, behind `after`."""
    where, behind = queue.where(), ">" if after is not None else ">="
    first = f"SELECT queue.{queue.owner} FROM {queue.table} queue WHERE {where} AND queue.{queue.owner} {behind} %s ORDER BY queue.{queue.owner} LIMIT 1"  # noqa: S608, E501
    following = f"SELECT queue.{queue.owner} FROM {queue.table} queue WHERE {where} AND queue.{queue.owner} > turn.owner ORDER BY queue.{queue.owner} LIMIT 1"  # noqa: S608, E501
    statement = f"""
        WITH RECURSIVE turn(owner, place) AS (
            SELECT ({first}), 1
            UNION ALL
            SELECT ({following}), turn.place + 1 FROM turn WHERE turn.owner IS NOT NULL AND turn.place < %s
        )
        SELECT owner FROM turn WHERE owner IS NOT NULL
    """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(statement, [after or "", limit])
        return [owner for (owner,) in cursor.fetchall()]


def sandboxes(queue: Queue, of: list[str], *, each: int, limit: int) -> list[UUID]:
    """The rows that have been due for longest, of each of these owners up to `each`."""
    inner = f"FROM {queue.table} queue WHERE {queue.where()} AND queue.{queue.owner} = turn.owner ORDER BY queue.{queue.due} LIMIT %s"  # noqa: E501
    if connection.vendor == "postgresql":
        statement = f"SELECT due.sandbox FROM unnest(%s::text[]) AS turn(owner) CROSS JOIN LATERAL (SELECT queue.{queue.sandbox} AS sandbox {inner}) AS due LIMIT %s"  # noqa: S608, E501
        given: list[str] | str = of
    else:
        statement = f"SELECT due.{queue.sandbox} FROM (SELECT value AS owner FROM json_each(%s)) AS turn JOIN {queue.table} due ON due.rowid IN (SELECT queue.rowid {inner}) LIMIT %s"  # noqa: S608, E501
        given = json.dumps(of)
    with connection.cursor() as cursor:
        cursor.execute(statement, [given, each, limit])
        return [found if isinstance(found, UUID) else UUID(found) for (found,) in cursor.fetchall()]
