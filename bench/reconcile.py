"""Our sweep beside the one that it replaces, in its own language: requests, seconds, CPU and peak memory.

    .venv/bin/python -m bench.reconcile [--sizes 1000,10000] [--alone 100000] [--latency 0.02] [--json]

The fast stand-in answers both after `--latency`, for Daytona and for Convex; both meet the same drift in the same
run, each as a process of its own. The replaced one (bench/replaced_reconcile.mjs) runs in Node, as in the
application, and fetches the sandboxes of `--side-by-side` owners at a time, all of an owner's at once; a second
line gives it one owner after another. Ours pages through Daytona's list and fetches what differs. Seconds are
without the start of the process; CPU and memory are of the whole process. Without Node ours is measured alone.
`--alone` measures ours only, for its memory.

The limit of requests is one for each page of the list and one for each sandbox that differs. The database is
SQLite, or one beside DATABASE_URL's where that is PostgreSQL.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.environment import database, ends_by_signal
from bench.report import Report, parser
from bench.stand_in import FastDaytona
from tests.support.environment import DEVELOPMENT, ROOT, clean_environment

if TYPE_CHECKING:
    import argparse
    import resource

PER_OWNER = 5
PAGE = 200  # rows of Daytona's list that one request answers
LARGE = 10_000  # sandboxes; with fewer, the start of the process is most of what it takes
CPU_AIM = 2.0  # seconds for so many
MEMORY_AIM = 1.1  # of the peak with so many


@dataclass(frozen=True, slots=True)
class Measured:
    requests: int
    seconds: float
    cpu: float
    peak_mb: float


def main() -> int:
    options = _options()
    ends_by_signal()
    report = Report("reconcile", as_json=options.json)
    report.say(f"Daytona and Convex answer in {options.latency} s; {options.drift:.0%} of the sandboxes differ")
    ours: dict[int, Measured] = {}
    for size in options.sizes:
        with Bench(size, options) as bench:
            ours[size] = _add(report, f"{size}: this sweep", bench.ours(), limit=bench.fewest_requests)
            for owners in (options.side_by_side, 1) if shutil.which("node") else ():
                bench.spoil()  # the same again for the other one
                theirs = bench.replaced(side_by_side=owners)
                _add(report, f"{size}: replaced, {owners} owners at a time", theirs)
                _compare(report, f"{size}, {owners} at a time", ours[size], theirs)
    for size in options.alone:
        with Bench(size, options) as bench:
            ours[size] = _add(report, f"{size}: this sweep", bench.ours(), limit=bench.fewest_requests)
    big = {size: ours[size] for size in sorted(ours) if size >= LARGE}
    for size, measured in big.items():
        report.add(f"{size}: CPU for each 10,000", measured.cpu * LARGE / size, "s", aim=CPU_AIM)
    if len(big) > 1:
        peaks = [measured.peak_mb for measured in big.values()]
        report.add(
            "peak memory, the largest beside the smallest of these", peaks[-1] / peaks[0], "%", aim=MEMORY_AIM
        )
    return report.end()


def _options() -> argparse.Namespace:
    def sizes(text: str) -> list[int]:
        return [int(part) for part in text.split(",") if part]

    made = parser("reconcile", "Measure our sweep beside the replaced one.")
    made.add_argument("--sizes", type=sizes, default=[1000, 10000])
    made.add_argument("--alone", type=sizes, default=[100000], help="sizes for our side alone")
    made.add_argument("--side-by-side", type=int, default=8, help="owners that the replaced one sweeps at a time")
    made.add_argument("--latency", type=float, default=0.02, help="seconds until Daytona and Convex answer")
    made.add_argument("--drift", type=float, default=0.02, help="share of the sandboxes that differ")
    return made.parse_args()


def _add(report: Report, who: str, one: Measured, *, limit: float | None = None) -> Measured:
    report.add(f"{who}, requests", one.requests, limit=limit)
    report.add(f"{who}, seconds", one.seconds, "s")
    report.add(f"{who}, CPU", one.cpu, "s")
    report.add(f"{who}, peak memory", one.peak_mb, "MB")
    return one


def _compare(report: Report, what: str, ours: Measured, theirs: Measured) -> None:
    """How many times more the replaced one takes."""
    report.add(f"{what}: its requests, of ours", theirs.requests / ours.requests, "times", aim=1, at_least=True)
    report.add(f"{what}: its seconds, of ours", theirs.seconds / ours.seconds, "times", aim=1, at_least=True)
    report.add(f"{what}: its CPU, of ours", theirs.cpu / ours.cpu, "times")


class Bench:
    """So many sandboxes in the stand-in and in a database, all alike but for the drift."""

    def __init__(self, size: int, options: argparse.Namespace) -> None:
        self._options = options
        self._ids = [f"box-{number}" for number in range(size)]

    def __enter__(self) -> Bench:
        with ExitStack() as stack:
            self._prepare(stack)
            self._stack = stack.pop_all()  # nothing failed: it is all kept until the end
        return self

    def _prepare(self, stack: ExitStack) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(database("reconcile", folder))
        self._daytona = stack.enter_context(FastDaytona())
        self._environment = clean_environment(
            **DEVELOPMENT,
            DATABASE_URL=url,
            DAYTONA_API_URL=self._daytona.daytona_url,
            DAYTONA_API_KEY=self._daytona.daytona_key,
            LOG_LEVEL="ERROR",
        )
        ids = folder / "ids.json"
        ids.write_text(json.dumps(self._ids))
        # In processes of their own: Django is configured once in each.
        _run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], self._environment)
        _run([sys.executable, "-m", "bench.reconcile_rows", str(ids)], self._environment)
        self.spoil()

    def __exit__(self, *ended: object) -> None:
        self._stack.close()

    def spoil(self) -> None:
        """All run, and Convex shows so; but Daytona stopped some by itself: the drift."""
        drifting = set(self._drifting)
        rows: list[dict[str, Any]] = [
            {
                "id": key, "name": key, "state": "stopped" if key in drifting else "started", "shown": "running",
                "owner": _owner(number), "labels": _labels(number),
            }
            for number, key in enumerate(self._ids)
        ]  # fmt: skip
        self._daytona.seed_rows(rows)

    @property
    def _drifting(self) -> list[str]:
        return self._ids[:: round(1 / self._options.drift)]

    @property
    def fewest_requests(self) -> int:
        return -(-len(self._ids) // PAGE) + len(self._drifting)

    def ours(self) -> Measured:
        return self._measure([sys.executable, "-m", "bench.our_reconcile"])

    def replaced(self, *, side_by_side: int) -> Measured:
        owners = (len(self._ids) + PER_OWNER - 1) // PER_OWNER
        daytona = (self._daytona.daytona_url, self._daytona.daytona_key)
        convex = (self._daytona.convex_url, "dev:bench|0123456789abcdef")
        script = str(ROOT / "bench" / "replaced_reconcile.mjs")
        return self._measure([str(shutil.which("node")), script, *daytona, *convex, str(owners), str(side_by_side)])

    def _measure(self, command: list[str]) -> Measured:
        self._daytona.settings(latency=self._options.latency)
        before = sum(self._daytona.counts().values())
        said, usage = _run(command, self._environment)
        answer = json.loads(said)
        self._daytona.settings(latency=0)
        found = answer["updated"] if "updated" in answer else answer["counts"]["drift"]
        assert found == len(self._drifting), answer
        assert not answer.get("errors"), answer
        cpu, peak_mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
        requests = sum(self._daytona.counts().values()) - before
        return Measured(requests, answer["seconds"], cpu, peak_mb)


def _owner(number: int) -> str:
    return f"user_{number // PER_OWNER}"


def _labels(number: int) -> dict[str, str]:
    return {"harness_user_id": _owner(number), "harness_resource_tier": "basic"}


def _run(command: list[str], environment: dict[str, str]) -> tuple[str, resource.struct_rusage]:
    """What the process printed, and what it used."""
    with tempfile.TemporaryFile("w+") as output:
        process = os.posix_spawn(
            command[0], command, environment, file_actions=[(os.POSIX_SPAWN_DUP2, output.fileno(), 1)]
        )
        _, status, usage = os.wait4(process, 0)
        output.seek(0)
        said = output.read()
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed: {said}")
    return said, usage


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
