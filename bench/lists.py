"""The API's lists and /capacity on a million rows: every filter with every order, for one owner and for all.

    .venv/bin/python -m bench.lists [--rows 1000000] [--explain] [--filled URL]

Needs PostgreSQL (DATABASE_URL names the server; it makes a database of its own there and drops it at the end). The
figure is the time of the SQL of one page, the best of three, as PostgreSQL measured it with EXPLAIN ANALYZE; the
aim is 50 ms. Of each list the first page and the one that follows it are asked for.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from itertools import product
from typing import TYPE_CHECKING, Any

from bench import rows, sql
from bench.environment import machine, postgres
from tests.support.environment import DEVELOPMENT, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

AIM = 50.0
ORDERS = ["created_at", "-created_at", "updated_at", "-updated_at", "name", "-name", "last_used", "-last_used"]
SANDBOXES = [
    "", "status=running", "status=error", "status=gone", "status=running&status=stopped", "intent=archived",
    "harness_id=harness-7", "harness_id=nobody", "tier=performance", "target=ap", "owner=big", "owner={one}",
    "owner=nobody", "updated_since={long_ago}", "updated_since={lately}", "q=atlas-50", "q=atlas", "q=zzzzzz",
    "q=zq", "q=a", "q={id}", "q=atlas&status=error", "tier=performance&target=eu&intent=running",
    "status=gone&q=zzzzzz",
    "label=team:t3", "label=run:77", "label=team:t3&label=run:75", "label=run:nobody", "label=team:t3&status=error",
    "harness_id=harness-7&status=gone&tier=basic", "updated_since={long_ago}&q=zzzzzz",
]  # fmt: skip
OPERATIONS = [
    "", "status=failed", "status=queued", "status=succeeded", "status=cancelled&status=failed", "action=start",
    "action=recover", "code=timeout", "code=nobody", "request_id=nobody", "owner=big", "owner={one}",
    "created_since={lately}", "created_since={long_ago}&action=delete", "status=failed&owner=big",
    "code=capacity_exhausted&action=start",
]  # fmt: skip
CAPACITY = ["", "target=eu", "sandbox={id}"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the API's lists.")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--explain", action="store_true", help="show the plan of what takes longer than the aim")
    parser.add_argument("--filled", help="a database that was filled before, by its URL")
    options = parser.parse_args()
    ground: AbstractContextManager[str] = nullcontext(options.filled) if options.filled else postgres("lists")
    with ground as url:
        os.environ.update(
            clean_environment(
                **DEVELOPMENT,
                DATABASE_URL=url,
                DJANGO_SETTINGS_MODULE="project.settings",
                LOG_LEVEL="ERROR",
                RATE_LIMIT_SERVICE="0",
            )
        )
        import django

        django.setup()
        if not options.filled:
            rows.fill(options.rows)
        print(machine())
        return 1 if _slow(explain=options.explain) else 0


def _slow(*, explain: bool) -> list[str]:
    slow, worst = [], 0.0
    for title, milliseconds, plan in _pages():
        worst = max(worst, milliseconds)
        if milliseconds > AIM:
            slow.append(title)
            print(f"{milliseconds:7.0f} ms  {title}", *(plan if explain else ()), sep="\n        ")
    print(f"the slowest: {worst:.0f} ms; over {AIM:.0f} ms: {len(slow)}")
    return slow


def _pages() -> Iterator[tuple[str, float, list[str]]]:
    from sandboxes.models import Sandbox
    from tests.api.callers import program

    some = Sandbox.objects.filter(status="running").order_by("created_at")[1000]
    moments = dict(zip(("long_ago", "lately"), _moments(), strict=True))
    words: dict[str, Any] = {"id": some.pk, "one": some.owner_id, **moments}
    for owner in (None, "big", some.owner_id):
        api = program(owner, scopes=["sandboxes:read", "sandboxes:any"])
        api.headers["Host"] = "localhost"
        api.get("/sandboxes?limit=1")
        for query, order in product(SANDBOXES, ORDERS):
            path = f"/sandboxes?{query.format(**words)}&order={order}".replace("?&", "?")
            yield from _both_pages(api, path, owner)
        for query, order in product(OPERATIONS, ("created_at", "-created_at")):
            yield from _both_pages(
                api, f"/operations?{query.format(**words)}&order={order}".replace("?&", "?"), owner
            )
        for query in CAPACITY:
            if "sandbox" not in query or owner != "big":
                yield _timed(api, f"/capacity?{query.format(**words)}", owner)


def _moments() -> list[str]:
    from datetime import timedelta

    from django.utils import timezone

    return [(timezone.now() - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ") for days in (80, 1)]


def _both_pages(api: Any, path: str, owner: str | None) -> Iterator[tuple[str, float, list[str]]]:
    yield _timed(api, path, owner)
    if following := api.get(path).json()["next"]:
        yield _timed(api, following.partition("/api/v1")[2], owner)


def _timed(api: Any, path: str, owner: str | None) -> tuple[str, float, list[str]]:
    found = sql.timed(lambda: api.get(path))
    return f"{owner or 'all'}: {path[:150]}", found.milliseconds, found.plan


if __name__ == "__main__":
    sys.exit(main())
