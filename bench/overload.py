"""Rows that become due ten times faster than they can be looked at: how many calls that makes, and how it ends.

    .venv/bin/python -m bench.overload [--seconds 120] [--latency 2] [--times 10] [--only PostgreSQL] [--json]

Daytona answers slowly, so that one worker, as it is deployed, is soon busy. What it manages then is measured with
a queue that does not end; after that, for `--seconds`, ten times as many sandboxes become due for a fetch. Each
has to be looked at once: a GET more for the same row is work that overload has made of itself. Then Daytona is
quick again, and the clock runs until all have been looked at; the same with as many fresh rows says what full
speed is.

The limit of calls for a due row is 1.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environment import both, ends_by_signal
from bench.installation import Installation
from bench.report import Report, parser
from bench.stand_in import FastDaytona
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    import argparse

QUICK = 0.05  # seconds until Daytona answers, before and after
WARM = 5.0  # seconds after which capacity is measured, for as long
FRESH = 5000  # rows, at the most, that show what full speed is
LEFT = "SELECT count(*) FROM sandboxes_sandbox WHERE observed_at < created_at"


def main() -> int:
    options = _options()
    ends_by_signal()
    report = Report("overload", as_json=options.json)
    with tempfile.TemporaryDirectory() as scratch:
        for name, database in both("overload", Path(scratch)).items():
            if options.only in ("", name):
                with (
                    database as url,
                    FastDaytona() as daytona,
                    Installation(url, Path(scratch), daytona) as installation,
                ):
                    Overload(name, installation, daytona, options, report).run()
    return report.end()


def _options() -> argparse.Namespace:
    made = parser("overload", "Rows that become due ten times faster than they can be looked at.")
    made.add_argument("--seconds", type=float, default=120, help="of overload")
    made.add_argument("--latency", type=float, default=2.0, help="seconds until Daytona answers under overload")
    made.add_argument("--times", type=float, default=10, help="what can be looked at")
    made.add_argument("--first", type=int, default=3000, help="rows that are due while capacity is measured")
    made.add_argument("--most", type=int, default=100_000, help="rows at the most")
    made.add_argument("--patience", type=float, default=1800, help="seconds for the end of the queue")
    made.add_argument("--only", default="", help="SQLite or PostgreSQL")
    return made.parse_args()


class Overload:
    """One database: capacity, overload, drain, full speed."""

    def __init__(
        self,
        name: str,
        installation: Installation,
        daytona: FastDaytona,
        options: argparse.Namespace,
        report: Report,
    ) -> None:
        self._name, self._installation, self._daytona = name, installation, daytona
        self._options, self._report = options, report
        self._rows = 0

    def run(self) -> None:
        options, say = self._options, self._report.say
        self._daytona.settings(latency=options.latency)
        self._due("first", options.first, spread=0)
        with self._installation.worker():
            capacity = self._capacity()
            count = min(round(capacity * options.times * options.seconds), options.most)
            say(f"{self._name}: {capacity:.1f} looks a second; {count} rows become due in {options.seconds:g} s")
            self._due("load", count, spread=-options.seconds)
            time.sleep(options.seconds)
            looks, left = self._looks(), self._left()
            say(f"{self._name}: then {looks} looks were made, {left} rows are left")
            drained = self._drained()
            total, rows = self._looks(), self._rows
            fresh = min(left, FRESH)
            self._due("fresh", fresh, spread=0)
            full = fresh / self._drained()
        self._report.add(f"{self._name}: rows that became due", rows)
        self._report.add(f"{self._name}: looks for a row that was due", total / rows, aim=1.1, limit=1)
        self._report.add(f"{self._name}: backlog after the overload", left)
        self._report.add(f"{self._name}: drained in", drained, "s")
        share = left / drained / full
        self._report.add(f"{self._name}: speed of it, of full speed", share, "%", aim=0.8, at_least=True)

    def _due(self, prefix: str, count: int, *, spread: float) -> None:
        self._daytona.seed((f"{prefix}-{number}" for number in range(count)), state="started")
        self._installation.make("looks", prefix=prefix, count=count, spread=spread)
        self._rows += count

    def _capacity(self) -> float:
        """Looks a second with a queue that does not end."""
        time.sleep(WARM)
        before, began = self._looks(), time.monotonic()
        time.sleep(WARM)
        return max(1, self._looks() - before) / (time.monotonic() - began)

    def _drained(self) -> float:
        """Seconds until nothing is left, with Daytona quick again."""
        self._daytona.settings(latency=QUICK)
        began = time.monotonic()
        wait_until(lambda: not self._left(), timeout=self._options.patience, what="the end of the queue")
        return time.monotonic() - began

    def _looks(self) -> int:
        return self._daytona.counts().get("get", 0)

    def _left(self) -> int:
        """Rows that nobody has looked at yet."""
        return int(self._installation.number(LEFT))


if __name__ == "__main__":
    sys.exit(main())
