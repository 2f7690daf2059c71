"""How many calls and seconds it takes to push rows to Convex, with our own functions there and without.

    .venv/bin/python -m bench.convex_push [--rows 5000] [--in-flight 8] [--latency 0.03]

Starts an emulator that answers after `--latency`, a fresh database (SQLite, or one beside DATABASE_URL's where
that is PostgreSQL) and one real worker process; the clock runs from its first call until no row is behind.
Every row exists in Convex already and its status has changed, as after an outage.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from bench.environment import database, machine, worker_command
from tests.support.emulator import Emulator
from tests.support.environment import DEVELOPMENT, ROOT, clean_environment
from tests.support.waiting import wait_until


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended, too
    print(machine())
    print(f"{options.rows} rows, {options.in_flight} pushes at a time, Convex answers in {options.latency} s")
    with tempfile.TemporaryDirectory() as folder, database("convex", Path(folder)) as url:
        print("database: " + url.partition(":")[0])
        with Emulator("--latency", "0") as emulator:
            _use(url, emulator)
            for own in (False, True):
                _measure(emulator, options, own=own)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Push rows to Convex and count.")
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--latency", type=float, default=0.03, help="seconds until Convex answers")
    return parser.parse_args()


def _use(url: str, emulator: Emulator) -> None:
    environment = clean_environment(
        **DEVELOPMENT,
        DATABASE_URL=url,
        DJANGO_SETTINGS_MODULE="project.settings",
        DAYTONA_API_URL=emulator.daytona_url,
        DAYTONA_API_KEY=emulator.daytona_key,
        CONVEX_URL=emulator.convex_url,
        CONVEX_DEPLOY_KEY=emulator.convex_key,
        LOG_LEVEL="WARNING",
    )
    os.environ.clear()
    os.environ.update(environment)
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def _measure(emulator: Emulator, options: argparse.Namespace, *, own: bool) -> None:
    from sandboxes.models import ConvexProjection

    emulator.reset(convex={"functions": "second", "sandkeeper": own})
    _fill(emulator, options.rows)
    emulator.settings(latency=options.latency)
    behind = ConvexProjection.objects.behind()
    worker = _worker(options.in_flight)
    try:
        wait_until(lambda: emulator.counts().get("convex"), timeout=60, what="first call")
        started = time.monotonic()
        while left := behind.count():
            if time.monotonic() - started > 600:
                sys.exit(f"still {left} rows behind after 10 minutes")
            time.sleep(0.1)
        seconds = time.monotonic() - started
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(30)
    emulator.settings(latency=0.0)
    _report(emulator, options.rows, seconds, own=own)


def _worker(in_flight: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(worker_command(in_flight), cwd=ROOT)


def _fill(emulator: Emulator, rows: int) -> None:
    """Rows that Convex shows as running, while they are stopped by now."""
    from sandboxes import clock
    from sandboxes.models import CircuitBreaker, ConvexProjection, Owner, Sandbox

    for model in (Sandbox, CircuitBreaker):
        model.objects.all().delete()
    now = clock.now()
    owners = [Owner(pk=f"owner-{number}") for number in range(rows // 5 + 1)]
    Owner.objects.bulk_create(owners, ignore_conflicts=True)
    boxes = [
        Sandbox(
            daytona_id=str(uuid4()),
            name=f"box {number}",
            owner_id=f"owner-{number // 5}",
            status="stopped",
            created_at=now,
        )
        for number in range(rows)
    ]
    projections = [
        ConvexProjection(
            sandbox=box,
            wanted_generation=2,
            pushed_generation=1,
            behind_since=now,
            due_at=now,
            known=True,
            sent={"row": True, "status": "running", "error": "", "name": box.name},
        )
        for box in boxes
    ]
    Sandbox.objects.bulk_create(boxes, batch_size=500)
    ConvexProjection.objects.bulk_create(projections, batch_size=500)
    shown = [_shown(box) for box in boxes]
    for start in range(0, rows, 1000):
        emulator.control.post("/convex/rows", json={"sandboxes": shown[start : start + 1000]}).raise_for_status()


def _shown(box: object) -> dict[str, object]:
    return {
        "userId": box.owner_id,  # type: ignore[attr-defined]
        "daytonaSandboxId": box.daytona_id,  # type: ignore[attr-defined]
        "name": box.name,  # type: ignore[attr-defined]
        "status": "running",
        "ephemeral": False,
        "resources": {"cpu": 1, "memoryGB": 1, "diskGB": 3},
        "createdAt": 1000,
    }


def _report(emulator: Emulator, rows: int, seconds: float, *, own: bool) -> None:
    calls = emulator.counts()["convex"]
    shown = emulator.state("convex", table="sandboxes")["sandboxes"]
    right = sum(row["status"] == "stopped" for row in shown)
    if right != rows:
        sys.exit(f"Convex shows {right} of {rows} rows right")
    way = "with apply" if own else "without"
    print(f"{way:>10}: {sum(calls.values()):5d} calls, {seconds:6.1f} s, {rows / seconds:6.0f} rows/s")


if __name__ == "__main__":
    main()
