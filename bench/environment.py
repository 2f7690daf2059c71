"""What the benchmarks stand on: a line about the machine, a database of their own."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg import sql

from project.database import conninfo
from tests.support.environment import ROOT, beside
from tests.support.processes import manage

if TYPE_CHECKING:
    from collections.abc import Iterator

POSTGRES = "postgres://postgres@127.0.0.1:5432/postgres"


def machine() -> str:
    """Its cores, and how busy they are before anything is measured."""
    load = os.getloadavg()[0]
    return f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}"


def ends_by_signal() -> None:
    """Have SIGTERM end the bench as an error would, so that what it started is ended, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def server() -> str:
    """The PostgreSQL server to measure on: DATABASE_URL's, or the usual one of this machine."""
    given = os.environ.get("DATABASE_URL", "")
    return given if given.startswith("postgres") else POSTGRES


@contextmanager
def postgres(name: str) -> Iterator[str]:
    """A database beside the server's own, dropped at the end, or by the next bench where this one is killed."""
    own = f"bench_{name}_{os.getpid()}"
    identifier = sql.Identifier(own)
    url = server()  # now: a bench may make DATABASE_URL its own
    with psycopg.connect(conninfo(url), autocommit=True) as connection:
        _drop_what_killed_ones_left(connection)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
    try:
        yield beside(url, own)
    finally:
        with psycopg.connect(conninfo(url), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def _drop_what_killed_ones_left(connection: psycopg.Connection) -> None:
    """Databases of benches whose process is gone; where somebody is connected it may be another machine's."""
    found = connection.execute("SELECT datname FROM pg_database WHERE datname ~ '^bench_.*_[0-9]+$'")
    for (name,) in found.fetchall():
        if not _runs(int(name.rpartition("_")[2])):
            with suppress(psycopg.errors.ObjectInUse):
                connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def both(name: str, folder: Path) -> dict[str, AbstractContextManager[str]]:
    """A database of each kind, by the kind's name."""
    return {"SQLite": nullcontext(f"sqlite:///{folder / 'bench.sqlite3'}"), "PostgreSQL": postgres(name)}


@contextmanager
def database(name: str, folder: Path) -> Iterator[str]:
    """PostgreSQL where DATABASE_URL names one, else a SQLite file in the folder."""
    if not os.environ.get("DATABASE_URL", "").startswith("postgres"):
        yield f"sqlite:///{folder / 'bench.sqlite3'}"
        return
    with postgres(name) as url:
        yield url


def run_module(module: str, *arguments: str, environment: dict[str, str]) -> str:
    """What a module printed that runs in a process of its own, because Django is configured once in each."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    return done.stdout


def worker_command(in_flight: int | None = None) -> list[str]:
    """A worker that has so many calls in flight at the most; None: as many as a deployed one."""
    return manage("run_worker", *(["--places", str(in_flight)] if in_flight else []))


def peak_memory(pid: int) -> float:
    """MB that a process had at the most."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def memory(pid: int) -> float:
    """MB of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    own = sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
    return own + sum(memory(int(child)) for child in children)


def cpu(pid: int) -> float:
    """CPU seconds that a process and its children have used."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu(int(child)) for child in children)
