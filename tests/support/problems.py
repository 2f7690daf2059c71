"""Every error under /api/ is a well-formed problem: watched in the whole suite, whatever a test looks at."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from sandboxes.core.codes import MEANINGS, Code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

MEMBERS = {"type", "title", "status", "detail", "instance", "code", "remedy", "request_id"}
MORE = {
    "errors", "current_status", "intent", "blocking_operation", "allowed_actions", "retry_after", "stopped_by",
    "stopped_at", "stopped_reason", "used", "limit", "on_hold",
    "hold_reason", "operation",
}  # fmt: skip


def faults(status: int, headers: Mapping[str, str], body: bytes, *, path: str) -> list[str]:
    """What is wrong with an error answer as a problem of RFC 9457."""
    if headers.get("Content-Type") != "application/problem+json":
        return [f"{status} {path} is {headers.get('Content-Type')}: {body[:200]!r}"]
    try:
        problem = json.loads(body)
        meaning = MEANINGS[Code(problem["code"])]
    except (ValueError, KeyError) as error:
        return [f"{status} {path}: {error!r} in {body[:200]!r}"]
    expected = {
        "type": f"/api/v1/problems/{problem['code']}",
        "title": meaning.title,
        "status": status,
        "instance": path,
        "remedy": meaning.remedy,
        "request_id": headers.get("X-Request-ID"),
    }
    found = [f"{status} {path}: {name} is {problem.get(name)!r}, not {v!r}" for name, v in expected.items()
             if problem.get(name) != v]  # fmt: skip
    if "Idempotency-Replayed" in headers:
        found = [one for one in found if "request_id" not in one]  # it is the first answer, with its id
    if meaning.status != status:
        found.append(f"{status} {path}: {problem['code']} has the status {meaning.status}")
    if not isinstance(problem.get("detail"), str) or not problem["detail"]:
        found.append(f"{status} {path}: no detail")
    if unknown := set(problem) - MEMBERS - MORE:
        found.append(f"{status} {path}: members that nobody documents: {unknown}")
    if "retry_after" in problem and "Retry-After" not in headers:
        found.append(f"{status} {path}: retry_after without Retry-After")
    return found


class OnlyProblems:
    """Middleware outside all others; what it finds fails the test that asked."""

    found: list[str] = []

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if response.status_code >= 400 and request.path.startswith("/api/"):
            body = getattr(response, "content", b"")
            self.found.extend(faults(response.status_code, response.headers, body, path=request.path))
        return response


@pytest.fixture(autouse=True)
def only_problems() -> Iterator[None]:
    OnlyProblems.found.clear()
    yield
    assert OnlyProblems.found == []
