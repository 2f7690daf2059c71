"""Our sweep beside the replaced one: requests, seconds and peak memory, for growing numbers of sandboxes.

    .venv/bin/python -m bench.reconcile [--sizes 1000,10000] [--alone 100000] [--latency 0.02] [--drift 0.02]

One emulator answers both after `--latency`; both meet the same drift in the same run, each as a process of its
own (the seconds are without its start, CPU and memory with it). The replaced one, bench/replaced_reconcile.py,
walks owner after owner; a second line gives it eight at a time. `--alone` measures ours only, for its memory.
The database is SQLite, or one beside DATABASE_URL's where that is PostgreSQL.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environment import database, machine
from tests.support import convex
from tests.support.emulator import Emulator
from tests.support.environment import DEVELOPMENT, ROOT, clean_environment

if TYPE_CHECKING:
    import resource

PER_OWNER = 5
SEEDED_AT_ONCE = 5000


@dataclass(frozen=True)
class Measured:
    requests: int
    seconds: float
    cpu: float
    peak_mb: float


def main() -> None:
    options = _options()
    print(machine())
    print(f"Daytona and Convex answer in {options.latency} s; {options.drift:.0%} of the sandboxes differ")
    print(f"{'sandboxes':>9}  {'':<34}{'requests':>9} {'seconds':>9} {'CPU s':>7} {'peak MB':>8}")
    for size in options.sizes:
        with Bench(size, options) as bench:
            ours = bench.ours()
            bench.spoil()  # the same again for the other one
            theirs, faster = bench.replaced(side_by_side=1), None
            bench.restore_convex()
            faster = bench.replaced(side_by_side=8)
        _line(size, "this sweep", ours)
        _line(size, "replaced, one owner after another", theirs)
        _line(size, "replaced, 8 owners at a time", faster)
        times = (theirs.requests / ours.requests, theirs.seconds / ours.seconds, faster.seconds / ours.seconds)
        print(f"{'':>11}{times[0]:.0f} times fewer requests, {times[1]:.1f} and {times[2]:.1f} times faster")
    for size in options.alone:
        with Bench(size, options) as bench:
            _line(size, "this sweep", bench.ours())


def _options() -> argparse.Namespace:
    def sizes(text: str) -> list[int]:
        return [int(part) for part in text.split(",") if part]

    parser = argparse.ArgumentParser(description="Measure our sweep beside the replaced one.")
    parser.add_argument("--sizes", type=sizes, default=[1000, 10000])
    parser.add_argument("--alone", type=sizes, default=[100000], help="sizes for our side alone")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds until Daytona and Convex answer")
    parser.add_argument("--drift", type=float, default=0.02, help="share of the sandboxes that differ")
    return parser.parse_args()


def _line(size: int, who: str, one: Measured) -> None:
    print(
        f"{size:>9}  {who:<34}{one.requests:>9} {one.seconds:>9.2f} {one.cpu:>7.1f} {one.peak_mb:>8.0f}", flush=True
    )


class Bench:
    """So many sandboxes in the emulator, in Convex and in a database, all alike but for the drift."""

    def __init__(self, size: int, options: argparse.Namespace) -> None:
        self._size = size
        self._options = options
        self._stack = ExitStack()

    def __enter__(self) -> Bench:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._url = self._stack.enter_context(database("reconcile", self._folder))
        self._emulator = self._stack.enter_context(Emulator("--latency", "0", "--convex-functions", "second"))
        self._environment = clean_environment(
            **DEVELOPMENT,
            DATABASE_URL=self._url,
            DAYTONA_API_URL=self._emulator.daytona_url,
            DAYTONA_API_KEY=self._emulator.daytona_key,
            LOG_LEVEL="ERROR",
        )
        self._emulator.settings(quota=None)
        self._ids = [key for start in range(0, self._size, SEEDED_AT_ONCE) for key in self._seed(start)]
        self._fill_database()
        self._seed_convex()
        self.spoil()
        return self

    def __exit__(self, *ended: object) -> None:
        self._stack.close()

    def _seed(self, start: int) -> list[str]:
        numbers = range(start, min(start + SEEDED_AT_ONCE, self._size))
        return self._emulator.seed([{"name": f"box-{n}", "labels": _labels(n)} for n in numbers])

    def _fill_database(self) -> None:
        """In a process of its own: Django is configured once in each."""
        ids = self._folder / "ids.json"
        ids.write_text(json.dumps(self._ids))
        _run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], self._environment)
        _run([sys.executable, "-m", "bench.reconcile_rows", str(ids)], self._environment)

    def _seed_convex(self) -> None:
        if self._size > max(self._options.sizes, default=0):
            return
        for start in range(0, self._size, SEEDED_AT_ONCE):
            ids = enumerate(self._ids[start : start + SEEDED_AT_ONCE], start)
            convex.seed(self._emulator, sandboxes=[convex.sandbox_row(key, userId=_owner(n)) for n, key in ids])

    def spoil(self) -> None:
        """The drift: Daytona stopped some by itself."""
        self._emulator.settings(latency=0.0)
        for key in self._drifting:
            self._emulator.change(key, state="stopped", quiet=True)

    def restore_convex(self) -> None:
        """Convex's rows as they were before the replaced sweep healed them."""
        for key in self._drifting:
            convex.value_of(
                convex.call(self._emulator, "sandboxes:updateStatus", daytonaSandboxId=key, status="running")
            )

    @property
    def _drifting(self) -> list[str]:
        step = round(1 / self._options.drift)
        return self._ids[::step]

    def ours(self) -> Measured:
        return self._measure([sys.executable, "-m", "bench.our_reconcile"])

    def replaced(self, *, side_by_side: int) -> Measured:
        owners = (self._size + PER_OWNER - 1) // PER_OWNER
        return self._measure(
            [
                *(sys.executable, "-m", "bench.replaced_reconcile"),
                *("--daytona-url", self._emulator.daytona_url, "--daytona-key", self._emulator.daytona_key),
                *("--convex-url", self._emulator.convex_url, "--convex-key", self._emulator.convex_key),
                *("--owners", str(owners), "--side-by-side", str(side_by_side)),
            ]
        )

    def _measure(self, command: list[str]) -> Measured:
        self._emulator.settings(latency=self._options.latency)
        before = self._requests()
        said, usage = _run(command, self._environment)
        answer = json.loads(said)
        self._emulator.settings(latency=0.0)
        found = answer["updated"] if "updated" in answer else answer["counts"]["drift"]
        assert found == len(self._drifting), answer
        cpu, peak_mb = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
        return Measured(self._requests() - before, answer["seconds"], cpu, peak_mb)

    def _requests(self) -> int:
        counts = self._emulator.counts()
        return sum(counts["daytona"].values()) + sum(counts["convex"].values())


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
    main()
