"""Requests per second of `ensure-running` on a running sandbox and of `POST start`, beside a bare DRF view.

    .venv/bin/python -m bench.api [--seconds 10] [--clients 8] [--rounds 3]

gunicorn, as it is deployed, on a fresh PostgreSQL database (DATABASE_URL names the server); no worker runs. The
three are measured in turns, and the load comes from this machine, so it takes part of the cores from all three.
The aims: `ensure-running` at least 60 % of the bare view, `start` at least 40 %.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
from itertools import cycle
from pathlib import Path

from bench.ground import machine, postgres, run_module
from bench.load_client import Load, measure
from tests.support.environment import DEVELOPMENT, ROOT, clean_environment
from tests.support.processes import free_port, running


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended, too
    with postgres("api") as url, tempfile.TemporaryDirectory() as folder:
        _measure(url, Path(folder), options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Requests per second of the API beside a bare view.")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--clients", type=int, default=8, help="connections that ask at once")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sandboxes", type=int, default=500, help="running ones, asked in turn")
    return parser.parse_args()


def _measure(url: str, folder: Path, options: argparse.Namespace) -> None:
    settings = {"OBSERVATION_TTL": "86400", "LOG_LEVEL": "WARNING"}
    settings |= {"RATE_LIMIT_SERVICE": "100000000", "OPERATIONS_PER_OWNER_PER_HOUR": "0"}
    environment = clean_environment(
        **DEVELOPMENT, **settings, DATABASE_URL=url, DJANGO_SETTINGS_MODULE="bench.bare", WEB_PROCESSES="2"
    )
    environment["DEBUG"] = "0"
    environment |= {"ALLOWED_HOSTS": "127.0.0.1", "SECURE_SSL_REDIRECT": "0", "STATIC_ROOT": str(folder)}
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=environment, check=True)
    stopped = int(options.rounds * options.seconds * 1500)
    key, running_ids, stopped_ids = _rows(environment, options.sandboxes, stopped)
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "project.wsgi", "--config", "python:project.gunicorn"]
    command += ["--bind", f"127.0.0.1:{port}"]
    with running(command, environment=environment, log=folder / "web.log") as web:
        web.said("Listening at")
        headers = {"Authorization": f"Bearer {key}", "X-On-Behalf-Of": "bench"}
        loads = {
            "bare view": Load(port, cycle(f"/bare/{one}" for one in running_ids), headers, 200),
            "ensure-running": Load(
                port, cycle(f"/api/v1/sandboxes/{one}/ensure-running" for one in running_ids), headers, 200
            ),
            "start": Load(port, iter(f"/api/v1/sandboxes/{one}/start" for one in stopped_ids), headers, 202),
        }
        for load in loads.values():
            measure(load, seconds=1, clients=options.clients)  # warm
        _report({name: [] for name in loads}, loads, options)


def _report(rates: dict[str, list[float]], loads: dict[str, Load], options: argparse.Namespace) -> None:
    print(f"{machine()}, PostgreSQL")
    print(f"2 gunicorn processes of 8 threads, {options.clients} connections; {options.rounds} rounds")
    for _ in range(options.rounds):
        for name, load in loads.items():
            rates[name].append(measure(load, seconds=options.seconds, clients=options.clients))
    bare = statistics.median(rates["bare view"])
    for name, found in rates.items():
        median = statistics.median(found)
        share = f"{median / bare:4.0%} of the bare view"
        print(f"{name:16} {median:7.0f}/s  {share}  (from {min(found):.0f} to {max(found):.0f})")


def _rows(environment: dict[str, str], running_: int, stopped: int) -> tuple[str, list[str], list[str]]:
    """Rows and a key, made by a process of their own: this one stays free of Django."""
    said = run_module("bench.api_rows", str(running_), str(stopped), environment=environment)
    key, first, second = said.splitlines()
    return key, first.split(), second.split()


if __name__ == "__main__":
    main()
