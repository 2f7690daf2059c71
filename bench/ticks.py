"""Ticks a second of one worker process while Daytona answers in 50 ms, beside the bare task loop.

    .venv/bin/python -m bench.ticks [--seconds 8] [--threads 16] [--latency 0.05] [--rounds 2]

A tick is the commonest one: claim an operation, look at its sandbox, which Daytona is still starting, decide to
wait, write that. The bare loop is the task library's own, in as many threads of one process; its task makes the
same GET and does nothing else. Both are measured in turns, on SQLite and on PostgreSQL (DATABASE_URL names the
server); the emulator, the database and the loop share this machine's cores. Waiting alone would allow
threads / latency; the aim is 75 % of the bare loop.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from bench.environment import both, machine, run_module
from tests.support.emulator import Emulator
from tests.support.environment import DEVELOPMENT, clean_environment
from tests.support.processes import manage, run_command, running
from tests.support.waiting import wait_until

LOOK = "GET /sandbox/{id}"
WARM = 1.5  # seconds before the clock starts
TICK = os.sysconf("SC_CLK_TCK")


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended, too
    print(machine())
    print(
        f"{options.threads} threads, Daytona answers in {options.latency * 1000:g} ms: "
        f"waiting alone allows {options.threads / options.latency:.0f}/s"
    )
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, database in both("ticks", folder).items():
            with database as url, Emulator("--latency", "0") as emulator:
                _compare(name, Bench(url, emulator, folder, options), rounds=options.rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ticks a second of one worker beside the bare task loop.")
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement")
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds until Daytona answers")
    parser.add_argument("--rounds", type=int, default=2)
    return parser.parse_args()


def _compare(name: str, bench: Bench, *, rounds: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {"bare loop": [], "ticks": []}
    for _ in range(rounds):
        found["bare loop"].append(bench.measure(bench.bare_loop(), "look"))
        found["ticks"].append(bench.measure(bench.worker(), "advance_operation"))
    bare = statistics.median(rate for rate, _ in found["bare loop"])
    for what, measured in found.items():
        rate = statistics.median(rate for rate, _ in measured)
        cpu = statistics.median(cpu for _, cpu in measured)
        rates = " ".join(f"{rate:.0f}" for rate, _ in measured)
        print(
            f"{name:10} {what:9} {rate:4.0f}/s {rate / bare:5.0%}  {cpu * 1000:4.1f} ms CPU each  ({rates})",
            flush=True,
        )


class Bench:
    """One database, one emulator, and enough tasks for a measurement at full speed."""

    def __init__(self, url: str, emulator: Emulator, folder: Path, options: argparse.Namespace) -> None:
        self._emulator, self._folder, self._options = emulator, folder, options
        self._environment = clean_environment(
            **(DEVELOPMENT | {"DEBUG": "0", "ALLOWED_HOSTS": "127.0.0.1"}),
            DATABASE_URL=url,
            DJANGO_SETTINGS_MODULE="project.settings",
            DAYTONA_API_URL=emulator.daytona_url,
            DAYTONA_API_KEY=emulator.daytona_key,
            LOG_LEVEL="WARNING",
            ATTEMPT_SECONDS="0",  # a tick is one look
        )
        run_command("migrate", "--verbosity", "0", environment=self._environment).check_returncode()
        emulator.settings(quota=None)
        wanted = options.threads / options.latency * (options.seconds + WARM + 1)
        self._ids = folder / "ids.json"
        self._ids.write_text(json.dumps(emulator.seed(count=int(wanted), state="starting", name="box-{n}")))

    def bare_loop(self) -> list[str]:
        return [sys.executable, "-m", "bench.bare_loop", str(self._options.threads)]

    def worker(self) -> list[str]:
        return manage("run_worker", "--threads", str(self._options.threads))

    def measure(self, command: list[str], task: str) -> tuple[float, float]:
        """Looks at Daytona a second, and seconds of CPU of this process for each."""
        run_module("bench.ticks_rows", str(self._ids), task, environment=self._environment)
        self._emulator.settings(latency=self._options.latency)
        before = self._looks()
        with running(command, environment=self._environment, log=self._folder / "log") as loop:
            wait_until(lambda: self._looks() > before, timeout=30, what="first look")
            time.sleep(WARM)
            looks, cpu, began = self._looks(), _cpu(loop.process.pid), time.monotonic()
            time.sleep(self._options.seconds)
            looks, cpu, seconds = self._looks() - looks, _cpu(loop.process.pid) - cpu, time.monotonic() - began
        self._emulator.settings(latency=0.0)
        ended = run_module("bench.ticks_rows", environment=self._environment)
        failed, written = json.loads(ended)
        assert not failed and written >= looks, (failed, written, looks)
        return looks / seconds, cpu / looks

    def _looks(self) -> int:
        return int(self._emulator.counts()["daytona"].get(LOOK, 0))


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


if __name__ == "__main__":
    main()
