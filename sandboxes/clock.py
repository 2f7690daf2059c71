"""One clock for all workers: the database's. Times that are compared come from here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import DateTimeField, Expression, ExpressionWrapper, Value
from django.db.models.functions import Now

# How far this process pretends to be ahead of the database: tests of expiry move it, nothing else does.
_ahead = timedelta()


def now() -> datetime:
    """The database's present time, aware, in UTC.

    SQLite is embedded, so its clock is this machine's and needs no query.
    """
    if connection.vendor != "postgresql":
        return datetime.now(UTC) + _ahead
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        value: datetime = cursor.fetchone()[0]
    return value.astimezone(UTC) + _ahead


def present(*, plus: timedelta = timedelta()) -> Expression:
    """The same inside a query, which saves the one that asks for the time: when the statement began."""
    if connection.vendor != "postgresql":
        return Value(now() + plus, output_field=DateTimeField())
    ahead = _ahead + plus
    return ExpressionWrapper(Now() + Value(ahead), DateTimeField()) if ahead else Now()


def move(seconds: float) -> None:
    """Pretend that `seconds` more have passed (tests)."""
    global _ahead
    _ahead += timedelta(seconds=seconds)


def restore() -> None:
    """Stop pretending (tests)."""
    global _ahead
    _ahead = timedelta()
