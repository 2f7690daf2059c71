"""The published schema is built once per process, however many ask for it, and at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from pytest import MonkeyPatch

from sandboxes.api import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "/api/v1/schema"


@pytest.fixture
def builds(monkeypatch: MonkeyPatch) -> Iterator[list[str]]:
    """A line for each time that the schema is built."""
    counted: list[str] = []
    build = SchemaGenerator.get_schema

    def counting(generator: SchemaGenerator, *arguments: Any, **named: Any) -> Any:
        counted.append("built")
        return build(generator, *arguments, **named)

    monkeypatch.setattr(SchemaGenerator, "get_schema", counting)
    schema.document.cache_clear()
    yield counted
    schema.document.cache_clear()


def test_eight_first_callers_at_once_get_one_document(builds: list[str]) -> None:
    together = Barrier(8)

    def ask(_: int) -> tuple[int, bytes]:
        together.wait()
        answer = Client().get(ADDRESS)
        return answer.status_code, answer.content

    with ThreadPoolExecutor(8) as threads:
        answers = set(threads.map(ask, range(8)))
    assert [status for status, _ in answers] == [200]
    assert builds == ["built"]


def test_who_has_it_is_told_so(builds: list[str]) -> None:
    first = Client().get(ADDRESS)
    again = Client().get(ADDRESS, headers={"If-None-Match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert Client().get(ADDRESS, headers={"If-None-Match": '"another"'}).content == first.content
    assert builds == ["built"]


@pytest.mark.parametrize(
    ("accept", "status", "media_type"),
    [
        ("*/*", 200, "application/vnd.oai.openapi+json"),
        ("application/json", 200, "application/json"),
        ("text/html", 406, "application/problem+json"),
    ],
)
def test_it_comes_as_what_was_asked_for(accept: str, status: int, media_type: str) -> None:
    answer = Client().get(ADDRESS, headers={"Accept": accept})
    assert (answer.status_code, answer["Content-Type"]) == (status, media_type)
