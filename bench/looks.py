"""Looks a second of one worker that may have 16 of them in flight, beside the leanest loop that does as much.

    .venv/bin/python -m bench.looks [--seconds 8] [--in-flight 16] [--rounds 2] [--only PostgreSQL] [--json]

A look is the commonest attempt: claim an operation, fetch its sandbox, which Daytona is still starting, decide to
look again in a second, write that. The bare loop (bench/bare_fetch.py) claims, fetches and writes one row at a
time and decides nothing. Both have the same stand-in for Daytona, which answers after 50 ms, the same database
server and the same number in flight; they are measured in turns, in one run. All share this machine's cores.

The aims are those of before, in the measure of now: 90 % (SQLite) and 125 % (PostgreSQL) of the loop of
django-tasks-db with a task that only makes the GET, which in one run with this bare loop did 75 % and 58 % of it.

The limit of both is in flight / latency: 320 a second. With the latency so long the waiting hides much of the
work: `--in-flight 200` shows what the processor allows.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environment import both, cpu, ends_by_signal
from bench.installation import Installation
from bench.report import Report, parser
from bench.stand_in import FastDaytona
from tests.support.processes import running
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

LATENCY = 0.05
WARM = 2.0  # seconds before the clock starts
ROWS = 3000
AIMS = {"SQLite": 0.7, "PostgreSQL": 0.75}  # of the bare loop


def main() -> int:
    options = _options()
    ends_by_signal()
    report = Report("looks", as_json=options.json)
    report.say(f"{options.in_flight} in flight, Daytona answers in {LATENCY * 1000:g} ms, {ROWS} rows are due")
    with tempfile.TemporaryDirectory() as scratch:
        for name, database in both("looks", Path(scratch)).items():
            if options.only in ("", name):
                with database as url, FastDaytona() as daytona:
                    daytona.settings(latency=LATENCY)
                    daytona.seed((f"box-{number}" for number in range(ROWS)), state="starting")
                    # Today's worker looks again within one attempt, and holds a thread meanwhile.
                    with Installation(
                        url, Path(scratch), daytona, in_flight=options.in_flight, ATTEMPT_SECONDS="0"
                    ) as installation:
                        _compare(name, installation, daytona, Path(scratch), options, report)
    return report.end()


def _options() -> argparse.Namespace:
    made = parser("looks", "Looks a second of one worker beside the leanest loop.")
    made.add_argument("--seconds", type=float, default=8, help="of each measurement")
    made.add_argument("--in-flight", type=int, default=16)
    made.add_argument("--rounds", type=int, default=2)
    made.add_argument("--only", default="", help="SQLite or PostgreSQL")
    return made.parse_args()


def _compare(
    name: str, installation: Installation, daytona: FastDaytona, folder: Path, options: argparse.Namespace,
    report: Report,
) -> None:  # fmt: skip
    @contextmanager
    def bare() -> Iterator[int]:
        command = [sys.executable, "-m", "bench.bare_fetch", str(options.in_flight), str(ROWS)]
        with running(command, environment=installation.environment, log=folder / "bare.log") as loop:
            yield loop.process.pid

    @contextmanager
    def worker() -> Iterator[int]:
        with installation.worker() as program:
            yield program.process.pid

    installation.make("starting", prefix="box", count=ROWS)
    found: dict[str, list[tuple[float, float]]] = {"bare loop": [], "looks": []}
    for _ in range(options.rounds):
        found["bare loop"].append(_measure(bare, daytona, options.seconds))
        found["looks"].append(_measure(worker, daytona, options.seconds))
    rates = {what: statistics.median(rate for rate, _ in measured) for what, measured in found.items()}
    costs = {what: statistics.median(cost for _, cost in measured) for what, measured in found.items()}
    limit = options.in_flight / LATENCY
    for what in found:
        report.add(f"{name}: {what} a second", rates[what], limit=limit)
        report.add(f"{name}: {what}, CPU each", costs[what] * 1000, "ms")
    share = rates["looks"] / rates["bare loop"]
    report.add(f"{name}: looks, share of the bare loop", share, "%", aim=AIMS[name], at_least=True)


def _measure(
    program: Callable[[], AbstractContextManager[int]], daytona: FastDaytona, seconds: float
) -> tuple[float, float]:
    """Looks a second, and seconds of the program's CPU for each."""

    def looks() -> int:
        return daytona.counts().get("get", 0)

    before = looks()
    with program() as pid:
        wait_until(lambda: looks() > before, timeout=60, what="the first look")
        time.sleep(WARM)
        count, used, began = looks(), cpu(pid), time.monotonic()
        time.sleep(seconds)
        count, used, took = looks() - count, cpu(pid) - used, time.monotonic() - began
    return count / took, used / max(1, count)


if __name__ == "__main__":
    sys.exit(main())
