"""How long the statements of one answer take, as PostgreSQL measures them with EXPLAIN ANALYZE."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Timed(NamedTuple):
    """The milliseconds of all SELECTs of an answer, how many statements it took, the plan of the longest."""

    milliseconds: float
    statements: int
    plan: list[str]


def timed(ask: Callable[[], Any]) -> Timed:
    """Each the best of three. Of what is streamed, what the first rows take."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        answer = ask()
    assert answer.status_code == 200, answer
    asked = [re.sub(r"^DECLARE .*? FOR SELECT", "SELECT", query["sql"]) for query in queries]
    asked = [one for one in asked if one.startswith("SELECT")]
    if answer.streaming:
        asked = [one if " LIMIT " in one else f"{one} LIMIT 1000" for one in asked]
    found = [_explained(one) for one in asked]
    plan = max(found, key=lambda one: one[0])[1] if found else []
    return Timed(sum(milliseconds for milliseconds, _ in found), len(queries), plan)


def _explained(sql: str) -> tuple[float, list[str]]:
    return min((_explained_once(sql) for _ in range(3)), key=lambda one: one[0])


def _explained_once(sql: str) -> tuple[float, list[str]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, TIMING OFF) " + sql)
        plan = [line for (line,) in cursor.fetchall()]
    times = [float(re.findall(r"[\d.]+", line)[0]) for line in plan[-2:]]  # planning, execution
    return sum(times), plan
