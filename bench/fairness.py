"""A person's start behind all the work of another owner, and whether each kind of that work goes on meanwhile.

    .venv/bin/python -m bench.fairness [--operations 5000] [--looks 20000] [--behind 5000] [--starts 5] [--json]

One owner has so many starts, due looks and rows of which Convex must be told, all of which became due in the last
ten minutes; one worker, as it is deployed, begins with them. Then another owner starts a sandbox, again and again:
the figure is the time from the commit of the request until it is shown running, over the `--start` seconds that
Daytona takes for it. Every two seconds the oldest row of each kind that nobody has taken up yet is looked for: its
age falls, or that kind starves. The ages are of our own rows' first due time, so putting a row off does not make
it younger.

The limit of a start is two answers of Daytona: 0.1 s. Convex is the emulator's, with our own functions.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environment import both, ends_by_signal
from bench.installation import Installation
from bench.report import Report, parser
from bench.stand_in import FastDaytona
from tests.support.emulator import Emulator

if TYPE_CHECKING:
    import argparse

LATENCY = 0.05
SPREAD = 600.0  # seconds over which the work became due
PAUSE = 0.05
EVERY = 2.0  # seconds between two looks at the lanes
UNTOUCHED = {
    "operations": "SELECT count(*), min(o.created_at) FROM sandboxes_operation o JOIN sandboxes_sandbox s "
    "ON s.id = o.sandbox_id WHERE o.status = 'queued' AND s.owner_id = 'busy'",
    "looks": "SELECT count(*), min(created_at) FROM sandboxes_sandbox "
    "WHERE daytona_id LIKE 'look-%' AND observed_at < created_at",
    "projections": "SELECT count(*), min(behind_since) FROM sandboxes_convexprojection p "
    "JOIN sandboxes_sandbox s ON s.id = p.sandbox_id "
    "WHERE behind_since IS NOT NULL AND s.daytona_id LIKE 'behind-%'",
}
SHOWN = "SELECT count(*) FROM sandboxes_sandbox WHERE status = 'running' AND daytona_id = '{}'"


def main() -> int:
    options = _options()
    ends_by_signal()
    report = Report("fairness", as_json=options.json)
    with tempfile.TemporaryDirectory() as scratch:
        for name, database in both("fairness", Path(scratch)).items():
            if options.only not in ("", name):
                continue
            with database as url, FastDaytona() as daytona, Emulator("--latency", "0") as convex:
                convex.reset(convex={"functions": "second", "sandkeeper": True})
                daytona.settings(latency=LATENCY, start=options.start)
                with Installation(url, Path(scratch), daytona, convex=convex) as installation:
                    _fill(installation, daytona, options)
                    _measure(name, installation, options, report)
    return report.end()


def _options() -> argparse.Namespace:
    made = parser("fairness", "A person's start behind all the work of another owner.")
    made.add_argument("--operations", type=int, default=5000, help="starts of the other owner")
    made.add_argument("--looks", type=int, default=20_000)
    made.add_argument("--behind", type=int, default=5000, help="rows of which Convex must be told")
    made.add_argument("--starts", type=int, default=5, help="of the person, one after the other")
    made.add_argument("--start", type=float, default=1.0, help="seconds that Daytona takes for a start")
    made.add_argument("--patience", type=float, default=300.0, help="seconds that one start is waited for")
    made.add_argument("--only", default="", help="SQLite or PostgreSQL")
    return made.parse_args()


def _fill(installation: Installation, daytona: FastDaytona, options: argparse.Namespace) -> None:
    kinds = (
        ("starts", "busy", options.operations, "stopped"),
        ("looks", "look", options.looks, "started"),
        ("behind", "behind", options.behind, "started"),
    )
    for kind, prefix, count, state in kinds:
        daytona.seed((f"{prefix}-{number}" for number in range(count)), state=state)
        installation.make(kind, prefix=prefix, count=count, owner="busy", spread=SPREAD)
    daytona.seed((f"person-{number}-0" for number in range(options.starts)), state="stopped")


def _measure(name: str, installation: Installation, options: argparse.Namespace, report: Report) -> None:
    lanes = Lanes(installation, name, report)
    over: list[float] = []
    with installation.worker() as worker:
        for number in range(options.starts):
            asked = installation.make("starts", prefix=f"person-{number}", count=1, owner="person")
            shown = SHOWN.format(f"person-{number}-0")
            while not installation.number(shown) and time.time() < asked + options.patience:
                assert not worker.ended(), worker.output
                lanes.look()
                time.sleep(PAUSE)
            over.append(time.time() - asked - options.start)
            report.say(f"{name}: start {number + 1} took {over[-1]:.2f} s over Daytona's own time")
        lanes.look(now=True)
    limit = 2 * LATENCY
    report.add(f"{name}: a start, median over Daytona's", statistics.median(over), "s", aim=2, limit=limit)
    report.add(f"{name}: a start, longest", max(over), "s", limit=limit)
    for lane, (left, change) in lanes.changes().items():
        report.add(f"{name}: {lane} that nobody has taken up", left)
        report.add(f"{name}: {lane}, change of the oldest age", change, "s", aim=0)


class Lanes:
    """How many rows of each kind are untouched, and the age of the oldest, over time."""

    def __init__(self, installation: Installation, name: str, report: Report) -> None:
        self._installation, self._name, self._report = installation, name, report
        self._seen: dict[str, list[tuple[int, float]]] = {lane: [] for lane in UNTOUCHED}
        self._last = 0.0
        self.look(now=True)

    def look(self, *, now: bool = False) -> None:
        """Once in EVERY seconds, or now."""
        if not now and time.monotonic() < self._last + EVERY:
            return
        self._last = time.monotonic()
        for lane, query in UNTOUCHED.items():
            self._seen[lane].append(self._installation.oldest(query))
        line = "  ".join(f"{lane} {seen[-1][0]} ({seen[-1][1]:.0f} s)" for lane, seen in self._seen.items())
        self._report.say(f"{self._name}: {line}")

    def changes(self) -> dict[str, tuple[int, float]]:
        """How many are left, and by how much the oldest age has changed, in seconds."""
        return {lane: (seen[-1][0], seen[-1][1] - seen[0][1]) for lane, seen in self._seen.items() if seen[0][0]}


if __name__ == "__main__":
    sys.exit(main())
