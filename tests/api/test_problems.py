from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import OperationalError, connection
from django.test import Client

from sandboxes.core.codes import MEANINGS, Code
from tests.api.callers import V1, Api, problem
from tests.support.problems import OnlyProblems, faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings

    from sandboxes.models import Sandbox

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/api/", "/api/v2/sandboxes", "/api/v1", "/api/v1/nothing/here"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "OPTIONS"])
def test_an_unknown_address(method: str, path: str) -> None:
    response = Client().generic(method, path)
    problem(response, "not_found")


def test_an_unknown_address_with_debug_pages_on(settings: Settings) -> None:
    settings.DEBUG = True
    problem(Client().get("/api/v1/nothing"), "not_found")


def test_addresses_elsewhere_keep_djangos_pages(client: Client) -> None:
    assert client.get("/nothing")["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_method_that_is_not_there(alice: Api, method: str) -> None:
    response = alice.call(method, "/sandboxes")
    problem(response, "method_not_allowed")
    assert response["Allow"] == "GET, HEAD, POST"


def test_head_where_there_is_no_get(alice: Api, atlas: Sandbox) -> None:
    posts = [f"/sandboxes/{atlas.pk}/{action}" for action in ("stop", "ensure-running", "touch")]
    for path in [*posts, "/sandboxes/bulk", f"/operations/{atlas.pk}/cancel"]:
        assert alice.call("HEAD", path).status_code == 405, path
    assert alice.call("HEAD", "/sandboxes").status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/schema", "/problems", "/problems/superseded"])
def test_errors_of_the_public_pages_are_problems_too(path: str) -> None:
    problem(Api().post(path), "method_not_allowed")
    problem(Api().get(path, Accept="text/csv"), "not_acceptable")


def test_a_media_type_that_is_not_understood(alice: Api) -> None:
    response = alice.client.post(
        f"{V1}/sandboxes", {"name": "x"}, headers={n.replace("_", "-"): v for n, v in alice.headers.items()}
    )
    problem(response, "unsupported_media_type")


def test_a_representation_that_is_not_there(alice: Api) -> None:
    problem(alice.get("/sandboxes", Accept="text/csv"), "not_acceptable")


UNREADABLE = [b"{", b"\xff\xfe", b'{"name": NaN}', b"[1", b"[" * 100_000, b'{"\\ud800": 1}', b'{"tier": "\\ud800"}']


@pytest.mark.parametrize("body", UNREADABLE, ids=[repr(body[:20]) for body in UNREADABLE])
def test_a_body_that_cannot_be_read(alice: Api, body: bytes) -> None:
    for _ in range(2):
        problem(alice.post("/sandboxes", body, Idempotency_Key="k1"), "malformed_body")


def test_a_pair_of_surrogates_is_one_character(alice: Api) -> None:
    shown = alice.post("/sandboxes", b'{"name": "\\ud83d\\ude00"}').json()
    assert alice.get(f"/sandboxes/{shown['sandbox']}").json()["name"] == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("path", "field", "value"),
    [
        ("/sandboxes", "name", 7),
        ("/sandboxes", "reason", 1.5),
        ("/sandboxes", "target", 7),
        ("/sandboxes", "ephemeral", "on"),
        ("/sandboxes", "auto_stop_minutes", "15"),
        ("/sandboxes/bulk", "ids", ["a", 7]),
    ],
)
def test_a_value_of_another_type_than_the_schema_says(alice: Api, path: str, field: str, value: object) -> None:
    body = {"action": "stop"} if "bulk" in path else {}
    found = problem(alice.post(path, body | {field: value}), "invalid_request")
    assert [error["field"] for error in found["errors"]] == [field]


@pytest.mark.parametrize("body", [[], "text", 1, None])
def test_a_body_that_is_no_object(alice: Api, body: object) -> None:
    response = alice.post("/sandboxes", b"null" if body is None else body)
    problem(response, "invalid_request")


