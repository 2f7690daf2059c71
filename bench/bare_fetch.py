"""The measure for bench/looks.py: the leanest loop that does the same for one row at a time, in one asyncio
process.

    python -m bench.bare_fetch IN_FLIGHT ROWS

Claim one due row by one statement, GET its sandbox, write one row back by one statement, with a second until it is
due again. No model, no decision, no history, no lease that outlives the process; a table of its own with four
columns. DATABASE_URL and DAYTONA_API_URL are in the environment.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import time
from typing import TYPE_CHECKING

import aiohttp
import psycopg
import uvloop

from project.database import SQLITE, conninfo

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

CREATE = (
    "DROP TABLE IF EXISTS bare",
    "CREATE TABLE bare (id text PRIMARY KEY, due float8 NOT NULL, token text NOT NULL, state text NOT NULL)",
    "CREATE INDEX bare_due ON bare (due)",
)
FILL = "INSERT INTO bare VALUES ({0}, 0, '', '')"
CLAIM = (
    "UPDATE bare SET due = {0}, token = {0} "
    "WHERE id = (SELECT id FROM bare WHERE due <= {0} ORDER BY due LIMIT 1 {1}) RETURNING id"
)
WRITE = "UPDATE bare SET due = {0}, token = '', state = {0} WHERE id = {0}"
AGAIN_AFTER = 1.0
LEASE = 30.0


async def look(http: aiohttp.ClientSession, execute: Callable[..., Awaitable[str | None]], mark: str) -> None:
    """One row after the other, for ever."""
    claim = CLAIM.format(mark, "FOR UPDATE SKIP LOCKED" if mark == "%s" else "")
    write = WRITE.format(mark)
    while True:
        now = time.time()
        key = await execute(claim, (now + LEASE, "mine", now))
        if key is None:
            await asyncio.sleep(0.05)
            continue
        async with http.get(f"{os.environ['DAYTONA_API_URL']}/sandbox/{key}") as answer:
            state = (await answer.json())["state"]
        await execute(write, (time.time() + AGAIN_AFTER, state, key))


async def on_postgres(url: str, http: aiohttp.ClientSession, in_flight: int, keys: list[tuple[str]]) -> None:
    """Each has a connection of its own."""
    connections = [await psycopg.AsyncConnection.connect(conninfo(url), autocommit=True) for _ in range(in_flight)]
    for statement in CREATE:
        await connections[0].execute(statement)
    await connections[0].cursor().executemany(FILL.format("%s"), keys)

    async def one(connection: psycopg.AsyncConnection[tuple[str]]) -> None:
        async def execute(statement: str, values: tuple[object, ...]) -> str | None:
            cursor = await connection.execute(statement.encode(), values)
            row = await cursor.fetchone() if cursor.description else None
            return row[0] if row else None

        await look(http, execute, "%s")

    await asyncio.gather(*(one(connection) for connection in connections))


async def on_sqlite(url: str, http: aiohttp.ClientSession, in_flight: int, keys: list[tuple[str]]) -> None:
    """All share one connection: SQLite has one writer."""
    connection = sqlite3.connect(url.removeprefix(SQLITE), isolation_level=None, timeout=30)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    for statement in CREATE:
        connection.execute(statement)
    connection.execute("BEGIN")
    connection.executemany(FILL.format("?"), keys)
    connection.execute("COMMIT")

    async def execute(statement: str, values: tuple[object, ...]) -> str | None:
        row = connection.execute(statement, values).fetchone()
        return row[0] if row else None

    await asyncio.gather(*(look(http, execute, "?") for _ in range(in_flight)))


async def main(in_flight: int, rows: int) -> None:
    url = os.environ["DATABASE_URL"]
    keys = [(f"box-{number}",) for number in range(rows)]
    run = on_sqlite if url.startswith(SQLITE) else on_postgres
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=in_flight)) as http:
        await run(url, http, in_flight, keys)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
