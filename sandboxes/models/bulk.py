"""One UPDATE that gives each row values of its own, on both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import connection

from sandboxes import clock

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from django.db.models import Field, Model


def update_each(rows: Sequence[Model], fields: Collection[str], *, now: Collection[str] = ()) -> None:
    """Write these fields of each row, as they are on it: one statement, however many rows and values.

    The caller holds what it writes. `now`: fields that get the database's present time.
    """
    if not rows or not fields:
        return
    options = rows[0]._meta
    written = [options.get_field(name) for name in sorted(fields)]
    columns: list[Field[Any, Any]] = [options.pk, *written]  # type: ignore[list-item]
    values = [[_prepared(column, row) for column in columns] for row in rows]
    table, key = connection.ops.quote_name(options.db_table), _quoted(columns[0])
    times = [f"{_quoted(options.get_field(name))} = {clock.in_sql()}" for name in now]  # type: ignore[arg-type]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Arrays: the text of the statement, and so its plan, is the same for any number of rows.
            places = ", ".join(f"%s::{column.db_type(connection)}[]" for column in columns)
            names = ", ".join(map(_quoted, columns))
            changes = ", ".join([*(f"{_quoted(column)} = new.{_quoted(column)}" for column in columns[1:]), *times])
            statement = f"UPDATE {table} SET {changes} FROM unnest({places}) AS new ({names}) WHERE {table}.{key} = new.{key}"  # noqa: S608, E501 - names of our own models
            cursor.execute(statement, [list(column) for column in zip(*values, strict=True)])
        else:
            changes = ", ".join([*(f"{_quoted(column)} = %s" for column in columns[1:]), *times])
            statement = f"UPDATE {table} SET {changes} WHERE {key} = %s"  # noqa: S608
            cursor.executemany(statement, [[*new, pk] for pk, *new in values])


def _prepared(column: Field[Any, Any], row: Model) -> Any:
    return column.get_db_prep_save(getattr(row, column.attname), connection)


def _quoted(column: Field[Any, Any]) -> str:
    return str(connection.ops.quote_name(str(column.column)))
