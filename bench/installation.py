"""An installation to measure: a database, the fast stand-in for Daytona, rows of work and worker processes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import psycopg

from bench.environment import worker_command
from bench.statements import Counter, counted
from project.database import SQLITE, conninfo
from tests.support.environment import DEVELOPMENT, ROOT, clean_environment
from tests.support.processes import Running, run_command, running
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.stand_in import FastDaytona
    from tests.support.emulator import Emulator

BEATS = "SELECT count(*) FROM sandboxes_workerheartbeat WHERE stopped_at IS NULL"


class Installation:
    """A context manager. Workers reach PostgreSQL by way of the counter of their statements, nobody else does."""

    def __init__(
        self, url: str, folder: Path, daytona: FastDaytona, *, convex: Emulator | None = None,
        in_flight: int | None = None, **settings: str,
    ) -> None:  # fmt: skip
        self.is_sqlite = url.startswith(SQLITE)
        self._url, self._folder, self._in_flight = url, folder, in_flight
        known = {"CONVEX_URL": convex.convex_url, "CONVEX_DEPLOY_KEY": convex.convex_key} if convex else {}
        self.environment = clean_environment(
            **(DEVELOPMENT | {"DEBUG": "0", "ALLOWED_HOSTS": "127.0.0.1", "SECURE_SSL_REDIRECT": "0"}),
            **known,
            **settings,
            DATABASE_URL=url,
            DJANGO_SETTINGS_MODULE="project.settings",
            DAYTONA_API_URL=daytona.daytona_url,
            DAYTONA_API_KEY=daytona.daytona_key,
            LOG_LEVEL="WARNING",
            STATIC_ROOT=str(folder),
        )
        self._workers = 0
        self._counter: Counter | None = None

    def __enter__(self) -> Self:
        done = run_command("migrate", "--verbosity", "0", environment=self.environment)
        assert done.returncode == 0, done.stderr
        with ExitStack() as stack:
            self._by_way_of = self._url
            if not self.is_sqlite:
                self._by_way_of, self._counter = stack.enter_context(counted(self._url))
            self._connection = self._connect()
            stack.callback(self._connection.close)
            self._rows = stack.enter_context(_rows(self.environment))
            self._stack = stack.pop_all()  # nothing failed: it is all kept until the end
        return self

    def __exit__(self, *ended: object) -> None:
        self._stack.close()

    def _connect(self) -> psycopg.Connection[Any] | sqlite3.Connection:
        if self.is_sqlite:
            return sqlite3.connect(self._url.removeprefix(SQLITE), timeout=30, isolation_level=None)
        return psycopg.connect(conninfo(self._url), autocommit=True)

    def make(self, kind: str, *, prefix: str, count: int, owner: str = "bench", spread: float = 0) -> float:
        """Write rows of work (see bench/work_rows.py); the time of their commit, in seconds since 1970."""
        asked = {"make": kind, "prefix": prefix, "count": count, "owner": owner, "spread": spread}
        assert self._rows.stdin is not None
        assert self._rows.stdout is not None
        self._rows.stdin.write(json.dumps(asked) + "\n")
        self._rows.stdin.flush()
        return float(self._rows.stdout.readline())

    @contextmanager
    def worker(self) -> Iterator[Running]:
        """A worker that has given its first sign of life."""
        self._workers += 1
        before = self.number(BEATS)
        log = self._folder / f"worker {self._workers}.log"
        environment = self.environment | {"DATABASE_URL": self._by_way_of}
        with running(worker_command(self._in_flight), environment=environment, log=log) as worker:
            wait_until(lambda: self.number(BEATS) > before or worker.ended(), what="the worker's heartbeat")
            assert not worker.ended(), worker.output
            time.sleep(1)  # what it does once, at its start, is no part of what is measured
            yield worker

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(query).fetchall()

    def number(self, query: str) -> float:
        return float(self.rows(query)[0][0] or 0)

    def oldest(self, query: str) -> tuple[int, float]:
        """What a query for a count and the earliest time says: how many, and how many seconds ago that was."""
        ((count, first),) = self.rows(query)
        if first is None:
            return int(count), 0.0
        moment = datetime.fromisoformat(first).replace(tzinfo=UTC) if isinstance(first, str) else first
        return int(count), time.time() - moment.timestamp()

    def statements(self) -> int | None:
        """Sent by workers so far; None on SQLite, where nobody can count them from outside."""
        return self._counter.statements if self._counter else None

    def wal(self) -> float | None:
        """Bytes that the whole server has written ahead so far, other databases' too; None on SQLite."""
        return None if self.is_sqlite else self.number("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")


@contextmanager
def _rows(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The process that makes rows, ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.work_rows"], cwd=ROOT, env=environment, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n", "the process that makes rows did not start"
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()
