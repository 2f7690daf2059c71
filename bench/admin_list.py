"""The admin's list of sandboxes on a million rows: how long each page, filter and search takes, and by which plan.

    .venv/bin/python -m bench.admin_list [--rows 1000000] [--explain]

Needs PostgreSQL: DATABASE_URL, by default postgres://postgres@127.0.0.1:5432/postgres. It makes a database of its
own beside it and drops it at the end. The time is that of the whole page, as the browser waits for it, the best
of three; the plan is that of the query for the rows. A sequential scan of the sandboxes, or a page that takes
longer than the aim, makes the exit code 1.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from typing import TYPE_CHECKING

from bench.environment import machine, postgres
from tests.support.environment import DEVELOPMENT, clean_environment

if TYPE_CHECKING:
    from django.db.models import Model

AIM = 0.3
IS_THE_LIST = re.compile(r'FROM "sandboxes_sandbox".* LIMIT 26', re.DOTALL)
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
PAGES: dict[str, dict[str, str]] = {
    "first page": {},
    "second page": {"p": "2"},
    "last page that can be asked for": {"p": "200"},
    "all, gone too": {"status": "all"},
    **{f"status {name}": {"status": name} for name in ("running", "stopped", "error", "creating", "gone")},
    "four statuses at once": {"status": "creating,starting,running,stopping"},
    **{f"intent {name}": {"intent": name} for name in ("running", "stopped", "archived", "deleted")},
    "tier basic": {"tier": "basic"},
    "tier performance": {"tier": "performance"},
    "region eu": {"region": "eu"},
    "region ap (1 in 2000)": {"region": "ap"},
    "in flight": {"in_flight": "yes"},
    "not in flight": {"in_flight": "no"},
    "not as wanted": {"drift": "yes"},
    "as wanted": {"drift": "no"},
    "Convex behind": {"behind": "yes"},
    "Convex not behind": {"behind": "no"},
    "protected": {"protected": "yes"},
    "ephemeral": {"ephemeral": "yes"},
    **{f"last used: {name}": {"used": name} for name in ("hour", "day", "week", "month", "older")},
    "search: start of many names": {"q": "atlas"},
    "search: start of one name": {"q": "borealis-5000"},
    "search: start of an owner": {"q": "user_c4ca4238"},
    "search: start of all owners": {"q": "user_"},
    "search: a name with a space": {"q": "atlas 5000"},
    "search: a name and an owner": {"q": "atlas user_c4ca4238"},
    "search: our id": {"q": "{id}"},
    "search: Daytona's id": {"q": "{daytona_id}"},
    "search: nothing like it": {"q": "zzzzzz"},
    "search and filters": {"q": "atlas", "status": "error", "tier": "basic"},
}


def main() -> int:
    options = _options()
    with postgres("admin") as mine:
        os.environ.update(
            clean_environment(
                **DEVELOPMENT,
                DATABASE_URL=mine,
                DJANGO_SETTINGS_MODULE="project.settings",
                LOG_LEVEL="ERROR",
                CONVEX_URL="http://127.0.0.1:9",  # without a Convex nothing can be behind it
            )
        )
        import django

        django.setup()
        fill(options.rows)
        slow, scanned = _measure(explain=options.explain)
    print(
        f"\n{len(PAGES)} pages; over {AIM} s: {', '.join(slow) or 'none'}; scanned: {', '.join(scanned) or 'none'}"
    )
    return 1 if slow or scanned else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the admin's list of sandboxes.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--explain", action="store_true", help="show the whole plan of each query")
    return parser.parse_args()


def fill(rows: int) -> None:
    from django.core.management import call_command
    from django.db import connection

    from sandboxes.models import ConvexProjection, Operation, Sandbox

    print(machine())
    call_command("migrate", verbosity=0)
    statements = ROWS.format(
        sandboxes=_selected(Sandbox, VALUES),
        projections=_selected(ConvexProjection, PROJECTION_VALUES),
        operations=_selected(Operation, OPERATION_VALUES),
    )
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for statement in statements.split(";\n"):
            if statement.strip():
                cursor.execute(statement, {"rows": rows, "each": OWNERS} if "%" in statement else None)
        cursor.execute("VACUUM (ANALYZE)")
        cursor.execute("SELECT version()")
        print(cursor.fetchone()[0].split(" on ")[0] + f", {rows} sandboxes")


def _selected(model: type[Model], values: dict[str, str]) -> str:
    """The columns that must have a value, and the SELECT of these or of Django's defaults."""
    given = dict(values)
    for field in model._meta.concrete_fields:
        if field.column and field.column not in given and not field.null:
            given[field.column] = _literal(field.get_default())
    return f"({', '.join(given)}) SELECT {', '.join(given.values())}"


def _literal(value: object) -> str:
    """A field's default as SQL."""
    if isinstance(value, bool | int):
        return str(value)
    return "'{}'" if value == {} else f"'{value or ''}'"


def _measure(*, explain: bool) -> tuple[list[str], list[str]]:
    """The pages that take too long, and those that scan the table."""
    from django.contrib.auth.models import User
    from django.test import Client

    from sandboxes.models import Sandbox

    browser = Client(SERVER_NAME="localhost")
    browser.force_login(User.objects.create_superuser("bench"))
    some = Sandbox.objects.filter(status="running").order_by("created_at")[100]
    slow, scanned = [], []
    print(f"\n{'page':34} {'ms':>7} {'SQL ms':>7} {'rows':>5}  how the rows are found")
    for title, query in PAGES.items():
        filled = {k: v.format(id=some.pk, daytona_id=some.daytona_id) for k, v in query.items()}
        seconds, sql_seconds, found, plan = _page(browser, filled)
        ways = sorted({line.split("->")[-1].split("  (")[0].strip() for line in plan if "Scan" in line})
        print(f"{title:34} {seconds * 1000:7.0f} {sql_seconds * 1000:7.0f} {found:5}  {'; '.join(ways)}")
        if explain:
            print("".join(f"        {line}\n" for line in plan))
        if seconds > AIM:
            slow.append(title)
        if any("Seq Scan on sandboxes_sandbox" in line for line in plan):
            scanned.append(title)
    return slow, scanned


def _page(browser: object, query: dict[str, str]) -> tuple[float, float, int, list[str]]:
    """Best of three: seconds of the page, seconds of its queries, rows on it, plan of the query for the rows."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from django.urls import reverse

    best = (float("inf"), 0.0, 0, "")
    for _ in range(3):
        with CaptureQueriesContext(connection) as queries:
            began = time.perf_counter()
            answer = browser.get(reverse("admin:sandboxes_sandbox_changelist"), query)  # type: ignore[attr-defined]
            seconds = time.perf_counter() - began
        assert answer.status_code == 200, answer.status_code
        (main_query,) = [
            q["sql"] for q in queries if 'FROM "sandboxes_sandbox"' in q["sql"] and "LIMIT 26" in q["sql"]
        ]
        total = sum(float(q["time"]) for q in queries)
        best = min(best, (seconds, total, answer.content.count(b'class="data-row '), main_query))
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) " + best[3])
        plan = [line for (line,) in cursor.fetchall()]
    return best[0], best[1], best[2], plan


if __name__ == "__main__":
    sys.exit(main())
