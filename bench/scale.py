"""How what is asked all the time grows with the tables: the same questions at 10,000, 100,000 and a million
sandboxes.

    .venv/bin/python -m bench.scale [--sizes 10000,100000,1000000] [--no-prune] [--json]

Needs PostgreSQL (DATABASE_URL names the server; it makes a database of its own for each size and drops it again).
A page's figure is the time of its SQL, the best of three, as PostgreSQL measured it with EXPLAIN ANALYZE; a
claim's is the time of what a worker does for it, rolled back. The exponent is that of the growth from the smallest
size to the largest: 0 does not grow, 1 grows with the table; times below a millisecond count as one. Prune has as
many events to delete as there are sandboxes, so it must grow; its figure is rows a second.

The limit is nothing: what is read by an index is there at once, whatever the size.
"""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench import rows, sql
from bench.environment import ends_by_signal, postgres, run_module
from bench.report import Report, parser
from tests.support.environment import DEVELOPMENT, clean_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

AIM = 100.0  # ms
GROWTH = 0.25  # exponent
TOKEN = "bench"
PRUNE = "prune, events a second"
API = {
    "sandboxes by status": "/sandboxes?status=running&status=stopped",
    "order=name": "/sandboxes?order=name",
    "order=last_used": "/sandboxes?order=-last_used",
    "q, the start of many names": "/sandboxes?q=atlas",
    "q, nothing like it": "/sandboxes?q=zzzzzz",
    "operations by status": "/operations?status=failed",
    "operations by two statuses": "/operations?status=cancelled&status=failed",
    "operations by request": "/operations?request_id=nobody",
    "capacity": "/capacity",
}
PAGES = {
    "dashboard": "/",
    "admin, sandboxes: search": "/sandboxes/sandbox/?q=zzzzzz",
    "admin, operations: search": "/sandboxes/operation/?q=zzzzzz",
}
# What is to be done: operations that are due, sandboxes that are due for a fetch, events past their time.
MORE = """
UPDATE sandboxes_operation SET due_at = now() - random() * interval '1 hour' WHERE status = 'in_progress';
UPDATE sandboxes_sandbox SET fetch_due_at = now() - random() * interval '1 hour' WHERE hashtext(id::text) % 100 = 3;
INSERT INTO sandboxes_sandboxevent (sandbox_id, owner, kind, at, text, actor, data, changes)
    SELECT id, owner_id, 'observation', now() - interval '5 years', 'Daytona says started', '', '{}', '{}'
    FROM sandboxes_sandbox;
"""


def main() -> int:
    options = _options()
    if options.inside:
        _inside(options)
        return 0
    ends_by_signal()
    report = Report("scale", as_json=options.json)
    found = {size: _at(size, options, report) for size in options.sizes}
    small, large = min(found), max(found)
    for name in found[large]:
        if name == PRUNE:
            report.add(f"{name}, at {large}", found[large][name])
            continue
        for size in options.sizes:
            aim = AIM if size == large else None
            report.add(f"{name}, at {size}", found[size][name], "ms", aim=aim)
        if small < large:
            ratio = max(1, found[large][name]) / max(1, found[small][name])
            report.add(f"{name}, exponent", math.log(ratio) / math.log(large / small), aim=GROWTH, limit=0)
    return report.end()


def _options() -> argparse.Namespace:
    made = parser("scale", "How what is asked all the time grows with the tables.")
    made.add_argument(
        "--sizes", type=lambda text: [int(part) for part in text.split(",")], default=[10_000, 100_000, 1_000_000]
    )
    made.add_argument("--no-prune", action="store_true", help="leave out what takes longest")
    made.add_argument("--inside", type=int, default=0, help="measure here, with so many rows; for the bench itself")
    return made.parse_args()


def _at(size: int, options: argparse.Namespace, report: Report) -> dict[str, float]:
    """All questions at one size, in a process of its own: Django is configured once in each."""
    with postgres("scale") as url:
        environment = clean_environment(
            **DEVELOPMENT,
            DATABASE_URL=url,
            DJANGO_SETTINGS_MODULE="project.settings",
            LOG_LEVEL="ERROR",
            RATE_LIMIT_SERVICE="0",
            METRICS_TOKEN=TOKEN,
        )
        prune = ["--no-prune"] if options.no_prune else []
        said = run_module("bench.scale", "--inside", str(size), *prune, environment=environment)
    found = {name: float(value) for name, value in (line.split("\t") for line in said.splitlines() if "\t" in line)}
    name, longest = max(((one, took) for one, took in found.items() if one != PRUNE), key=lambda pair: pair[1])
    report.say(f"{size} sandboxes: the slowest is {name}, {longest:.1f} ms")
    return found


def _inside(options: argparse.Namespace) -> None:
    import django

    django.setup()
    from django.db import connection

    rows.fill(options.inside)
    with connection.cursor() as cursor:
        for statement in MORE.strip().removesuffix(";").split(";\n"):
            cursor.execute(statement)
        cursor.execute("VACUUM (ANALYZE)")
    for name, ask in _questions().items():
        print(f"{name}\t{sql.timed(ask).milliseconds}", flush=True)
    for name, claim in claims().items():
        print(f"{name}\t{min(_rolled_back(claim) for _ in range(3))}", flush=True)
    if not options.no_prune:
        print(f"{PRUNE}\t{options.inside / _pruned()}")


def _questions() -> dict[str, Callable[[], Any]]:
    from django.contrib.auth.models import User
    from django.test import Client
    from django.urls import reverse

    from tests.api.callers import program

    api = program(None, scopes=["sandboxes:read", "sandboxes:any"])
    api.headers["Host"] = "localhost"
    browser = Client(SERVER_NAME="localhost")
    browser.force_login(User.objects.create_superuser("bench"))
    admin = reverse("admin:index").rstrip("/")
    asked: dict[str, Callable[[], Any]] = {name: _asking(api.get, path) for name, path in API.items()}
    asked |= {name: _asking(browser.get, admin + path) for name, path in PAGES.items()}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    asked["metrics"] = lambda: browser.get("/metrics", headers=headers)
    return asked


def _asking(get: Callable[[str], Any], path: str) -> Callable[[], Any]:
    return lambda: get(path)


def claims() -> dict[str, Callable[[], object]]:
    """What a worker does to get work, by the name of its lane: the one place that knows the engine."""
    from sandboxes.engine import lanes, picks
    from sandboxes.services.lifecycle import turns

    def claim(queue: picks.Queue) -> Callable[[], object]:
        return lambda: lanes.claim(lanes.Wishes(queue, None, lanes.MOST_AT_ONCE, frozenset()), "bench", turns.claim)

    every = (picks.PEOPLE, picks.SYSTEM, picks.FETCHES, picks.PUSHES, picks.TOUCHES)
    return {
        "what is due": lambda: picks.due(every),
        "claim for people": claim(picks.PEOPLE),
        "claim of fetches": claim(picks.FETCHES),
    }


@contextmanager
def _undone() -> Iterator[None]:
    from django.db import transaction

    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _rolled_back(claim: Callable[[], object]) -> float:
    """Milliseconds."""
    with _undone():
        began = time.perf_counter()
        claim()
        return (time.perf_counter() - began) * 1000


def _pruned() -> float:
    """Seconds of `manage.py prune`'s work."""
    from sandboxes.services import prune

    began = time.perf_counter()
    prune.prune()
    return time.perf_counter() - began


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    sys.exit(main())
