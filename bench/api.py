"""Requests per second of `ensure-running` on a running sandbox and of `POST start`, beside a bare DRF view.

    .venv/bin/python -m bench.api [--seconds 10] [--clients 8] [--rounds 3] [--command "<another server>"]

The server as it is deployed, on a fresh PostgreSQL database (DATABASE_URL names the server); no worker runs. The
three are measured in turns, and the load comes from this machine, so it takes part of the cores from all three.
The aims: `ensure-running` at least 60 % of the bare view, `start` at least 40 %.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
from itertools import cycle
from pathlib import Path

from bench.environment import cpu, machine, memory, postgres
from bench.load_client import Load, measure
from bench.web import add_options, serving


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
    add_options(parser)
    return parser.parse_args()


def _measure(url: str, folder: Path, options: argparse.Namespace) -> None:
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
        _report(web.pid, loads, options)


def _report(pid: int, loads: dict[str, Load], options: argparse.Namespace) -> None:
    print(f"{machine()}, PostgreSQL")
    print(f"{options.clients} connections; {options.rounds} rounds")
    rates: dict[str, list[float]] = {name: [] for name in loads}
    costs: dict[str, list[float]] = {name: [] for name in loads}
    for _ in range(options.rounds):
        for name, load in loads.items():
            before = cpu(pid)
            rates[name].append(measure(load, seconds=options.seconds, clients=options.clients))
            costs[name].append((cpu(pid) - before) / options.seconds / rates[name][-1] * 1000)
    bare = statistics.median(rates["bare view"])
    for name, found in rates.items():
        median, cost = statistics.median(found), statistics.median(costs[name])
        share = f"{median / bare:4.0%} of the bare view, {cost:.2f} ms CPU each"
        print(f"{name:16} {median:7.0f}/s  {share}  (from {min(found):.0f} to {max(found):.0f})")
    print(f"{memory(pid):.0f} MB")


if __name__ == "__main__":
    main()
