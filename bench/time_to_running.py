"""From POST to `running`, over Daytona's own time: what Sandkeeper adds to a start and to a create.

    .venv/bin/python -m bench.time_to_running [--times 20] [--start 0.3] [--at-once] [--published]
        [--only PostgreSQL] [--json]

Web, one worker, the fast stand-in for Daytona and the emulator for Convex run as processes; one caller asks over
REST with `Prefer: wait`, one thing after another. Daytona's own time is measured first, by calls straight to the
stand-in, which holds a POST until the sandbox runs, or with `--at-once` does not. Two figures for each: until the
operation had ended, and until the caller was told so. Convex has Sandkeeper's own functions, unless `--published`
leaves it with those of the application, which may refuse a row: a create then waits for their answer.

The limit is nothing: an installation that adds no time.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from bench.environment import both, ends_by_signal, worker_command
from bench.report import Report, parser
from bench.stand_in import FastDaytona
from tests.support.emulator import Emulator
from tests.support.environment import DEVELOPMENT, clean_environment
from tests.support.processes import run_command, running, web

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

SCOPES = ("sandboxes:read", "sandboxes:write")


def main() -> int:
    options = _options()
    ends_by_signal()
    report = Report("time_to_running", as_json=options.json)
    report.say(f"{options.times} of each, {options.start:g} s each")
    with tempfile.TemporaryDirectory() as scratch:
        for name, database in both("running", Path(scratch)).items():
            if options.only in ("", name):
                with database as url, FastDaytona() as daytona, Emulator(*_convex(options)) as convex:
                    hold = 0 if options.at_once else 30
                    daytona.settings(latency=0, start=options.start, stop=options.start, hold=hold)
                    own = _daytona_alone(daytona)
                    with deployed(url, daytona, convex, Path(scratch), name=name) as client:
                        _measure(name, client, own, options.times, report)
    return report.end()


def _convex(options: argparse.Namespace) -> list[str]:
    return ["--latency", "0", *([] if options.published else ["--with-sandkeeper"])]


def _options() -> argparse.Namespace:
    made = parser("time_to_running", "Milliseconds from POST to running, over Daytona's own.")
    made.add_argument("--times", type=int, default=20)
    made.add_argument("--start", type=float, default=0.3, help="seconds that Daytona needs for each change")
    made.add_argument(
        "--at-once", action="store_true", help="Daytona answers the POST at once, it does not hold it"
    )
    made.add_argument(
        "--published", action="store_true", help="Convex has the application's functions alone, which have a cap"
    )
    made.add_argument("--only", default="", help="SQLite or PostgreSQL")
    return made.parse_args()


@contextmanager
def deployed(
    url: str, daytona: FastDaytona | Emulator, convex: Emulator, folder: Path, *, name: str
) -> Iterator[httpx.Client]:
    """A web process and a worker on this database, and a client with a service key that waits for what it asks."""
    environment = clean_environment(
        **(DEVELOPMENT | {"DEBUG": "0", "ALLOWED_HOSTS": "127.0.0.1", "SECURE_SSL_REDIRECT": "0"}),
        DATABASE_URL=url,
        STATIC_ROOT=str(folder),
        LOG_LEVEL="WARNING",
        DAYTONA_API_URL=daytona.daytona_url,
        DAYTONA_API_KEY=daytona.daytona_key,
        CONVEX_URL=convex.convex_url,
        CONVEX_DEPLOY_KEY=convex.convex_key,
    )
    run_command("migrate", "--verbosity", "0", environment=environment).check_returncode()
    scopes = [word for scope in SCOPES for word in ("--scope", scope)]
    key = run_command("create_service_key", "bench", "--quiet", *scopes, environment=environment).stdout.strip()
    web_log, worker_log = folder / f"{name} web.log", folder / f"{name} worker.log"
    worker = running(worker_command(), environment=environment, log=worker_log)
    with web(environment, log=web_log) as client, worker:
        client.headers.update({"Authorization": f"Bearer {key}", "X-On-Behalf-Of": "user_0", "Prefer": "wait=60"})
        yield client


def _measure(name: str, client: httpx.Client, own: tuple[float, float], times: int, report: Report) -> None:
    created, started = [], []
    for number in range(times + 1):
        client.headers["X-On-Behalf-Of"] = f"user_{number}"
        made, *seconds = ask(client, "/sandboxes")
        created.append(seconds)
        ask(client, f"/sandboxes/{made['sandbox']}/stop")
        started.append(ask(client, f"/sandboxes/{made['sandbox']}/start")[1:])
    # The first of each warms.
    for what, alone, found in (("create", own[0], created[1:]), ("start", own[1], started[1:])):
        report.say(f"{name}: Daytona alone takes {alone * 1000:.0f} ms for a {what}")
        for place, which in enumerate(("ended", "told")):
            over = sorted((one[place] - alone) * 1000 for one in found)
            p95 = over[min(len(over) - 1, round(0.95 * len(over)))]
            aim = 40 if which == "ended" else None
            report.add(
                f"{name}: {what} {which}, p50 over Daytona's", statistics.median(over), "ms", aim=aim, limit=0
            )
            report.add(f"{name}: {what} {which}, p95", p95, "ms")


def ask(client: httpx.Client, path: str) -> tuple[dict[str, Any], float, float]:
    """The operation that was asked for, and the seconds until it ended and until its end was told."""
    began, clock = time.time(), time.monotonic()
    answer = client.post(f"/api/v1{path}", json={})
    told = time.monotonic() - clock
    assert answer.status_code == 200, answer.text
    operation: dict[str, Any] = answer.json()
    ended = datetime.fromisoformat(operation["finished_at"]).timestamp() - began
    return operation, ended, told


def _daytona_alone(stand_in: FastDaytona) -> tuple[float, float]:
    """Seconds of a create and of a start, from the call until a GET shows it running."""
    headers = {"Authorization": f"Bearer {stand_in.daytona_key}"}
    creates, starts = [], []
    with httpx.Client(base_url=stand_in.daytona_url, headers=headers) as daytona:
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
    sys.exit(main())
