"""Heads that no browser sends: whatever they are, the answer is ours and no 500."""

from __future__ import annotations

import json
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from django.db import DatabaseError
from django.test import RequestFactory

from project.wsgi import application

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest, HttpResponse

pytestmark = pytest.mark.django_db  # a request looks whether its connection is still good

HEADS: list[dict[str, Any]] = [
    {"CONTENT_TYPE": "a; q*=nope''y"},
    {"CONTENT_TYPE": "a; q*=utf-16''%"},
    {"CONTENT_TYPE": "text/html; charset=nope"},
    {"CONTENT_TYPE": "multipart/form-data; boundary="},
    {"CONTENT_TYPE": "\x00"},
    {"CONTENT_LENGTH": "-1"},
    {"CONTENT_LENGTH": "12x"},
    {"CONTENT_LENGTH": "9" * 5000},
    {"HTTP_COOKIE": "sessionid=\x00; \xff=\xff; =;;;$Path"},
    {"HTTP_COOKIE": "csrftoken=" + "x" * 5000},
    {"HTTP_HOST": "[::1"},
    {"HTTP_HOST": "a b\x00"},
    {"HTTP_HOST": ""},
    {"HTTP_TRANSFER_ENCODING": "gzip, chunked"},
    {"HTTP_ACCEPT": "*/*;q=nope, ;;;"},
    {"HTTP_AUTHORIZATION": "Bearer \xff\x00"},
    {"HTTP_IF_NONE_MATCH": "\xff\x00"},
    {"HTTP_IF_MODIFIED_SINCE": "9" * 5000},
    {"HTTP_ORIGIN": "http://[::1"},
    {"HTTP_REFERER": "http://[::1"},
    {"HTTP_X_REQUEST_ID": "\x1b[2J"},
    {"HTTP_X_FORWARDED_FOR": "1.2.3.4:5678"},
    {"HTTP_X_FORWARDED_PROTO": "https, http"},
    {"REQUEST_METHOD": "G\x00T"},
    {"REQUEST_METHOD": "x" * 5000},
    {"PATH_INFO": "/api/v1/sandboxes/\xff\xfe"},
    {"PATH_INFO": "/api/v1/\x00"},
    {"PATH_INFO": "//api/v1/sandboxes"},
    {"PATH_INFO": "/admin/sandboxes/sandbox/\x00/"},
    {"PATH_INFO": "/static/\x00"},
    {"PATH_INFO": "/static/../../etc/passwd"},
    {"QUERY_STRING": "next=%ff%00&\x00=\xff"},
    {"QUERY_STRING": "&".join("a=b" for _ in range(2000))},
]
ADDRESSES = ("/api/v1/problems", "/admin/login/", "/static/nothing.css", "/live")


def ask(environ: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    started: list[Any] = []
    answer = application(environ, lambda *given: started.extend(given))
    body = b"".join(answer)
    getattr(answer, "close", lambda: None)()
    return int(started[0][:3]), dict(started[1]), body


def environ(address: str, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = RequestFactory().post(address).environ
    return {**made, "wsgi.input": BytesIO(), **changes}


@pytest.mark.parametrize("head", HEADS, ids=lambda head: repr(head)[:60])
def test_a_malformed_head_is_never_a_500(head: dict[str, Any]) -> None:
    for address in ADDRESSES:
        status, headers, body = ask(environ(address, **head))
        assert status < 500, (address, status, body[:300])
        if status >= 400 and {"PATH_INFO": address, **head}["PATH_INFO"].startswith("/api/"):
            assert headers["Content-Type"] == "application/problem+json"
            assert json.loads(body)["status"] == status


@pytest.mark.parametrize(
    ("address", "media_type"),
    [("/api/v1/problems", "application/problem+json"), ("/admin/", "text/plain; charset=utf-8")],
)
def test_a_head_that_is_no_request_is_told_so(address: str, media_type: str) -> None:
    status, headers, body = ask(environ(address, CONTENT_TYPE="a; q*=nope''y"))
    assert (status, headers["Content-Type"]) == (400, media_type)
    assert b"not valid" in body
    assert b"nope" not in body


@contextmanager
def escaping() -> Iterator[None]:
    """As where something fails before Django's own handlers: its loading of middleware is outside them."""
    handler: Any = application
    chain = handler._middleware_chain

    def fail(_request: HttpRequest) -> HttpResponse:
        raise DatabaseError("secret words")

    handler._middleware_chain = fail
    try:
        yield
    finally:
        handler._middleware_chain = chain


def test_what_escapes_every_middleware_is_a_problem_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with escaping():
        status, headers, body = ask(environ("/api/v1/sandboxes"))
    assert (status, headers["Content-Type"]) == (500, "application/problem+json")
    assert json.loads(body)["code"] == "internal_error"
    assert b"secret" not in body
    assert "secret words" in caplog.text
