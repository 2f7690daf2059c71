"""How much a start and a stop leave in PostgreSQL, table by table.

    .venv/bin/python -m bench.growth [--pairs 100]

Web, one worker and the emulator run as processes; one owner stops and starts one sandbox again and again, and waits
for each. "rows" and "row bytes" are what is stored, "on disk" is what tables and indexes grew by, after a VACUUM.
The last line is an owner's hour at the default rate limit. DATABASE_URL names the server.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from bench.environment import machine, postgres
from bench.time_to_running import ask, deployed
from project.database import conninfo
from tests.support.emulator import Emulator

if TYPE_CHECKING:
    import httpx

REQUESTS_A_MINUTE = 600  # RATE_LIMIT_OWNER's default; a pair is two of them


@dataclass(frozen=True)
class Size:
    rows: int = 0
    row_bytes: int = 0
    on_disk: int = 0

    def since(self, before: Size) -> Size:
        return Size(self.rows - before.rows, self.row_bytes - before.row_bytes, self.on_disk - before.on_disk)


def main() -> None:
    pairs = _options().pairs
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended, too
    print(machine())
    with (
        tempfile.TemporaryDirectory() as folder,
        postgres("growth") as url,
        Emulator("--latency", "0", transition=0.0) as emulator,
        deployed(url, emulator, emulator, Path(folder), name="growth") as client,
    ):
        made = ask(client, "/sandboxes")[0]["sandbox"]
        _pairs(client, made, 5)  # so that what comes only once is there
        before = sizes(url)
        _pairs(client, made, pairs)
        after = sizes(url)
    report({name: size.since(before.get(name, Size())) for name, size in after.items()}, pairs)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Bytes that a start and a stop leave in PostgreSQL.")
    parser.add_argument("--pairs", type=int, default=100)
    return parser.parse_args()


def _pairs(client: httpx.Client, sandbox: str, times: int) -> None:
    for _ in range(times):
        for action in ("stop", "start"):
            operation = ask(client, f"/sandboxes/{sandbox}/{action}")[0]
            assert operation["status"] == "succeeded", operation


def sizes(url: str) -> dict[str, Size]:
    """Every table of the database by its name."""
    names = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    asked = "SELECT count(*), coalesce(sum(pg_column_size(one.*)), 0), pg_total_relation_size({}) FROM {} AS one"
    found = {}
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        for (name,) in connection.execute(names).fetchall():
            table = sql.Identifier(name)
            connection.execute(sql.SQL("VACUUM {}").format(table))
            row = connection.execute(sql.SQL(asked).format(sql.Literal(name), table)).fetchone()
            assert row is not None
            found[name] = Size(*(int(value) for value in row))
    return found


def report(grown: dict[str, Size], pairs: int) -> None:
    print(f"{'for each of ' + str(pairs) + ' pairs':32} {'rows':>8} {'row bytes':>10} {'on disk':>10}")
    shown = {name: size for name, size in grown.items() if size.rows or size.on_disk}
    for name, size in sorted(shown.items(), key=lambda one: -one[1].row_bytes):
        print(f"{name:32} {size.rows / pairs:8.2f} {size.row_bytes / pairs:10.0f} {size.on_disk / pairs:10.0f}")
    row_bytes, on_disk = (sum(getattr(size, name) for size in grown.values()) for name in ("row_bytes", "on_disk"))
    hour = REQUESTS_A_MINUTE * 60 / 2 / pairs / 1e6
    limit = f"an hour at the limit of {REQUESTS_A_MINUTE} requests a minute"
    print(f"{limit}: {row_bytes * hour:.0f} MB of rows, {on_disk * hour:.0f} MB on disk")


if __name__ == "__main__":
    main()
