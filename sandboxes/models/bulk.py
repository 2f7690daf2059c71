"""One statement that writes many rows, each with values of its own, on both databases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.db.models import DateTimeField, JSONField, UUIDField

from sandboxes import clock

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from django.db.models import Field, Model

AS_THEY_ARE = (DateTimeField, JSONField, UUIDField)  # in JSON


def update_each(rows: Sequence[Model], fields: Collection[str], *, now: Collection[str] = ()) -> None:
    """Write these fields of each row, as they are on it: one statement, however many rows and values.

    The caller holds what it writes. `now`: fields that get the database's present time.
    """
    if not rows or not fields:
        return
    options = rows[0]._meta
    columns: list[Field[Any, Any]] = [options.pk, *(options.get_field(name) for name in sorted(fields))]  # type: ignore[list-item]
    table, key = connection.ops.quote_name(options.db_table), _quoted(columns[0])
    times = [f"{_quoted(options.get_field(name))} = {clock.in_sql()}" for name in now]  # type: ignore[arg-type]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            changes = ", ".join([*(f"{_quoted(column)} = new.{_quoted(column)}" for column in columns[1:]), *times])
            statement = f"UPDATE {table} SET {changes} FROM {_given(columns)} WHERE {table}.{key} = new.{key}"  # noqa: S608 - names of our own models
            cursor.execute(statement, [_in_json(columns, rows)])
        else:
            changes = ", ".join([*(f"{_quoted(column)} = %s" for column in columns[1:]), *times])
            statement = f"UPDATE {table} SET {changes} WHERE {key} = %s"  # noqa: S608
            values = [[_prepared(column, row) for column in columns] for row in rows]
            cursor.executemany(statement, [[*new, pk] for pk, *new in values])


def insert_each(rows: Sequence[Model]) -> None:
    """Insert rows whose keys the database gives; they do not hear of them."""
    if not rows:
        return
    model = type(rows[0])
    if connection.vendor != "postgresql":
        model._default_manager.bulk_create(rows)
        return
    columns = [column for column in model._meta.concrete_fields if not column.primary_key]
    names = ", ".join(map(_quoted, columns))
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}) SELECT {names} FROM {_given(columns)}",  # noqa: S608
            [_in_json(columns, rows)],
        )


def _given(columns: Sequence[Field[Any, Any]]) -> str:
    """The rows as one parameter, whose text Python writes in C: arrays cost a call for each value."""
    names = ", ".join(f"{_quoted(column)} {column.db_type(connection)}" for column in columns)
    return f"jsonb_to_recordset(%s::jsonb) AS new ({names})"


def _in_json(columns: Sequence[Field[Any, Any]], rows: Sequence[Model]) -> str:
    return json.dumps([_plain(columns, row) for row in rows], default=str)


def _plain(columns: Sequence[Field[Any, Any]], row: Model) -> dict[str, Any]:
    values = row.__dict__
    return {
        str(column.column): value if isinstance(column, AS_THEY_ARE) else column.get_prep_value(value)
        for column in columns
        for value in (values[column.attname],)
    }


def _prepared(column: Field[Any, Any], row: Model) -> Any:
    return column.get_db_prep_save(getattr(row, column.attname), connection)


def _quoted(column: Field[Any, Any]) -> str:
    return str(connection.ops.quote_name(str(column.column)))
