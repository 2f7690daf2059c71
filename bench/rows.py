"""Rows for benches on many of them, made by the database itself: sandboxes, and what each has.

Sandboxes with their owners, projections and operations; bench/history.py adds what time leaves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.environment import machine

if TYPE_CHECKING:
    from django.db.models import Model

OWNERS = 5  # sandboxes of one owner, tombstones included
# `{…}` are columns and their SELECT, so that the rows follow the models.
ROWS = """
INSERT INTO sandboxes_owner (id, limit_reason, hold_actor, hold_reason, created_at, updated_at)
SELECT 'user_' || md5(n::text), '', '', '', now(), now() FROM generate_series(0, %(rows)s / %(each)s) n;

CREATE TEMP TABLE draft AS
SELECT n, gen_random_uuid() AS id, now() - (n * interval '90 days' / %(rows)s) AS created_at, random() AS dice,
       (ARRAY['atlas','Borealis','cypress','delta','ember','fjord','garnet','harbor'])[1 + n %% 8]
       || '-' || n AS name
FROM generate_series(1, %(rows)s) n;
ALTER TABLE draft ADD status text, ADD intent text;
UPDATE draft SET status = CASE
    WHEN dice < 0.60 THEN 'gone' WHEN dice < 0.85 THEN 'archived' WHEN dice < 0.970 THEN 'stopped'
    WHEN dice < 0.995 THEN 'running' WHEN dice < 0.999 THEN 'error' WHEN dice < 0.9994 THEN 'starting'
    WHEN dice < 0.9997 THEN 'stopping' ELSE 'creating' END;
UPDATE draft SET intent = CASE
    WHEN status = 'gone' THEN 'deleted' WHEN status = 'archived' THEN 'archived'
    WHEN status = 'stopping' THEN 'deleted'
    WHEN status = 'stopped' AND n %% 3 = 0 THEN 'stopped' ELSE 'running' END;

INSERT INTO sandboxes_sandbox {sandboxes} FROM draft;

INSERT INTO sandboxes_convexprojection {projections}
FROM (SELECT id, created_at, n %% 10000 = 0 AS behind FROM draft) d;

INSERT INTO sandboxes_operation {operations}
FROM (SELECT *, status IN ('creating', 'starting', 'stopping') AS moving FROM draft) d WHERE moving OR n %% 2 = 0;
"""
# What the rows say beyond Django's defaults, as SQL.
VALUES = {
    "id": "id",
    "daytona_id": "gen_random_uuid()::text",
    "name": "name",
    "owner_id": "'user_' || md5((n / 5)::text)",
    "created_at": "created_at",
    "updated_at": "created_at",
    "status_changed_at": "created_at",
    "status": "status",
    "intent": "intent",
    "resource_tier": "(ARRAY['basic','standard','performance'])[1 + (n %% 10 = 0)::int + (n %% 100 = 0)::int]",
    "target": "(ARRAY['eu','us','ap'])[1 + n %% 2 + (n %% 2000 = 1)::int]",
    "sandbox_class": "'container'",
    "ephemeral": "n %% 500 = 0",
    "last_accessed_at": "created_at + random() * (now() - created_at) * (status = 'running')::int",
    "last_activity_at": "CASE WHEN n %% 4 = 0 THEN NULL ELSE created_at END",
    "protected_until": "CASE WHEN n %% 20000 = 0 THEN now() + interval '1 day' END",
    "deleted_at": "CASE WHEN status = 'gone' THEN created_at END",
    "cpu": "1",
    "memory_gb": "1",
    "disk_gb": "3",
}
PROJECTION_VALUES = {
    "sandbox_id": "id",
    "wanted_generation": "1",
    "pushed_generation": "1 - behind::int",
    "behind_since": "CASE WHEN behind THEN created_at END",
    "due_at": "CASE WHEN behind THEN created_at END",
    "known": "true",
}
OPERATION_VALUES = {
    "id": "gen_random_uuid()",
    "sandbox_id": "id",
    "action": "'start'",
    "status": "CASE WHEN moving THEN 'in_progress' ELSE 'succeeded' END",
    "actor_kind": "'owner'",
    "actor_id": "'x'",
    "source": "'api'",
    "attempt": "1",
    "created_at": "created_at",
    "finished_at": "CASE WHEN moving THEN NULL ELSE created_at END",
}
# What those lack: labels, harnesses, an owner with very many, operations that failed.
MORE = """
UPDATE sandboxes_sandbox SET user_labels =
    jsonb_build_object('team', 't' || (hashtext(id::text) & 7), 'run', (hashtext(id::text) & 65535)::text)
    WHERE hashtext(id::text) % 3 <> 0;
UPDATE sandboxes_sandbox SET harness_id = 'harness-' || (hashtext(id::text) & 32767);
INSERT INTO sandboxes_owner (id, limit_reason, hold_actor, hold_reason, created_at, updated_at)
    VALUES ('big', '', '', '', now(), now());
UPDATE sandboxes_sandbox SET owner_id = 'big' WHERE hashtext(id::text) % 20 = 0;
UPDATE sandboxes_operation SET request_id = md5(id::text);
UPDATE sandboxes_operation SET status = 'failed', code = 'timeout' WHERE hashtext(id::text) % 100 = 1;
UPDATE sandboxes_operation SET status = 'failed', code = 'capacity_exhausted' WHERE hashtext(id::text) % 500 = 2;
"""


def fill(rows: int) -> None:
    """Sandboxes, with what is of each."""
    from django.core.management import call_command

    from sandboxes.models import ConvexProjection, Operation, Sandbox

    print(machine())
    call_command("migrate", verbosity=0)
    drafted = ROWS.format(
        sandboxes=selected(Sandbox, VALUES),
        projections=selected(ConvexProjection, PROJECTION_VALUES),
        operations=selected(Operation, OPERATION_VALUES),
    )
    version = execute(drafted + MORE, rows=rows, each=OWNERS)
    print(f"{version}, {rows} sandboxes")


def execute(statements: str, **values: int) -> str:
    """Carry them out, and tidy up as autovacuum would have by then; returns the server's version."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for statement in statements.split(";\n"):
            if statement.strip():
                cursor.execute(statement, values if "%%" in statement or "%(" in statement else None)
        tables = ", ".join(connection.introspection.table_names(cursor))
        cursor.execute(f"VACUUM (FULL, ANALYZE) {tables}")
        cursor.execute(f"VACUUM {tables}")  # for the map of what all may see
        cursor.execute("SELECT version()")
        return str(cursor.fetchone()[0]).split(" on ")[0]


def selected(model: type[Model], values: dict[str, str]) -> str:
    """The columns that must have a value, and the SELECT of these or of Django's defaults."""
    from django.db.models import AutoField

    given = dict(values)
    for field in model._meta.concrete_fields:
        if field.column and field.column not in given and not field.null and not isinstance(field, AutoField):
            given[field.column] = _literal(field.get_default())
    return f"({', '.join(given)}) SELECT {', '.join(given.values())}"


def _literal(value: object) -> str:
    """A field's default as SQL."""
    if isinstance(value, bool | int):
        return str(value)
    if isinstance(value, dict | list):
        return f"'{value}'"
    return f"'{value or ''}'"
