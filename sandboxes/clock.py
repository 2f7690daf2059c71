"""One clock for all workers: the database's. Times that are compared come from here.

Tests move all of it together, or stop it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import DateTimeField, Expression, ExpressionWrapper, Value
from django.db.models.functions import Now

# How far this process pretends to be ahead, and since when its clock stands: tests do that, nothing else does.
_ahead = timedelta()
_stopped: tuple[datetime, float] | None = None


def now() -> datetime:
    """The database's present time, aware, in UTC.

    SQLite is embedded, so its clock is this machine's and needs no query.
    """
    if _stopped is not None or connection.vendor != "postgresql":
        return here()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        value: datetime = cursor.fetchone()[0]
    return value.astimezone(UTC) + _ahead


def here() -> datetime:
    """This machine's time, which needs no query: for ages that people read, and for words of other machines."""
    return (_stopped[0] if _stopped else datetime.now(UTC)) + _ahead


def monotonic() -> float:
    """Seconds that only grow: for what passes within this process, whatever is done to the machine's clock."""
    return (_stopped[1] if _stopped else time.monotonic()) + _ahead.total_seconds()


def present(*, plus: timedelta = timedelta()) -> Expression:
    """The same as `now` inside a query, which saves the one that asks for it: when the statement began."""
    if _stopped is not None or connection.vendor != "postgresql":
        return Value(now() + plus, output_field=DateTimeField())
    ahead = _ahead + plus
    return ExpressionWrapper(Now() + Value(ahead), DateTimeField()) if ahead else Now()


def in_sql(*, plus: float = 0.0) -> str:
    """The same for a statement that is written in SQL; `plus` in seconds."""
    if _stopped is None and connection.vendor == "postgresql":
        ahead = _ahead.total_seconds() + plus
        return f"(statement_timestamp() + interval '{ahead:.6f} s')" if ahead else "statement_timestamp()"
    value = connection.ops.adapt_datetimefield_value(now() + timedelta(seconds=plus))
    return f"'{value}'::timestamptz" if connection.vendor == "postgresql" else f"'{value}'"


def move(seconds: float) -> None:
    """Pretend that `seconds` more have passed (tests)."""
    global _ahead
    _ahead += timedelta(seconds=seconds)


def stop() -> None:
    """Let time pass by `move` alone (tests)."""
    global _stopped
    _stopped = datetime.now(UTC), time.monotonic()


def restore() -> None:
    """Stop pretending (tests)."""
    global _ahead, _stopped
    _ahead, _stopped = timedelta(), None
