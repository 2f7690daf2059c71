"""A filtered list as CSV or JSON lines, row by row: memory does not grow with the list."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.core.exceptions import BadRequest, PermissionDenied
from django.core.serializers.json import DjangoJSONEncoder
from django.http import StreamingHttpResponse
from django.utils.text import slugify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from django.db.models import QuerySet
    from django.http import HttpRequest

CHUNK = 1000
FORMAT = "format"
# What a spreadsheet would run: names and reasons are written by anybody.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
# Of no use to anybody, or a secret.
NEVER = frozenset({"digest", "lease_token", "lease_until", "secret", "former_secret", "url"})

Rows = Iterator[dict[str, Any]]


def export(model_admin: Any, request: HttpRequest) -> StreamingHttpResponse:
    """GET: what the list shows with the same parameters, all of it."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    changes = model_admin.get_changelist_instance(request)
    names = [field.attname for field in model_admin.model._meta.concrete_fields if field.name not in NEVER]
    rows = changes.queryset.prefetch_related(None).select_related(None)
    return streamed(request, rows, names, title=str(model_admin.opts.verbose_name_plural))


def streamed(request: HttpRequest, rows: QuerySet[Any], names: list[str], *, title: str) -> StreamingHttpResponse:
    """These columns of the rows, in the format that is asked for."""
    asked = request.GET.get(FORMAT, "csv")
    if asked not in FORMATS:
        raise BadRequest(f"There is no export as “{asked}”; there are {' and '.join(FORMATS)}.")
    content_type, written = FORMATS[asked]
    return StreamingHttpResponse(
        written(names, rows.values(*names).iterator(CHUNK)),
        content_type=content_type,
        headers={"Content-Disposition": f'attachment; filename="{slugify(title)}.{asked}"'},
    )


def _csv(names: list[str], rows: Rows) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    for line in _with_titles(names, rows):
        writer.writerow(line)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()


def _with_titles(names: list[str], rows: Rows) -> Iterator[Iterable[str]]:
    yield names
    for row in rows:
        yield [_cell(row[name]) for name in names]


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = json.dumps(value, cls=DjangoJSONEncoder) if isinstance(value, dict | list) else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA) else text


def _json_lines(names: list[str], rows: Rows) -> Iterator[str]:
    for row in rows:
        yield json.dumps(row, cls=DjangoJSONEncoder) + "\n"


FORMATS: dict[str, tuple[str, Callable[[list[str], Rows], Iterator[str]]]] = {
    "csv": ("text/csv; charset=utf-8", _csv),
    "jsonl": ("application/jsonl", _json_lines),
}