def test_a_body_that_is_too_large(alice: Api, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    problem(alice.post("/sandboxes", {"name": "x" * 101}), "payload_too_large")


def test_a_field_that_is_wrong_is_named(alice: Api) -> None:
    found = problem(alice.post("/sandboxes", {"name": "", "tier": "huge", "nme": 1}), "invalid_request")
    assert {error["field"] for error in found["errors"]} >= {"nme"}
    found = problem(alice.post("/sandboxes", {"name": "", "tier": "huge"}), "invalid_request")
    assert {error["field"] for error in found["errors"]} == {"name", "tier"}
    assert "name" in found["detail"]


class Broken:
    """Every query fails, as it does while the database is away or as it does when we have a bug."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, *arguments: object) -> object:
        raise self.error


@pytest.fixture
def database_down(alice: Api) -> Iterator[None]:
    with connection.execute_wrapper(Broken(OperationalError("server closed the connection"))):
        yield


def test_a_database_that_is_away(alice: Api, database_down: None) -> None:
    response = alice.get("/sandboxes")
    found = problem(response, "database_unavailable")
    assert "server closed" not in str(found)
    assert int(response["Retry-After"]) > 0


def test_what_nobody_foresaw(alice: Api, atlas: Sandbox) -> None:
    with connection.execute_wrapper(Broken(ZeroDivisionError("secret words"))):
        found = problem(alice.get(f"/sandboxes/{atlas.pk}"), "internal_error")
    assert "secret words" not in str(found)


def test_a_host_that_is_not_ours(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["sandkeeper.example.com"]
    settings.DEBUG = False
    problem(Client().get(f"{V1}/sandboxes", headers={"host": "evil.example"}), "invalid_request")


def test_the_request_id_comes_back_and_stands_in_the_problem() -> None:
    response = Api().get("/sandboxes", X_Request_ID="mine-1")
    assert response["X-Request-ID"] == "mine-1"
    assert problem(response, "unauthenticated")["request_id"] == "mine-1"


def test_the_request_id_stands_in_the_logs(caplog: pytest.LogCaptureFixture) -> None:
    Api().get("/sandboxes", X_Request_ID="trace-8")
    lines = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert [line["request_id"] for line in lines if line["event"] == "request_finished"] == ["trace-8"]


@pytest.mark.parametrize("given", ["", "x" * 101, "line\tbreak", "naïve"])
def test_a_request_id_that_could_spoil_a_log_is_replaced(given: str) -> None:
    made = Api().get("/sandboxes", X_Request_ID=given)["X-Request-ID"]
    assert made != given
    assert len(made) == 32


def test_the_request_id_stands_on_the_operation(alice: Api, atlas: Sandbox) -> None:
    response = alice.post(f"/sandboxes/{atlas.pk}/stop", X_Request_ID="trace-7")
    assert response.json()["request_id"] == "trace-7"


def test_every_code_is_described_where_its_type_points() -> None:
    listed = Api().get("/problems").json()["results"]
    assert [entry["code"] for entry in listed] == [code.value for code in Code]
    for code in Code:
        meaning = MEANINGS[code]
        shown = Api().get(f"/problems/{code}").json()
        assert shown == {"code": code, "status": meaning.status, "title": meaning.title, "remedy": meaning.remedy}
    problem(Api().get("/problems/nonsense"), "not_found")


def test_the_watch_over_the_suite_finds_what_is_no_problem() -> None:
    good = Api().get("/sandboxes")
    path = f"{V1}/sandboxes"
    assert faults(401, good.headers, good.content, path=path) == []
    assert faults(403, good.headers, good.content, path=path)
    assert faults(401, good.headers, good.content, path="/api/v1/other")
    assert faults(401, {"Content-Type": "text/html"}, b"<h1>", path=path)
    assert faults(401, good.headers, good.content.replace(b'"code"', b'"kode"'), path=path)
    assert OnlyProblems.found == []
