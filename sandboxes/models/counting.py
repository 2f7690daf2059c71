"""How many rows there are: exact while that is cheap, then what the database estimates."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection

from sandboxes.core.vocabulary import Status
from sandboxes.models.in_sql import run
from sandboxes.models.sandbox import Sandbox

if TYPE_CHECKING:
    from django.db.models import QuerySet

EXACT = 10_000  # rows
# Of a search each match is looked at once more: counting to ten thousand takes as long as the search.
EXACT_OF_SEARCH = 1000


@dataclass(frozen=True, slots=True)
class Number:
    value: int
    is_exact: bool = True

    def __str__(self) -> str:
        return f"{self.value:,}" if self.is_exact else f"about {self.value:,}"


def number(rows: QuerySet[Any], *, exact: int = EXACT) -> Number:
    """How many they are: exact up to so many."""
    bare = rows.order_by().values("pk")
    counted = bare[: exact + 1].count()
    return Number(counted) if counted <= exact else _estimated(bare, at_least=exact)


def numbers_by_status() -> dict[Status, Number]:
    """How many sandboxes have each status: read from the index of statuses, each no further than it is exact."""
    table = Sandbox._meta.db_table
    each = ", ".join(["(%s)"] * len(Status))
    few = f"SELECT 1 FROM {table} row WHERE row.status = one.status LIMIT %s"  # noqa: S608 - a name of our own
    statement = (
        f"WITH one(status) AS (VALUES {each}) "  # noqa: S608 - likewise
        f"SELECT one.status, (SELECT COUNT(*) FROM ({few}) few) FROM one"
    )
    found = dict(run(statement, [*(status.value for status in Status), EXACT + 1]))
    return {
        status: Number(found[status.value])
        if found[status.value] <= EXACT
        else _estimated(Sandbox.objects.filter(status=status), at_least=EXACT)
        for status in Status
    }


def _estimated(rows: QuerySet[Any], *, at_least: int) -> Number:
    if connection.vendor != "postgresql":
        return Number(rows.count(), is_exact=False)  # embedded: as cheap as it gets
    plan = json.loads(rows.explain(format="json"))
    return Number(max(int(plan[0]["Plan"]["Plan Rows"]), at_least), is_exact=False)
