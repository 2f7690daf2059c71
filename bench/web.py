"""A web process to measure: the server as it is deployed, or any other by `--command`, on PostgreSQL."""

from __future__ import annotations

import shlex
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.environment import run_module
from tests.support.environment import DEVELOPMENT, ROOT, clean_environment
from tests.support.processes import answers, free_port, running, web_command
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

LIMITS = {"WEB_PROCESSES": "2", "WEB_THREADS": "8"}


@dataclass(frozen=True, slots=True)
class Web:
    """A running server with the rows and the key to ask for."""

    port: int
    pid: int
    headers: dict[str, str]
    running: list[str]
    stopped: list[str]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--command", default="", help="of another server; {port} stands for the port")
    parser.add_argument("--sandboxes", type=int, default=500, help="running ones, asked in turn")


@contextmanager
def serving(url: str, folder: Path, options: argparse.Namespace, *, stopped: int) -> Iterator[Web]:
    """Serve the project with production's settings and without a rate limit."""
    settings = {
        "RATE_LIMIT_SERVICE": "100000000",
        "OPERATIONS_PER_OWNER_PER_HOUR": "0",
        "OBSERVATION_TTL": "86400",
        "LOG_LEVEL": "WARNING",
    }
    production = {"DEBUG": "0", "ALLOWED_HOSTS": "127.0.0.1", "SECURE_SSL_REDIRECT": "0"}
    environment = clean_environment(
        **(DEVELOPMENT | settings | production | LIMITS),
        DATABASE_URL=url,
        DJANGO_SETTINGS_MODULE="bench.bare",
        STATIC_ROOT=str(folder),
    )
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    said = run_module("bench.api_rows", str(options.sandboxes), str(stopped), environment=environment)
    key, *ids = said.splitlines()
    port = free_port()
    command = shlex.split(options.command.format(port=port)) or web_command(port)
    print(
        f"{' '.join(command[:4])} …, {', '.join(f'{name}={value}' for name, value in LIMITS.items())}",
        file=sys.stderr,
    )
    with running(command, environment=environment, log=folder / "web.log") as web:
        wait_until(lambda: answers(port), what="an answer of the server")
        headers = {"Authorization": f"Bearer {key}", "X-On-Behalf-Of": "bench"}
        yield Web(port, web.process.pid, headers, ids[0].split(), ids[1].split() if len(ids) > 1 else [])
