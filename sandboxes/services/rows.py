"""Reading one row, or very many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Model, QuerySet

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
M = TypeVar("M", bound=Model)


def one(rows: QuerySet[Any, T]) -> T | None:
    """The row that there is, if any. Unlike `first()` it has the database sort nothing."""
    return next(iter(rows[:1]), None)


def in_chunks(rows: QuerySet[M], size: int) -> Iterator[list[M]]:
    """All of them, by key: memory stays flat, and a row that changes meanwhile moves no other."""
    ordered = rows.order_by("pk")
    chunk = list(ordered[:size])
    while chunk:
        last = chunk[-1].pk
        yield chunk
        chunk = list(ordered.filter(pk__gt=last)[:size])
