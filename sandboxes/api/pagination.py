"""Cursor pages over (order field, id): exact with any number of equal values, and nothing is cut silently."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.core import signing
from django.db.models import Model, Q, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

DEFAULT_LIMIT, MAX_LIMIT = 50, 200
SALT = "sandboxes.api.cursor"
PARAMETERS = frozenset({"limit", "cursor", "order"})


class KeysetPagination(BasePagination):
    """`?limit=&order=&cursor=`; the page's `next` is a whole URL, or null on the last page.

    `orders` maps the words of `order` to fields that are never null; a leading "-" reverses.
    """

    def __init__(self, orders: Mapping[str, str], *, default: str) -> None:
        self.orders = orders
        self.default = default
        self._next: str | None = None

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> list[Any]:  # type: ignore[override]
        limit = self._limit(request)
        order = request.query_params.get("order", self.default)
        if order not in self.words:
            raise ValidationError({"order": [f"One of {', '.join(self.words)}."]})
        field = self.orders[order.removeprefix("-")]
        down = order.startswith("-")
        sign = "-" if down else ""
        rows = queryset.order_by(f"{sign}{field}", f"{sign}pk")
        if cursor := request.query_params.get("cursor"):
            rows = rows.filter(_after(field, *_decode(cursor, order), down=down))
        page = list(rows[: limit + 1])
        if len(page) > limit:
            page.pop()
            self._next = _url(request, _encode(page[-1], field, order))
        return page

    @property
    def words(self) -> list[str]:
        return [word for name in self.orders for word in (name, f"-{name}")]

    def _limit(self, request: Request) -> int:
        given = request.query_params.get("limit")
        if given is None:
            return DEFAULT_LIMIT
        if not given.isascii() or not given.isdigit() or not 1 <= int(given[:9]) <= MAX_LIMIT:
            raise ValidationError({"limit": [f"A number from 1 to {MAX_LIMIT}."]})
        return int(given)

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self._next})


def _after(field: str, value: Any, pk: Any, *, down: bool) -> Q:
    compare = "lt" if down else "gt"
    return Q(**{f"{field}__{compare}": value}) | Q(**{field: value, f"pk__{compare}": pk})


def _encode(row: Model, field: str, order: str) -> str:
    value = getattr(row, field)
    text = value.isoformat() if isinstance(value, datetime) else value
    # Signed: nobody can send values through it that the database would choke on.
    return signing.dumps([order, text, str(row.pk)], salt=SALT)


def _decode(cursor: str, order: str) -> tuple[Any, str]:
    try:
        made_for, text, pk = signing.loads(cursor, salt=SALT)
    except signing.BadSignature:
        raise ValidationError({"cursor": ["Not one of ours: follow `next` as it is."]}) from None
    if made_for != order:
        raise ValidationError({"cursor": ["It was made for another order: follow `next` as it is."]})
    return (text if order.endswith("name") else datetime.fromisoformat(text)), pk


def _url(request: Request, cursor: str) -> str:
    return replace_query_param(request.build_absolute_uri(), "cursor", cursor)
