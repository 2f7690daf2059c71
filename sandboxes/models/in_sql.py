"""Statements that run all the time, written in SQL: having the ORM build one costs more than running it.

The columns come from the models, so that a new one is read as well.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from django.db import connection, connections
from django.db.models.base import ModelState
from django.db.models.sql import Query

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django.db.models import Model

    M = TypeVar("M", bound=Model)


def run(statement: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def read(statement: str, values: Sequence[Any], *models: type[Model]) -> Iterator[tuple[Any, ...]]:
    """A row of each of these models, whose `columns` come first, or None where a join found none; then the rest."""
    found = run(statement, values)
    fields = [field for model in models for field in model._meta.concrete_fields]
    here = connections[connection.alias]  # not the proxy, which is asked about each column
    compiler = here.ops.compiler("SQLCompiler")(Query(models[0]), here, here.alias)
    converters = compiler.get_converters([field.get_col(field.model._meta.db_table) for field in fields])
    parts = [(model, *_part(model)) for model in models]
    for whole in compiler.apply_converters(found, converters) if converters else found:
        rows, place = [], 0
        for model, names, key in parts:
            part = whole[place : place + len(names)]
            rows.append(None if part[key] is None else _loaded(model, here.alias, names, part))
            place += len(names)
        yield (*rows, *whole[place:])


def _loaded(model: type[M], alias: str, names: Sequence[str], values: Sequence[Any]) -> M:
    """What `Model.from_db` makes of a row, but without a call for each of its columns."""
    row = model.__new__(model)
    row.__dict__.update(zip(names, values, strict=True))
    row._state = ModelState()
    row._state.adding, row._state.db = False, alias
    return row


@cache
def columns(model: type[Model], table: str) -> str:
    """All columns of a model, to be selected from the table of that name."""
    return ", ".join(f'{table}."{field.column}"' for field in model._meta.concrete_fields)


@cache
def _part(model: type[Model]) -> tuple[list[str], int]:
    """The fields of a model in the order of its columns, and the place of its key."""
    names = [field.attname for field in model._meta.concrete_fields]
    return names, names.index(model._meta.pk.attname)


def among(ids: Sequence[UUID]) -> str:
    """What a column is compared with; one array on PostgreSQL, so that the statement is the same for any number."""
    return "= ANY(%s::uuid[])" if connection.vendor == "postgresql" else f"IN ({', '.join(['%s'] * len(ids))})"


def keys(ids: Sequence[UUID]) -> list[Any]:
    """The values for `among`."""
    return [list(ids)] if connection.vendor == "postgresql" else [one.hex for one in ids]


def as_uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)
