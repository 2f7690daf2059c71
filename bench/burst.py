"""Thousands of starts at once: how long until the last one is shown running, and what each costs.

    .venv/bin/python -m bench.burst [--count 2000] [--start 5] [--at-once] [--only PostgreSQL] [--json]

One worker, as it is deployed; the rows of all starts are committed together, as if that many people had asked in
the same moment. Daytona (bench/fast_daytona.py) answers after 50 ms and takes `--start` seconds for each start. It
holds the POST until then, as hosted Daytona does for up to 30 s; with `--at-once` it answers at once and the
worker has to look. Shown running is what the database says, asked every 50 ms, and the lag is from the moment in
which Daytona's own GET would have said so. Statements are counted on their way (bench/statements.py); WAL is that
of the whole server. CPU and memory are the worker's.

The limit is Daytona's own time, `--start` + 0.1 s: latency of a look before the call and of the call. `--count 500
--start 20` shows how many starts end with a definite answer.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environment import both, cpu, ends_by_signal, peak_memory
from bench.installation import Installation
from bench.report import Report, parser
from bench.stand_in import FastDaytona

if TYPE_CHECKING:
    import argparse

    from tests.support.processes import Running

RUNNING = "SELECT daytona_id FROM sandboxes_sandbox WHERE status = 'running'"
ANSWERS = "SELECT count(*) FROM sandboxes_daytonacall WHERE outcome = 'accepted'"
LATENCY = 0.05
PAUSE = 0.05
AIMS = {"SQLite": 20.0, "PostgreSQL": 12.0}


def main() -> int:
    options = _options()
    ends_by_signal()
    report = Report("burst", as_json=options.json)
    report.say(f"{options.count} starts at once, {options.start:g} s each, latency {LATENCY * 1000:g} ms")
    with tempfile.TemporaryDirectory() as scratch:
        for name, database in both("burst", Path(scratch)).items():
            if options.only in ("", name):
                with (
                    database as url,
                    FastDaytona() as daytona,
                    Installation(url, Path(scratch), daytona) as installation,
                ):
                    _measure(name, installation, daytona, options, report)
    return report.end()


def _options() -> argparse.Namespace:
    made = parser("burst", "Thousands of starts at once.")
    made.add_argument("--count", type=int, default=2000)
    made.add_argument("--start", type=float, default=5.0, help="seconds that Daytona takes for each")
    made.add_argument(
        "--at-once", action="store_true", help="Daytona answers the POST at once, it does not hold it"
    )
    made.add_argument("--only", default="", help="SQLite or PostgreSQL")
    made.add_argument("--patience", type=float, default=1200.0, help="seconds after which it gives up")
    return made.parse_args()


def _measure(
    name: str, installation: Installation, daytona: FastDaytona, options: argparse.Namespace, report: Report
) -> None:
    count = options.count
    daytona.settings(latency=LATENCY, start=options.start, hold=0 if options.at_once else 30)
    daytona.seed((f"box-{number}" for number in range(count)), state="stopped")
    with installation.worker() as worker:
        pid = worker.process.pid
        statements, wal, used = installation.statements(), installation.wal(), cpu(pid)
        asked = installation.make("starts", prefix="box", count=count)
        made_wal = installation.wal()
        shown = _shown(installation, worker, count, asked + options.patience)
        used, peak = cpu(pid) - used, peak_memory(pid)
        statements = None if statements is None else (installation.statements() or 0) - statements
        wal = None if wal is None or made_wal is None else (installation.wal() or 0.0) - made_wal
    lags = sorted(shown[key] - moment for key, moment in daytona.started().items() if key in shown)
    report.add(f"{name}: shown running", len(shown) / count, "%", aim=1.0, at_least=True)
    if not shown:
        return
    last = max(shown.values()) - asked
    limit = options.start + 2 * LATENCY
    report.add(f"{name}: last one running after", last, "s", aim=_aim(name, options), limit=limit)
    report.add(f"{name}: lag, median", statistics.median(lags), "s", aim=0.3)
    report.add(f"{name}: lag, 99 of 100", lags[round(0.99 * (len(lags) - 1))], "s", aim=1.0)
    report.add(f"{name}: definite answers", installation.number(ANSWERS) / count, "%", aim=0.95, at_least=True)
    report.add(f"{name}: statements a start", statements and statements / count, aim=8)
    report.add(f"{name}: CPU a start", used * 1000 / count, "ms", aim=4)
    report.add(f"{name}: WAL a start", wal and wal / count / 1024, "KB")
    report.add(f"{name}: looks a start", daytona.counts().get("get", 0) / count)
    report.add(f"{name}: peak memory", peak, "MB")


def _aim(name: str, options: argparse.Namespace) -> float | None:
    """Seconds for the burst that the aim was set for; None for any other."""
    return AIMS[name] if (options.count, options.start) == (2000, 5) else None


def _shown(installation: Installation, worker: Running, count: int, until: float) -> dict[str, float]:
    """When each sandbox was first shown running, in seconds since 1970."""
    shown: dict[str, float] = {}
    while len(shown) < count and time.time() < until:
        assert not worker.ended(), worker.output
        found = installation.rows(RUNNING)
        now = time.time()
        for (key,) in found:
            shown.setdefault(key, now)
        time.sleep(PAUSE)
    return shown


if __name__ == "__main__":
    sys.exit(main())
