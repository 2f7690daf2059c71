"""The WSGI application, with a guard: no exception leaves it, whatever a client sent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import django
import structlog
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.urls import get_resolver

from project import refusals, tracing
from sandboxes.core.codes import Code

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)


class BadHead(Exception):
    """Django could not make a request of the head."""


def request_of(environ: dict[str, Any]) -> WSGIRequest:
    try:
        return WSGIRequest(environ)
    except Exception as error:  # a parser's own: LookupError, ValueError, UnicodeError …
        raise BadHead(repr(error)) from error


class Guarded(WSGIHandler):
    """Django's handler. What escapes it, before and outside every middleware, becomes a 400 or a 500 of ours."""

    request_class = staticmethod(request_of)  # type: ignore[assignment]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        path = str(environ.get("PATH_INFO", ""))
        try:
            return super().__call__(environ, start_response)
        except BadHead as error:
            log.info("request_not_understood", path=path, error=str(error))
            return _refuse(start_response, Code.INVALID_REQUEST, path)
        except Exception:
            log.exception("request_failed_outside", path=path)
            return _refuse(start_response, Code.INTERNAL_ERROR, path)


def _refuse(start_response: Callable[..., Any], code: Code, path: str) -> list[bytes]:
    status, headers, body = refusals.answer(code, path)
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
django.setup(set_prefix=False)
tracing.start("web")
application = Guarded()
# Django imports admin and API with the first request; here nobody waits for it.
_ = get_resolver().url_patterns
