"""What the lists share: filter, page, show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sandboxes.api.filters import filtered, several
from sandboxes.api.pagination import KeysetPagination
from sandboxes.api.views.base import ApiView

if TYPE_CHECKING:
    import django_filters
    from django.db.models import QuerySet
    from rest_framework.response import Response
    from rest_framework.serializers import Serializer


class ListView(ApiView):
    """`orders` as KeysetPagination takes them; `filters` is None where nothing can be filtered."""

    orders: ClassVar[dict[str, str]]
    default_order: ClassVar[str]
    shape: ClassVar[type[Serializer[Any]]]
    filters: ClassVar[type[django_filters.FilterSet] | None] = None

    @property
    def repeatable(self) -> frozenset[str]:  # type: ignore[override]
        return several(self.filters)

    def complete(self, found: list[Any]) -> None:
        """Read what else the rows of a page need, in a fixed number of queries."""

    def page(self, rows: QuerySet[Any]) -> Response:
        pages = KeysetPagination(self.orders, default=self.default_order)
        found = pages.paginate_queryset(filtered(self.filters, self.request, rows), self.request)
        self.complete(found)
        return pages.get_paginated_response(self.shape(found, many=True, context=self.shape_context).data)
