"""Answers from outside Django: the server's own refusals, and what an exception that escaped becomes.

A problem for programs under /api/ and for heads of which nothing is known, plain text for everybody else.
"""

from __future__ import annotations

import json
import uuid
from http import HTTPStatus

from sandboxes.core.codes import MEANINGS, Code

PROBLEM = "application/problem+json"
Headers = list[tuple[str, str]]


def answer(code: Code, path: str = "/api/", *, retry_after: int = 0) -> tuple[HTTPStatus, Headers, bytes]:
    """Status, headers and body of a refusal."""
    meaning = MEANINGS[code]
    is_api = path.startswith("/api/")
    request_id = uuid.uuid4().hex
    body = _problem(code, path, request_id) if is_api else f"{meaning.title}. {meaning.remedy}\n"
    content = body.encode()
    headers = [
        ("Content-Type", PROBLEM if is_api else "text/plain; charset=utf-8"),
        ("Content-Length", str(len(content))),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
        ("X-Request-ID", request_id),
    ]
    if retry_after:
        headers.append(("Retry-After", str(retry_after)))
    return HTTPStatus(meaning.status), headers, content


def _problem(code: Code, path: str, request_id: str) -> str:
    meaning = MEANINGS[code]
    body = {
        "type": f"/api/v1/problems/{code}",
        "title": meaning.title,
        "status": meaning.status,
        "detail": meaning.remedy,
        "instance": path,
        "code": str(code),
        "remedy": meaning.remedy,
        "request_id": request_id,
    }
    return json.dumps(body)
