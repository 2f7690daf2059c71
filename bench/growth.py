"""How many bytes of rows a start and a stop leave behind, by table, on PostgreSQL with the emulator as Daytona.

    .venv/bin/python -m bench.growth [--pairs 40]

A fresh database (DATABASE_URL names the server), one owner, one sandbox; each request has a reason of 100
characters. Tables are rewritten (VACUUM FULL) before they are measured, so that this is what stays, indexes too.
"""

from __future__ import annotations

import argparse
import os

from bench.ground import machine, postgres
from tests.support.environment import DEVELOPMENT, clean_environment

REASON = "because somebody said so at some length, as people do when they are asked for a reason by a form. " * 2
TABLES = ("sandboxes_operation", "sandboxes_sandboxevent", "sandboxes_sandbox", "sandboxes_owner")


def main() -> None:
    parser = argparse.ArgumentParser(description="Bytes of rows for each start and stop.")
    parser.add_argument("--pairs", type=int, default=40)
    options = parser.parse_args()
    from tests.support.emulator import Emulator

    with postgres("growth") as url, Emulator() as emulator:
        os.environ.update(
            clean_environment(
                **DEVELOPMENT,
                DATABASE_URL=url,
                DJANGO_SETTINGS_MODULE="project.settings",
                LOG_LEVEL="ERROR",
                DAYTONA_API_URL=emulator.daytona_url,
                DAYTONA_API_KEY=emulator.daytona_key,
                DAYTONA_TARGET="us",
                OPERATIONS_PER_OWNER_PER_HOUR="0",
            )
        )
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        print(machine())
        _measure(options.pairs)


def _measure(pairs: int) -> None:
    from sandboxes.services import lifecycle
    from sandboxes.states import Action, Actor, Source
    from tests.support.driving import settle

    alice = Actor.owner("alice")
    made = lifecycle.create(
        "alice", actor=alice, source=Source.API, new=lifecycle.NewRequest(), reason=REASON[:100]
    )
    settle(made)
    before = _sizes()
    for action in (Action.STOP, Action.START) * pairs:
        settle(
            lifecycle.request(made.sandbox_id, action, actor=alice, source=Source.API, reason=REASON[:100]),
            timeout=60.0,
        )
    after = _sizes()
    grown = {table: (after[table] - before[table]) / pairs for table in TABLES}
    for table, size in grown.items():
        print(f"{table:26} {size:8.0f} bytes a pair")
    together = sum(grown.values())
    print(f"{'together':26} {together:8.0f}; 300 pairs a minute: {together * 18e-3:.0f} MB an hour")


def _sizes() -> dict[str, int]:
    """Bytes of each table and its indexes, less what an empty page of each wastes."""
    from django.db import connection

    with connection.cursor() as cursor:
        found = {}
        for table in TABLES:
            cursor.execute(f"VACUUM FULL {table}")
            cursor.execute("SELECT pg_total_relation_size(%s)", [table])
            found[table] = cursor.fetchone()[0]
    return found


if __name__ == "__main__":
    main()
