"""One statement that writes many rows, each with values of its own, on both databases."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import DateTimeField, JSONField, UUIDField

from sandboxes import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from django.db.models import Field, Model

    _Parts = list[tuple[str, str, Callable[[Any], Any] | None]]  # column, attribute, and what prepares its value

AS_THEY_ARE = (DateTimeField, JSONField, UUIDField)  # in JSON


def update_each(rows: Sequence[Model], fields: Collection[str], *, now: Collection[str] = ()) -> None:
    """Write these fields of each row, as they are on it: one statement, however many rows and values.

    The caller holds what it writes. `now`: fields that get the database's present time.
    """
    if not rows or not fields:
        return
    options = rows[0]._meta
    columns = _columns(type(rows[0]), (str(options.pk.name), *sorted(fields)))
    table, key = connection.ops.quote_name(options.db_table), columns[0].name
    times = [f"{_quoted(options.get_field(name))} = {clock.in_sql()}" for name in now]  # type: ignore[arg-type]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            changes = ", ".join([*(f"{column.name} = new.{column.name}" for column in columns[1:]), *times])
            statement = f"UPDATE {table} SET {changes} FROM {_given(columns)} WHERE {table}.{key} = new.{key}"  # noqa: S608 - names of our own models
            cursor.execute(statement, [_in_json(columns, rows)])
        else:
            changes = ", ".join([*(f"{column.name} = %s" for column in columns[1:]), *times])
            statement = f"UPDATE {table} SET {changes} WHERE {key} = %s"  # noqa: S608
            values = [[_prepared(column.field, row) for column in columns] for row in rows]
            cursor.executemany(statement, [[*new, pk] for pk, *new in values])


def insert_each(rows: Sequence[Model]) -> None:
    """Insert rows whose keys the database gives; they do not hear of them."""
    if not rows:
        return
    model = type(rows[0])
    if connection.vendor != "postgresql":
        model._default_manager.bulk_create(rows)
        return
    columns = _columns(model, tuple(one.name for one in model._meta.concrete_fields if not one.primary_key))
    names = ", ".join(column.name for column in columns)
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {_given(columns)}",  # noqa: S608
            [_in_json(columns, rows)],
        )


@dataclass(frozen=True, slots=True)
class _Column:
    """A column as it stands in a statement: its quoted `name` and `type`."""

    field: Field[Any, Any]
    name: str
    type: str
    prepare: Callable[[Any], Any] | None


@cache
def _columns(model: type[Model], names: tuple[str, ...]) -> tuple[_Column, ...]:
    """Asked once for each set of fields: a connection's answers cost more than the rows of a small batch."""
    fields: list[Field[Any, Any]] = [model._meta.get_field(name) for name in names]  # type: ignore[misc]
    return tuple(
        _Column(
            field, _quoted(field), str(field.db_type(connection)),
            None if isinstance(field, AS_THEY_ARE) else field.get_prep_value,
        )
        for field in fields
    )  # fmt: skip


def _given(columns: Sequence[_Column]) -> str:
    """The rows as one parameter, whose text Python writes in C: arrays cost a call for each value."""
    names = ", ".join(f"{column.name} {column.type}" for column in columns)
    return f"jsonb_to_recordset(%s::jsonb) AS new ({names})"


def _in_json(columns: Sequence[_Column], rows: Sequence[Model]) -> str:
    parts = [(str(column.field.column), column.field.attname, column.prepare) for column in columns]
    return json.dumps([_plain(parts, row.__dict__) for row in rows], default=str)


def _plain(parts: _Parts, values: Mapping[str, Any]) -> dict[str, Any]:
    return {column: values[name] if prepare is None else prepare(values[name]) for column, name, prepare in parts}


def _prepared(column: Field[Any, Any], row: Model) -> Any:
    return column.get_db_prep_save(getattr(row, column.attname), connection)


def _quoted(column: Field[Any, Any]) -> str:
    return str(connection.ops.quote_name(str(column.column)))
