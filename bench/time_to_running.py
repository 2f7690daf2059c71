"""From POST to `running`, over Daytona's own time: what Sandkeeper adds to a start and to a create.

    .venv/bin/python -m bench.time_to_running [--times 20] [--transition 0.3]

Web, one worker and the emulator run as processes; one caller asks over REST with `Prefer: wait`, one thing after
another. Daytona's own time is measured first, by calls straight to the emulator. Two figures for each: until the
operation had ended, and until the caller was told so. Both on SQLite and on PostgreSQL (DATABASE_URL names the
server). The aim: less than 150 ms more than Daytona itself takes.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from bench.environment import both, machine
from tests.support.emulator import Emulator
from tests.support.environment import DEVELOPMENT, clean_environment
from tests.support.processes import run_command, web, worker

if TYPE_CHECKING:
    from collections.abc import Iterator

SCOPES = ("sandboxes:read", "sandboxes:write")


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended, too
    print(machine())
    print(f"{options.times} of each; ms over Daytona's own time\n{'':34} {'ended':>15} {'told':>15}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, database in both("running", folder).items():
            with database as url, Emulator(transition=options.transition) as emulator:
                _measure(name, url, emulator, folder, options.times)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Milliseconds from POST to running, over Daytona's own.")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--transition", type=float, default=0.3, help="seconds that Daytona needs for each change")
    return parser.parse_args()


@contextmanager
def deployed(url: str, emulator: Emulator, folder: Path, *, name: str) -> Iterator[httpx.Client]:
    """A web process and a worker on this database, and a client with a service key that waits for what it asks."""
    environment = clean_environment(
        **(DEVELOPMENT | {"DEBUG": "0", "ALLOWED_HOSTS": "127.0.0.1", "SECURE_SSL_REDIRECT": "0"}),
        DATABASE_URL=url,
        STATIC_ROOT=str(folder),
        LOG_LEVEL="WARNING",
        DAYTONA_API_URL=emulator.daytona_url,
        DAYTONA_API_KEY=emulator.daytona_key,
        CONVEX_URL=emulator.convex_url,
        CONVEX_DEPLOY_KEY=emulator.convex_key,
    )
    run_command("migrate", "--verbosity", "0", environment=environment).check_returncode()
    scopes = [word for scope in SCOPES for word in ("--scope", scope)]
    key = run_command("create_service_key", "bench", "--quiet", *scopes, environment=environment).stdout.strip()
    web_log, worker_log = folder / f"{name} web.log", folder / f"{name} worker.log"
    with web(environment, log=web_log) as client, worker(environment, log=worker_log, threads=8):
        client.headers.update({"Authorization": f"Bearer {key}", "X-On-Behalf-Of": "user_0", "Prefer": "wait=60"})
        yield client


def _measure(name: str, url: str, emulator: Emulator, folder: Path, times: int) -> None:
    emulator.settings(quota=None)
    own_create, own_start = _daytona_alone(emulator)
    created, started = [], []
    with deployed(url, emulator, folder, name=name) as client:
        for number in range(times + 1):
            client.headers["X-On-Behalf-Of"] = f"user_{number}"
            made, *seconds = ask(client, "/sandboxes")
            created.append(seconds)
            ask(client, f"/sandboxes/{made['sandbox']}/stop")
            started.append(ask(client, f"/sandboxes/{made['sandbox']}/start")[1:])
    # The first of each warms.
    for what, own, found in (("create", own_create, created[1:]), ("start", own_start, started[1:])):
        columns = [_columns([one[place] - own for one in found]) for place in (0, 1)]
        print(f"{name:10} {what:7} (Daytona {own * 1000:4.0f} ms) {columns[0]:>15} {columns[1]:>15}", flush=True)


def _columns(seconds: list[float]) -> str:
    """Half of them were as fast as the first figure, 19 of 20 as fast as the second."""
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"p50 {statistics.median(ordered) * 1000:.0f} p95 {p95 * 1000:.0f}"


def ask(client: httpx.Client, path: str) -> tuple[dict[str, Any], float, float]:
    """The operation that was asked for, and the seconds until it ended and until its end was told."""
    began, clock = time.time(), time.monotonic()
    answer = client.post(f"/api/v1{path}", json={})
    told = time.monotonic() - clock
    assert answer.status_code == 200, answer.text
    operation: dict[str, Any] = answer.json()
    ended = datetime.fromisoformat(operation["finished_at"]).timestamp() - began
    return operation, ended, told


def _daytona_alone(emulator: Emulator) -> tuple[float, float]:
    """Seconds of a create and of a start, from the call until a GET shows it running."""
    headers = {"Authorization": f"Bearer {emulator.daytona_key}"}
    creates, starts = [], []
    with httpx.Client(base_url=emulator.daytona_url, headers=headers) as daytona:
        for number in range(5):
            began = time.monotonic()
            key = daytona.post("/sandbox", json={"name": f"own-{number}", "snapshot": "daytona-small"}).json()["id"]
            creates.append(_until(daytona, key, "started") - began)
            daytona.post(f"/sandbox/{key}/stop")
            began = _until(daytona, key, "stopped")
            daytona.post(f"/sandbox/{key}/start")
            starts.append(_until(daytona, key, "started") - began)
    return statistics.median(creates), statistics.median(starts)


def _until(daytona: httpx.Client, key: str, state: str) -> float:
    """When it was in that state, on the monotonic clock."""
    while daytona.get(f"/sandbox/{key}").json()["state"] != state:
        time.sleep(0.002)
    return time.monotonic()


if __name__ == "__main__":
    main()
