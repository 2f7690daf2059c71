"""The outermost layer: the request id in and out, bodies as they were sent, no error that is not a problem."""

from __future__ import annotations

import io
import re
import uuid
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.gzip import GZipMiddleware

from project.networks import client_address
from sandboxes.api import deprecated, problems
from sandboxes.services import audit

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http.response import HttpResponseBase

HEADER = "X-Request-ID"
COMPRESS_OVER = 1_024  # bytes
WELL_FORMED = re.compile(r"[A-Za-z0-9._:+/=-]{1,100}")


class RequestIds:
    """Takes the caller's X-Request-ID, or makes one; django-structlog binds it to the log lines.

    The audit log hears from where the request came.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(HEADER, "")
        request_id = given if WELL_FORMED.fullmatch(given) else uuid.uuid4().hex
        request.META["HTTP_X_REQUEST_ID"] = request_id
        request.__dict__.pop("headers", None)  # Django caches them; django-structlog reads them
        request.request_id = request_id  # type: ignore[attr-defined]
        before = audit.client.set(client_address(request))
        try:
            response = self._get_response(request)
        finally:
            audit.client.reset(before)
        response[HEADER] = request_id
        return response


class CompressedJson(GZipMiddleware):
    """Compresses JSON of more than 1 kB under /api/, for who accepts that.

    Not a way in for BREACH, which reads a secret out of the length of answers that also hold what the attacker
    sent: callers send a token that no foreign page can make a browser send, and no answer to a GET holds a secret.
    The admin's pages hold CSRF tokens and stay as they are. So does an answer with a strong ETag: compressed, it
    would need another one, and If-Match would fail.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        fits = (
            request.path.startswith("/api/")
            and isinstance(response, HttpResponse)
            and "json" in response.get("Content-Type", "")
            and len(response.content) > COMPRESS_OVER
            and not response.get("ETag", "").startswith('"')
        )
        return super().process_response(request, response) if fits else response


class ApiProblems:
    """What Django itself answers under /api/ (a bad Host, an unforeseen exception) becomes a problem too.

    And no cache keeps an answer; what is deprecated says so.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if not request.path.startswith("/api/"):
            return response
        # What is answered is one caller's, and true for a moment; only what is open to all says otherwise.
        response.headers.setdefault("Cache-Control", "no-store")
        for name, value in deprecated.headers_for(request).items():
            response[name] = value
        if response.status_code < 400:
            return response
        if response.get("Content-Type", "").startswith(problems.MEDIA_TYPE):
            return response
        status, body = problems.body_of_status(request, response.status_code)
        made = HttpResponse(body, status=status, content_type=problems.MEDIA_TYPE)
        for name, value in response.items():
            if name.lower() not in ("content-type", "content-length"):
                made[name] = value
        return made


class ChunkedBodies:
    """Reads a body that came in chunks, of which Django would read nothing: it knows bodies by their length."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "Transfer-Encoding" in request.headers and not request.META.get("CONTENT_LENGTH"):
            status = _read_chunks(request)
            if status:
                return HttpResponse(status=status)
        return self._get_response(request)


def _read_chunks(request: HttpRequest) -> int:
    """Put the body where Django looks for it; else the HTTP status that says why not."""
    if not request.META.get("wsgi.input_terminated"):
        return 411  # this server would let us read on into the next request
    try:
        body = request.META["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    except Exception:  # whatever the server raises for chunks that are none
        return 400
    if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        return 413
    request.META["CONTENT_LENGTH"] = str(len(body))
    request._body = body
    request._stream = io.BytesIO(body)
    return 0
