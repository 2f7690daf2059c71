"""Reading one row."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import QuerySet

T = TypeVar("T")


def one(rows: QuerySet[Any, T]) -> T | None:
    """The row that there is, if any. Unlike `first()` it has the database sort nothing."""
    return next(iter(rows[:1]), None)
