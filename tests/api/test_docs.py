from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import URLResolver, get_resolver

from sandboxes.codes import MEANINGS, Code
from tests.api.callers import V1, Api

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    answer: dict[str, Any] = Client().get(f"{V1}/schema").json()
    return answer


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
