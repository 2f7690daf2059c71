"""Around every page: no parameter that a database or a number refuses goes in, no text that nobody can read out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import structlog
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse

from project.readable import UnreadableText, checked, cut, visible
from sandboxes.admin.errors import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.http.response import HttpResponseBase

LONGEST_PARAMETER = 4_000  # more than a hundred ids have, and fewer digits than Python refuses to read
_PLAIN = re.compile(rb"[\n\t -~]*+")


class ReadableParameters:
    """Answers an address of the admin with a parameter that is no readable text by a page that says so."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_view(
        self, request: HttpRequest, _view: Any, _args: Any, kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        match = request.resolver_match
        if match is None or "admin" not in match.namespaces:
            return None
        if request.user.is_authenticated:
            structlog.contextvars.bind_contextvars(principal=f"staff:{request.user.get_username()}")
        problem = next(_problems(request, kwargs), None)
        return bad_request(request, BadRequest(problem)) if problem else None


def _problems(request: HttpRequest, kwargs: dict[str, Any]) -> Iterator[str]:
    texts = [(name, value) for name, values in request.GET.lists() for value in (name, *values)]
    texts += [("the address", value) for value in kwargs.values() if isinstance(value, str)]
    for name, value in texts:
        shown = visible(cut(name, 50))
        if len(value) > LONGEST_PARAMETER:
            yield f"“{shown}” has more than {LONGEST_PARAMETER:,} characters."
        try:
            checked(f"{value}.")  # a search for spaces alone is a search for everything
        except UnreadableText as error:
            yield f"“{shown}”: {error}"


class ReadablePages:
    """Puts a sign in the place of each code point that cannot be read, in every page of HTML."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self._get_response(request)
        if not isinstance(response, HttpResponse):
            return response
        is_page = response.get("Content-Type", "").startswith("text/html")
        if is_page and not _PLAIN.fullmatch(response.content):
            response.content = visible(response.content.decode(), lines=True).encode()
        return response
