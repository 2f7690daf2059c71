"""Every error as application/problem+json (RFC 9457), rendered from codes.py alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response

from project.unusable import RETRY_AFTER, why_unusable
from sandboxes.core.codes import MEANINGS, Code, Refused

log = structlog.get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
TYPE = "/api/v1/problems/"

_EXCEPTIONS: list[tuple[type[Exception], Code]] = [
    (exceptions.ParseError, Code.MALFORMED_BODY),
    (exceptions.NotAuthenticated, Code.UNAUTHENTICATED),
    (exceptions.AuthenticationFailed, Code.INVALID_TOKEN),
    (exceptions.PermissionDenied, Code.PERMISSION_DENIED),
    (PermissionDenied, Code.PERMISSION_DENIED),
    (exceptions.NotFound, Code.NOT_FOUND),
    (Http404, Code.NOT_FOUND),
    (exceptions.MethodNotAllowed, Code.METHOD_NOT_ALLOWED),
    (exceptions.NotAcceptable, Code.NOT_ACCEPTABLE),
    (exceptions.UnsupportedMediaType, Code.UNSUPPORTED_MEDIA_TYPE),
    (RequestDataTooBig, Code.PAYLOAD_TOO_LARGE),
    (SuspiciousOperation, Code.INVALID_REQUEST),
]
_OF_STATUS = {
    400: Code.INVALID_REQUEST,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    405: Code.METHOD_NOT_ALLOWED,
    406: Code.NOT_ACCEPTABLE,
    411: Code.LENGTH_REQUIRED,
    413: Code.PAYLOAD_TOO_LARGE,
    415: Code.UNSUPPORTED_MEDIA_TYPE,
    429: Code.RATE_LIMITED,
    503: Code.DATABASE_UNAVAILABLE,
}


def problem(request: HttpRequest, code: Code, *, detail: str = "", **extra: Any) -> dict[str, Any]:
    """The body of one problem. `extra` are facts for programs: current_status, allowed_actions, retry_after …"""
    meaning = MEANINGS[code]
    return {
        "type": f"{TYPE}{code}",
        "title": meaning.title,
        "status": meaning.status,
        "detail": detail or meaning.remedy,
        "instance": request.path,
        "code": str(code),
        "remedy": meaning.remedy,
        "request_id": getattr(request, "request_id", ""),
        **extra,
    }


def response(request: HttpRequest, refused: Refused) -> Response:
    """The answer to a refusal, from any view."""
    code = Code(refused.code)
    body = problem(request, code, detail=refused.detail, **refused.extra)
    headers = {}
    if "retry_after" in refused.extra:
        headers["Retry-After"] = str(max(1, round(refused.extra["retry_after"])))
    if body["status"] == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="sandkeeper"'
    return Response(body, status=body["status"], headers=headers, content_type=MEDIA_TYPE)


def handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """DRF's exception handler. None (it is raised again, logged, and becomes a 500) for what nobody foresaw."""
    refused = as_refused(error)
    if refused is None:
        return None
    if MEANINGS[Code(refused.code)].status >= 500:
        cause = error.__cause__ or error
        log.warning("unavailable", code=refused.code, detail=refused.detail, error=str(cause).strip())
    request = context["request"]
    request.accepted_renderer, request.accepted_media_type = JSONRenderer(), JSONRenderer.media_type
    answer = response(request._request, refused)
    if isinstance(error, exceptions.MethodNotAllowed):
        answer["Allow"] = ", ".join(context["view"].allowed_methods)
    return answer


def as_refused(error: Exception) -> Refused | None:
    """The refusal that an error amounts to; None for one that nobody foresaw."""
    if isinstance(error, Refused):
        return error
    if why := why_unusable(error):
        return Refused(Code.DATABASE_UNAVAILABLE, why.value, retry_after=RETRY_AFTER)
    if isinstance(error, exceptions.ValidationError):
        errors = list(_field_errors(error.detail))
        named = ", ".join(dict.fromkeys(e["field"] for e in errors if e["field"]))
        detail = f"Not valid: {named}." if named else errors[0]["message"]
        return Refused(Code.INVALID_REQUEST, detail, errors=errors)
    for kind, code in _EXCEPTIONS:
        if isinstance(error, kind):
            return Refused(code, str(getattr(error, "detail", "")))
    return None


def _field_errors(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = str(name) if name != "non_field_errors" else ""
            yield from _field_errors(inner, ".".join(part for part in (path, own) if part))
    elif isinstance(detail, list | tuple):
        for inner in detail:
            yield from _field_errors(inner, path)
    else:
        yield {"field": path, "message": str(detail), "code": getattr(detail, "code", "invalid")}


def body_of_status(request: HttpRequest, status: int) -> tuple[int, str]:
    """Status and body for an error that no view made: Django's own 404, 400, 500."""
    code = _OF_STATUS.get(status, Code.INTERNAL_ERROR if status >= 500 else Code.INVALID_REQUEST)
    body = problem(request, code)
    return body["status"], json.dumps(body)
