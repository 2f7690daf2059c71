"""Pages that stay true while they are open: admin.js asks again, and gets 304 while nothing has changed.

What a page shows is told apart by the rows in its context, before anything is rendered.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.db.models import Model
from django.http import HttpResponseNotModified
from django.utils.safestring import SafeString

from sandboxes import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest, HttpResponse

_AGE = re.compile(r"(<time[^>]*>)[^<]*")  # admin.js keeps ages true by itself
EVERY = 60  # seconds after which what hangs on the clock alone is shown anew


def answer(request: HttpRequest, response: HttpResponse, *shown: object) -> HttpResponse:
    """The response, or 304 when the browser has just what it would show."""
    if request.method != "GET" or "X-Live" not in request.headers:
        return response
    parts = "\n".join(_parts((int(clock.here().timestamp()) // EVERY, shown)))
    tag = f'"{hashlib.sha256(parts.encode()).hexdigest()[:32]}"'
    if request.headers.get("If-None-Match") == tag:
        return HttpResponseNotModified()
    response["ETag"] = tag
    return response


def _parts(value: object, seen: frozenset[int] = frozenset()) -> Iterator[str]:
    """All that is shown of a value; what is neither data nor made of data says nothing."""
    if isinstance(value, SafeString):
        yield _AGE.sub(r"\1", value)
    elif value is None or isinstance(value, str | int | float | datetime):
        yield repr(value)
    elif isinstance(value, Model):
        if id(value) not in seen:
            stored = {name: one for name, one in vars(value).items() if not name.startswith("_")}
            yield from _parts({**stored, **value._state.fields_cache}, seen | {id(value)})
    elif is_dataclass(value):
        yield from _parts([getattr(value, field.name) for field in fields(value)], seen)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield str(key)
            yield from _parts(one, seen)
    elif isinstance(value, list | tuple):
        yield str(len(value))
        for one in value:
            yield from _parts(one, seen)
