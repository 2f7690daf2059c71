"""Another owner's sandbox does not exist: for every address with an id and every method, out of the URL table."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver

from sandboxes.models import Operation, Sandbox, SandboxEvent
from tests.api.callers import V1, Api, problem, program
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.issuer import Issuer

pytestmark = pytest.mark.django_db
METHODS = ("get", "post", "patch", "put", "delete")


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for one in resolver.url_patterns:
        path = f"{prefix}{one.pattern}"
        if isinstance(one, URLResolver):
            yield from patterns(one, path)
        else:
            yield path, one


def addresses() -> list[tuple[str, str]]:
    """(method, path with `{}` for the id) of everything under /api/v1/ that has a sandbox or an operation in it."""
    found = []
    for path, pattern in patterns(get_resolver()):
        if not path.startswith("api/v1/") or ("sandbox_id" not in path and "operation_id" not in path):
            continue
        shape = path.removeprefix("api/v1").replace("<id:sandbox_id>", "{sandbox}")
        shape = shape.replace("<uuid:operation_id>", "{operation}")
        view = getattr(pattern.callback, "view_class")  # noqa: B009 - Django puts it there
        found += [(method, shape) for method in METHODS if hasattr(view, method)]
    return found


def test_the_table_is_read_whole() -> None:
    found = addresses()
    assert ("delete", "/sandboxes/{sandbox}") in found
    assert ("post", "/operations/{operation}/cancel") in found
    assert len(found) == 16


@pytest.fixture(params=["a key acting for bob", "bob's token"])
def bob(request: pytest.FixtureRequest, issuer: Issuer) -> Api:
    if request.param == "bob's token":
        return Api(Authorization=f"Bearer {issuer.token('bob')}")
    return program("bob")


@pytest.mark.parametrize("named", ["our id", "Daytona's id", "an unknown id"])
@pytest.mark.parametrize(("method", "shape"), addresses())
def test_it_is_404_and_nothing_happens(bob: Api, method: str, shape: str, named: str) -> None:
    box = rows.sandbox("atlas", of="alice")
    active = rows.operation(box, "stop", "in_progress")
    before = state(box)
    choices: dict[str, dict[str, object]] = {
        "our id": {"sandbox": box.pk, "operation": active.pk},
        "Daytona's id": {"sandbox": box.daytona_id, "operation": active.pk},
        "an unknown id": {"sandbox": uuid4(), "operation": uuid4()},
    }
    body = {"name": "mine"} if method == "patch" else None if method in ("get", "delete") else {}
    answer = bob.call(method.upper(), shape.format(**choices[named]), body)
    problem(answer, "operation_not_found" if "{operation}" in shape else "sandbox_not_found")
    assert answer.status_code == 404
    assert state(box) == before


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "without dashes": lambda which: which.replace("-", ""),
    "in upper case": str.upper,
}


def trace(api: Api, method: str, path: str, body: object, *names: str) -> tuple[object, ...]:
    """All that a caller can tell an answer by: status, headers, body; and how many queries it took."""
    with CaptureQueriesContext(connection) as queries:
        answer = api.call(method.upper(), path, body, X_Request_ID="same")
    text = answer.content.decode()
    headers = {name: value for name, value in answer.headers.items() if not name.startswith("RateLimit")}
    for name in names:
        text = text.replace(name, "…")
    headers.pop("Content-Length", None)
    return answer.status_code, headers, text, len(queries)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(("method", "shape"), addresses())
def test_foreign_and_unknown_ids_are_answered_alike(bob: Api, method: str, shape: str, spelling: str) -> None:
    box = rows.sandbox("atlas", of="alice")
    active = rows.operation(box, "stop", "in_progress")
    body = {"name": "mine"} if method == "patch" else None if method in ("get", "delete") else {}
    spelled = SPELLINGS[spelling] if "{sandbox}" in shape else str
    if "{operation}" in shape:
        choices = {"foreign": str(active.pk), "unknown": str(uuid4())}
    else:
        choices = {"foreign": str(box.pk), "Daytona's": str(box.daytona_id), "unknown": str(uuid4())}
    traces = {}
    for title, which in choices.items():
        sent = spelled(which)
        path = shape.format(sandbox=sent, operation=sent)
        trace(bob, method, path, body, sent)  # a key's first use is written down
        traces[title] = trace(bob, method, path, body, sent)
    assert len(set(map(str, traces.values()))) == 1, traces
    assert traces["unknown"][0] == 404


def test_a_bulk_answers_foreign_and_unknown_ids_alike(bob: Api) -> None:
    box = rows.sandbox("atlas", of="alice")
    traces = {}
    for which in (str(box.pk), str(box.daytona_id), str(uuid4()), box.pk.hex.upper()):
        body = {"action": "stop", "ids": [which]}
        bob.post("/sandboxes/bulk", body)
        traces[which] = trace(bob, "post", "/sandboxes/bulk", body, which)
    assert len(set(map(str, traces.values()))) == 1, traces


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("method", "shape"), [*addresses(), ("bulk", "/sandboxes/bulk")])
def test_a_locked_foreign_row_delays_nobody(method: str, shape: str) -> None:
    box = rows.sandbox("atlas", of="alice")
    active = rows.operation(box, "stop", "in_progress")
    bob = program("bob")
    body: object = {"name": "mine"} if method == "patch" else None if method in ("get", "delete") else {}
    if method == "bulk":
        method, body = "post", {"action": "stop", "ids": [str(box.pk), str(box.daytona_id)]}
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '50ms'")  # whoever waits for the row gets a 503
    other = connection.copy()
    other.set_autocommit(False)
    try:
        for table in ("sandboxes_sandbox", "sandboxes_operation", "sandboxes_owner"):
            with other.cursor() as cursor:
                cursor.execute(f"SELECT 1 FROM {table} FOR UPDATE")
        for which in (box.pk, box.daytona_id):
            path = shape.format(sandbox=which, operation=active.pk)
            assert bob.call(method.upper(), path, body).status_code in (404, 207)
    finally:
        other.close()


def test_lists_show_nothing_of_others(bob: Api) -> None:
    box = rows.sandbox("atlas", of="alice")
    rows.operation(box)
    for path in (
        "/sandboxes",
        "/operations",
        "/sandboxes?owner=alice",
        "/operations?owner=alice",
        "/sandboxes?q=atlas",
    ):
        assert bob.get(path).json() == {"results": [], "next": None}, path


def test_bulk_finds_nothing_of_others(bob: Api) -> None:
    box = rows.sandbox("atlas", of="alice")
    before = state(box)
    answer = bob.post("/sandboxes/bulk", {"action": "stop", "ids": [str(box.pk)]})
    assert answer.json()["accepted"] == 0
    assert answer.json()["results"][0]["problem"]["code"] == "sandbox_not_found"
    assert state(box) == before


def test_capacity_for_anothers_sandbox(bob: Api) -> None:
    box = rows.sandbox("atlas", of="alice")
    problem(bob.get(f"/capacity?sandbox={box.pk}"), "sandbox_not_found")


@pytest.mark.parametrize("wrong", ["%00", "a b", "x" * 256, "ä", "..", "a%2Fb"])
def test_an_id_that_cannot_be_one(alice: Api, wrong: str) -> None:
    answer = alice.client.get(f"{V1}/sandboxes/{wrong}", headers={"authorization": alice.headers["Authorization"]})
    assert answer.status_code in (400, 404)


def state(box: Sandbox) -> tuple[object, ...]:
    box.refresh_from_db()
    values = {field.attname: getattr(box, field.attname) for field in box._meta.concrete_fields}
    operations = list(Operation.objects.filter(sandbox=box).order_by("pk").values())
    return values, operations, SandboxEvent.objects.filter(sandbox=box).count()
