"""Cursor pages over (order field, id): exact with any number of equal values, and nothing is cut silently."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.core import signing
from django.db.models import BooleanField, F, Func, Model, QuerySet, Value
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rest_framework.request import Request

DEFAULT_LIMIT, MAX_LIMIT = 50, 200
SALT = "sandboxes.api.cursor"
PARAMETERS = frozenset({"limit", "cursor", "order"})


class KeysetPagination(BasePagination):
    """`?limit=&order=&cursor=`; the page's `next` is a whole URL, or null on the last page.

    `orders` maps the values of `order` to fields that are never null; a leading "-" reverses.
    """

    def __init__(self, orders: Mapping[str, str], *, default: str) -> None:
        self.orders = orders
        self.default = default
        self._next: str | None = None

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> list[Any]:  # type: ignore[override]
        limit = self._limit(request)
        order = request.query_params.get("order", self.default)
        if order not in self._allowed_orders:
            raise ValidationError({"order": [f"One of {', '.join(self._allowed_orders)}."]})
        field = self.orders[order.removeprefix("-")]
        down = order.startswith("-")
        sign = "-" if down else ""
        rows = queryset.order_by(f"{sign}{field}", f"{sign}pk")
        salt = f"{SALT}:{request.path}:{order}"
        if cursor := request.query_params.get("cursor"):
            value, pk = _decode(cursor, field, salt)
            rows = rows.filter(After(field, value, Value(pk, queryset.model._meta.pk), down=down))
        page = list(rows[: limit + 1])
        if len(page) > limit:
            page.pop()
            self._next = _url(request, _encode(page[-1], field, salt))
        return page

    @property
    def _allowed_orders(self) -> list[str]:
        return [word for name in self.orders for word in (name, f"-{name}")]

    def _limit(self, request: Request) -> int:
        given = request.query_params.get("limit")
        if given is None:
            return DEFAULT_LIMIT
        limit = int(given) if re.fullmatch(r"[0-9]{1,9}", given) else 0
        if not 1 <= limit <= MAX_LIMIT:
            raise ValidationError({"limit": [f"A number from 1 to {MAX_LIMIT}."]})
        return limit

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self._next})


class After(Func):
    """`(field, id) > (value, id)`, or `<`: compared as a row, so that an index of both leads to the place."""

    output_field = BooleanField()

    def __init__(self, field: str, value: Any, pk: Value, *, down: bool) -> None:
        super().__init__(_Row(F(field), F("pk")), _Row(Value(value), pk))
        self.arg_joiner, self.template = f" {'<' if down else '>'} ", "%(expressions)s"


class _Row(Func):
    template = "(%(expressions)s)"
    output_field = BooleanField()


class _Utf8:
    """JSON without escapes: a name of 200 emojis still fits into an address."""

    def dumps(self, value: Any) -> bytes:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()

    def loads(self, data: bytes) -> Any:
        return json.loads(data)


def _encode(row: Model, field: str, salt: str) -> str:
    value = getattr(row, field)
    text = value.isoformat() if isinstance(value, datetime) else value
    # Signed: nobody can send values through it that the database would choke on.
    return signing.dumps([text, str(row.pk)], salt=salt, serializer=_Utf8)


def _decode(cursor: str, field: str, salt: str) -> tuple[Any, str]:
    try:
        text, pk = signing.loads(cursor, salt=salt, serializer=_Utf8)
    except signing.BadSignature:
        message = "It was made for another list or order, or is not ours: follow `next` as it is."
        raise ValidationError({"cursor": [message]}) from None
    return (text if field == "name" else datetime.fromisoformat(text)), pk


def _url(request: Request, cursor: str) -> str:
    return replace_query_param(request.build_absolute_uri(), "cursor", cursor)
