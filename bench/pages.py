"""Every page of the admin on many rows: its CPU and SQL, and whether it needs more statements than with few rows.

    .venv/bin/python -m bench.pages [--rows 100000] [--only sandbox] [--explain] [--json]

Needs PostgreSQL (DATABASE_URL names the server; it makes databases of its own there and drops them at the end).
The pages are those of the URL configuration; of each list also the last page, every choice of every filter, every
order, what people search for, the most rows that a page has, what admin.js asks again, and the first rows of its
export. A figure is the CPU time of the process and the time of the SQL, as PostgreSQL measured it with EXPLAIN
ANALYZE, each the best of three. A page that needs more statements with many rows than with few is named.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from bench import history, rows, sql
from bench.environment import ends_by_signal, postgres, run_module
from bench.report import Report, parser
from tests.support.environment import DEVELOPMENT, clean_environment

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from django.test import Client

AIM, SEARCH_AIM = 300.0, 50.0  # ms
FEW = 2000  # sandboxes
# What people look for, by the column of the model that has it; `{…}` are of a row.
SOUGHT = {
    "part of a name": "las-50", "start of many names": "atlas", "start of one name": "borealis-5000",
    "part of an owner": "c4ca42", "start of all owners": "user_", "two words": "atlas user_c4",
    "nothing like it": "zzzzzz",
    "start of our id": "{id:.8}", "our id": "{id}", "Daytona's id": "{daytona_id}",
    "Daytona's name": "{daytona_name}",
    "an operation": "{operation}", "a request": "{request}",
}  # fmt: skip


class Figures(NamedTuple):
    milliseconds: float
    statements: int
    is_search: bool


def main() -> int:
    options = _options()
    if options.inside:
        _inside(options)
        return 0
    ends_by_signal()
    report = Report("pages", as_json=options.json)
    few, many = (_at(size, options, report) for size in (FEW, options.rows))
    for name, found in many.items():
        report.add(name, found.milliseconds, "ms", aim=SEARCH_AIM if found.is_search else AIM)
    grown = {name: found for name, found in many.items() if name in few and found.statements > few[name].statements}
    for name, found in grown.items():
        report.say(f"{name}: {found.statements} statements, {few[name].statements} with {FEW} sandboxes")
    report.add("most statements of a page", max(found.statements for found in many.values()))
    report.add("pages whose statements grow with the rows", len(grown), aim=0)
    return report.end()


def _options() -> argparse.Namespace:
    made = parser("pages", "Every page of the admin on many rows.")
    made.add_argument("--rows", type=int, default=100_000)
    made.add_argument("--only", default="", help="pages with this in their names")
    made.add_argument("--explain", action="store_true", help="show the plan of what takes longer than the aim")
    made.add_argument("--inside", type=int, default=0, help="measure here, with so many rows; for the bench itself")
    return made.parse_args()


def _at(size: int, options: argparse.Namespace, report: Report) -> dict[str, Figures]:
    """All pages at one size, in a process of its own: Django is configured once in each."""
    with postgres("pages") as url:
        environment = clean_environment(
            **DEVELOPMENT,
            DATABASE_URL=url,
            DJANGO_SETTINGS_MODULE="project.settings",
            LOG_LEVEL="ERROR",
            CONVEX_URL="http://127.0.0.1:9",  # without a Convex nothing can be behind it
        )
        explain = ["--explain"] if options.explain else []
        said = run_module(
            "bench.pages", "--inside", str(size), "--only", options.only, *explain, environment=environment
        )
    found = {}
    for line in said.splitlines():
        name, *values = line.split("\t")
        if values:
            found[name] = Figures(float(values[0]), int(values[1]), values[2] == "search")
        else:
            report.say(line)
    return found


def _inside(options: argparse.Namespace) -> None:
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.test import Client
    from django.test.utils import setup_test_environment, teardown_test_environment

    rows.fill(options.inside)
    history.fill(options.inside)
    browser = Client(SERVER_NAME="localhost")
    browser.force_login(User.objects.create_superuser("bench"))
    setup_test_environment()  # for the contexts that answers then have
    asked = list(_questions(browser))
    teardown_test_environment()
    for name, address, headers, is_search in asked:
        if options.only in name:
            milliseconds, statements, plan = _measured(browser, address, headers)
            print(f"{name}\t{milliseconds}\t{statements}\t{'search' if is_search else ''}", flush=True)
            if options.explain and milliseconds > (SEARCH_AIM if is_search else AIM):
                print("".join(f"        {line}\n" for line in plan), end="")


def _questions(browser: Client) -> Iterator[tuple[str, str, dict[str, str], bool]]:
    """(name, address, headers, whether it is a search)."""
    from tests.support.admin_addresses import pages

    for name, path in pages(browser, _fullest()):
        yield name, path, {}, False
        if name.endswith("_changelist") and not name.startswith("auth"):
            yield from (
                (f"{name} {title}", path + query, headers, False)
                for title, query, headers in _of_list(browser, path)
            )
        elif name.endswith("_change") or name == "index":
            yield f"{name} asked again", path, {"X-Live": "1"}, False
    yield from _of_owner()
    yield from _searches()


def _fullest() -> dict[str, str]:
    """The keys of the rows with the fullest pages."""
    from sandboxes.models import Job, Receiver, Sandbox

    last = Sandbox.objects.latest("created_at")
    operation = last.operations.first()
    return {
        "owner": "big", "sandbox": str(last.pk), "job": str(Job.objects.latest("created_at").pk),
        "receiver": Receiver.objects.latest("created_at").pk, "orphan": "lost-1",
    } | ({"operation": str(operation.pk)} if operation else {})  # fmt: skip


def _of_list(browser: Client, path: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    changes = browser.get(path).context["cl"]
    on_screen = "&".join(f"ids={key}" for key in changes.keys)
    yield "200 rows", "?rows=200", {}
    yield "last page", "?p=200", {}
    yield "asked again", f"?{on_screen}", {"X-Live": "1"}
    yield "export", "export/?format=csv", {}
    for spec in changes.filter_specs:
        for choice in spec.choices(changes):
            if not choice["selected"]:
                yield f"{spec.title}: {choice['display']}", choice["query_string"], {}
    columns = changes.list_display
    for number, column in enumerate(columns):
        if column in (changes.sortable_by or ()):
            for sign in ("", "-"):
                yield f"by {sign}{column}", f"?o={sign}{number}", {}


def _of_owner() -> Iterator[tuple[str, str, dict[str, str], bool]]:
    from django.urls import reverse

    page = reverse("admin:sandboxes_owner_change", args=["big"])
    index, file = reverse("admin:index"), reverse("admin:sandboxes_owner_usage")
    for query in ("show=intent", "show=call", "page=100", "usage=7d", "usage=90d"):
        yield f"owner {query}", f"{page}?{query}", {}, False
    for query in ("usage=7d", "usage=90d"):
        yield f"dashboard {query}", f"{index}?{query}", {}, False
    yield "usage as a file", f"{file}?usage=24h&format=csv", {}, False


def _searches() -> Iterator[tuple[str, str, dict[str, str], bool]]:
    from django.urls import reverse
    from django.utils.http import urlencode

    from sandboxes.models import Operation

    one = Operation.objects.select_related("sandbox").exclude(request_id="").order_by("created_at")[100]
    box = one.sandbox
    row = {"id": str(box.pk), "daytona_id": box.daytona_id, "daytona_name": box.daytona_name or "none"}
    lists = {
        f"search {name}": (reverse(f"admin:sandboxes_{name}_changelist"), "q")
        for name in ("sandbox", "operation", "sandboxevent", "owner", "auditentry")
    }
    for where, (path, parameter) in {**lists, "search everything": (reverse("admin:search"), "s")}.items():
        for title, text in SOUGHT.items():
            sought = text.format(**row, operation=one.pk, request=one.request_id)
            query = urlencode({parameter: sought, "extended": "1"} if parameter == "s" else {parameter: sought})
            yield f"{where}: {title}", f"{path}?{query}", {}, True


def _measured(browser: Client, address: str, headers: dict[str, str]) -> tuple[float, int, list[str]]:
    """Milliseconds of CPU and SQL, statements, and the plan of the longest."""
    from django.core.cache import cache

    taken: list[float] = []

    def ask() -> Any:
        cache.clear()  # Unfold keeps what was found
        began = time.process_time()
        answer: Any = browser.get(address, headers=headers)
        if answer.streaming:
            list(islice(answer.streaming_content, 100))
            answer.close()
        taken.append((time.process_time() - began) * 1000)
        return answer

    found = sql.timed(ask)
    for _ in range(3):
        ask()
    return min(taken[1:]) + found.milliseconds, found.statements, found.plan


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    sys.exit(main())
