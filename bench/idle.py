"""What a worker costs that has nothing to do: CPU, statements, memory; and what `manage.py doctor` costs.

    .venv/bin/python -m bench.idle [--seconds 30] [--only PostgreSQL] [--json]

A worker as it is deployed, some seconds after its start, on a database with 1,000 sandboxes of which none is due.
CPU is a share of one core. Statements are counted on their way to PostgreSQL (bench/statements.py); on SQLite
nobody can count them from outside. Memory is what the process holds at the end. The doctor's CPU is its whole
process, its start included; it asks the stand-in for Daytona, and no Convex. The limit is the heartbeat: one
statement in ten seconds.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from bench.environment import both, cpu, ends_by_signal, memory
from bench.installation import Installation
from bench.report import Report, parser
from bench.stand_in import FastDaytona
from tests.support.processes import run_command

SANDBOXES = 1000


def main() -> int:
    made = parser("idle", "What an idle worker costs.")
    made.add_argument("--seconds", type=float, default=30)
    made.add_argument("--only", default="", help="SQLite or PostgreSQL")
    options = made.parse_args()
    ends_by_signal()
    report = Report("idle", as_json=options.json)
    with tempfile.TemporaryDirectory() as scratch:
        for name, database in both("idle", Path(scratch)).items():
            if options.only in ("", name):
                with (
                    database as url,
                    FastDaytona() as daytona,
                    Installation(url, Path(scratch), daytona) as installation,
                ):
                    _measure(name, installation, daytona, options.seconds, report)
    return report.end()


def _measure(name: str, installation: Installation, daytona: FastDaytona, seconds: float, report: Report) -> None:
    daytona.seed((f"box-{number}" for number in range(SANDBOXES)), state="started")
    installation.make("resting", prefix="box", count=SANDBOXES)
    with installation.worker() as worker:
        pid = worker.process.pid
        time.sleep(2)
        used, statements, began = cpu(pid), installation.statements(), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        used = cpu(pid) - used
        asked = None if statements is None else (installation.statements() or 0) - statements
        held = memory(pid)
    report.add(f"{name}: idle worker, share of a core", used / took, "%", aim=0.01)
    report.add(f"{name}: statements a second", None if asked is None else asked / took, aim=8, limit=0.1)
    report.add(f"{name}: memory of an idle worker", held, "MB", aim=90)
    report.add(f"{name}: doctor, CPU", _doctor(installation), "s", aim=1.5)


def _doctor(installation: Installation) -> float:
    """Seconds of CPU; what it finds (no sweep yet) is no matter here."""
    before = _children()
    done = run_command("doctor", environment=installation.environment)
    assert "Traceback" not in done.stderr, done.stderr
    return _children() - before


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
