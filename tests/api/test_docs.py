from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import URLResolver, get_resolver
from jsonschema_rs import Draft202012Validator

from sandboxes.api import examples
from sandboxes.core.codes import MEANINGS, Code
from tests.api.callers import V1, Api
from tests.support import openapi, rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandboxes.models import Sandbox

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return openapi.without_references(Client().get(f"{V1}/schema").json())


def responses(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                yield f"{method.upper()} {path}", status, response


def test_the_schema_is_openapi_3_1_and_open_to_all(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1")


def test_every_address_is_documented(schema: dict[str, Any]) -> None:
    def addresses(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
        for one in resolver.url_patterns:
            path = f"{prefix}{one.pattern}"
            yield from addresses(one, path) if isinstance(one, URLResolver) else [path]

    ours = {
        "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", path)
        for path in addresses(get_resolver())
        if path.startswith("api/v1/") and not path.endswith(("schema", "docs"))
    }
    assert set(schema["paths"]) == ours


def test_every_error_is_a_problem_with_examples(schema: dict[str, Any]) -> None:
    for where, status, response in responses(schema):
        if int(status) >= 400:
            content = response["content"]["application/problem+json"]
            assert content["schema"]["$ref"].endswith("/Problem"), where
            for example in content["examples"].values():
                assert MEANINGS[Code(example["value"]["code"])].status == int(status), where


def bodies(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Everything in JSON that is sent, and answered without an error."""
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield f"{method} {path}", content
    for where, status, response in responses(schema):
        if int(status) < 400 and "content" in response:
            yield f"{where} {status}", response["content"]["application/json"]


def test_every_body_has_an_example_that_is_one(schema: dict[str, Any]) -> None:
    for where, content in bodies(schema):
        assert content.get("examples"), where
        for example in content["examples"].values():
            whole = {**content["schema"], "components": schema["components"]}
            found = [error.message for error in Draft202012Validator(whole).iter_errors(example["value"])]
            assert found == [], where


def test_the_examples_leave_out_what_staff_see_and_nothing_else(alice: Api, atlas: Sandbox) -> None:
    operation = rows.operation(atlas, "stop", "in_progress")
    rows.event(atlas)
    box = f"/sandboxes/{atlas.pk}"
    for path, name in [(box, "SandboxShape"), (f"/operations/{operation.pk}", "OperationShape")]:
        assert set(alice.get(path).json()) == set(examples.OF[name]), name
    assert set(alice.get(f"{box}/events").json()["results"][0]) == set(examples.EVENT)
    assert set(alice.get("/capacity").json()) == set(examples.CAPACITY)
    assert set(alice.get("/owners/me").json()) == set(examples.ME)


def test_every_answer_says_what_it_means(schema: dict[str, Any]) -> None:
    assert [where for where, _, response in responses(schema) if not response["description"]] == []


def test_headers_stand_where_they_are_answered(schema: dict[str, Any]) -> None:
    create = schema["paths"]["/api/v1/sandboxes"]["post"]["responses"]
    assert "WWW-Authenticate" in create["401"]["headers"]
    assert "Retry-After" in create["409"]["headers"]
    for status in ("200", "202", "409"):
        assert "Idempotency-Replayed" in create[status]["headers"], status


def test_every_code_that_a_caller_can_meet_is_documented_somewhere(schema: dict[str, Any]) -> None:
    found = {
        example["value"]["code"]
        for _, status, response in responses(schema)
        if int(status) >= 400
        for example in response["content"]["application/problem+json"]["examples"].values()
    }
    assert {code.value for code in Code} == found


def test_the_docs_page_needs_nothing_from_elsewhere() -> None:
    page = Client().get(f"{V1}/docs").content.decode()
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(sources) == 5
    for source in sources:
        if source.startswith("/static/"):
            assert finders.find(source.removeprefix("/static/")), source
        else:
            assert Client().get(source)["Content-Type"] == "application/javascript", source
    assert "<script>" not in page, "the content security policy would stop it"


def test_other_origins_may_call_when_they_are_named(settings: Any, alice: Api) -> None:
    origin = {"Origin": "https://app.example.com"}
    assert "Access-Control-Allow-Origin" not in alice.get("/sandboxes", **origin)
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.com"]
    answer = alice.get("/sandboxes/nobody", **origin)
    assert answer["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "Location" in answer["Access-Control-Expose-Headers"]
    preflight = Client().options(
        f"{V1}/sandboxes",
        headers={**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "prefer"},
    )
    assert preflight.status_code == 200
    assert "prefer" in preflight["Access-Control-Allow-Headers"]
