"""Requests per second of `ensure-running` on a running sandbox and of `POST start`, beside a bare DRF view.

    .venv/bin/python -m bench.api [--seconds 10] [--clients 8] [--rounds 3] [--json] [--command "<another server>"]

The server as it is deployed, on a fresh PostgreSQL database (DATABASE_URL names the server); no worker runs. The
three are measured in turns, and the load comes from this machine, so it takes part of the cores from all three.
The aims: `ensure-running` as fast as the bare view, a start's request at 70 % of it. The limit is the bare view.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environment import cpu, ends_by_signal, memory, postgres
from bench.load_client import Load, measure
from bench.report import Report, parser
from bench.web import add_options, serving

if TYPE_CHECKING:
    import argparse


AIMS = {"ensure-running": 1.0, "start": 0.7}  # of the bare view


def main() -> int:
    options = _options()
    ends_by_signal()
    report = Report("api", as_json=options.json)
    with postgres("api") as url, tempfile.TemporaryDirectory() as folder:
        _measure(url, Path(folder), options, report)
    return report.end()


def _options() -> argparse.Namespace:
    made = parser("api", "Requests per second of the API beside a bare view.")
    made.add_argument("--seconds", type=float, default=10, help="of each measurement")
    made.add_argument("--clients", type=int, default=8, help="connections that ask at once")
    made.add_argument("--rounds", type=int, default=3)
    add_options(made)
    return made.parse_args()


def _measure(url: str, folder: Path, options: argparse.Namespace, report: Report) -> None:
    stopped = int(options.rounds * options.seconds * 1500)
    with serving(url, folder, options, stopped=stopped) as web:
        port, headers = web.port, web.headers
        loads = {
            "bare view": Load(port, cycle(f"/bare/{one}" for one in web.running), headers, 200),
            "ensure-running": Load(
                port, cycle(f"/api/v1/sandboxes/{one}/ensure-running" for one in web.running), headers, 200
            ),
            "start": Load(port, iter(f"/api/v1/sandboxes/{one}/start" for one in web.stopped), headers, 202),
        }
        for load in loads.values():
            measure(load, seconds=1, clients=options.clients)  # warm
        _report(web.pid, loads, options, report)


def _report(pid: int, loads: dict[str, Load], options: argparse.Namespace, report: Report) -> None:
    report.say(f"{options.clients} connections; {options.rounds} rounds; PostgreSQL")
    rates: dict[str, list[float]] = {name: [] for name in loads}
    costs: dict[str, list[float]] = {name: [] for name in loads}
    for _ in range(options.rounds):
        for name, load in loads.items():
            before = cpu(pid)
            rates[name].append(measure(load, seconds=options.seconds, clients=options.clients))
            costs[name].append((cpu(pid) - before) / options.seconds / rates[name][-1] * 1000)
    bare = statistics.median(rates["bare view"])
    for name, found in rates.items():
        median = statistics.median(found)
        report.say(f"{name}: from {min(found):.0f} to {max(found):.0f} a second")
        report.add(f"{name}, requests a second", median, limit=bare)
        report.add(f"{name}, CPU each", statistics.median(costs[name]), "ms")
        if name in AIMS:
            share = median / bare
            report.add(f"{name}, share of the bare view", share, "%", aim=AIMS[name], limit=1, at_least=True)
    report.add("memory of web", memory(pid), "MB")


if __name__ == "__main__":
    sys.exit(main())
