"""Pages of lists: as many rows as are wanted, and a total that is exact while it is cheap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.core.paginator import EmptyPage, Page, Paginator
from django.utils.functional import cached_property
from unfold.templatetags.unfold_list import result_headers
from unfold.views import ChangeList

from sandboxes.admin import rows
from sandboxes.admin.export import FORMAT, FORMATS
from sandboxes.models import counting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet
    from django.http import HttpRequest
    from django.utils.safestring import SafeString

SIZES = (25, 50, 100, 200)
PER_PAGE = SIZES[0]
SIZE = "rows"  # the parameter
IDS = "ids"  # the parameter of admin.js: which rows are on the screen
# Far pages are reached by filters and search: an OFFSET reads everything before it.
DEEPEST_PAGE = 200


class NoCountPaginator(Paginator):
    """Reads one row more than a page shows, and so knows whether there is a next page."""

    template_name = "sandboxes/pieces/pages.html"

    @cached_property
    def count(self) -> int:
        return DEEPEST_PAGE * int(self.per_page)

    def page(self, number: int | str) -> Page[Any]:
        whole = self.validate_number(number)
        bottom = (whole - 1) * self.per_page
        rows = list(self.object_list[bottom : bottom + self.per_page + 1])
        page: Page[Any] = Page(rows[: self.per_page], whole, self)
        self.has_more = len(rows) > self.per_page and whole < DEEPEST_PAGE
        return page


class PageChangeList(ChangeList):
    """A list that knows its page, whether there is a next one, and about how many rows there are."""

    has_next: bool
    list_per_page: int
    result_list: list[Any]

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_filters_params(params)
        for name in (SIZE, IDS, FORMAT):
            found.pop(name, None)
        return found

    def get_queryset(self, request: HttpRequest, *more: Any, **others: Any) -> QuerySet[Any]:
        """The filtered rows; or just those that are on a screen, whatever has become of them."""
        rows: QuerySet[Any] = super().get_queryset(request, *more, **others)
        on_screen = request.GET.getlist(IDS)[: SIZES[-1]]
        if not on_screen:
            return rows
        try:
            found = self.apply_select_related(self.root_queryset.filter(pk__in=on_screen))
        except (ValueError, ValidationError):
            raise IncorrectLookupParameters from None
        return found.order_by("pk")

    @property
    def keys(self) -> list[str]:
        """What each row is known by on the page."""
        return [str(row.pk) for row in self.result_list]

    @property
    def headers(self) -> list[dict[str, Any]]:
        """Of the columns."""
        return list(result_headers(self))

    @property
    def rows(self) -> Iterator[SafeString]:
        return rows.made(self)

    @property
    def sizes(self) -> list[tuple[int, str]]:
        """(rows on a page, address)."""
        return [(size, self.get_query_string({SIZE: size}, ["p"])) for size in SIZES]

    @property
    def exports(self) -> list[tuple[str, str]]:
        """(format, address) of the whole filtered list."""
        return [(name, f"export/{self.get_query_string({FORMAT: name}, ['p', SIZE])}") for name in FORMATS]

    @cached_property
    def total(self) -> str:
        if self.page_num == 1 and not self.has_next:
            return f"{len(self.result_list):,}"
        return str(counting.number(self.queryset, exact=counting.EXACT_OF_SEARCH if self.query else counting.EXACT))

    def get_results(self, request: HttpRequest) -> None:
        asked = request.GET.get(SIZE, "")
        self.list_per_page = int(asked) if asked in map(str, SIZES) else self.list_per_page
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
        try:
            self.result_list = list(self.paginator.page(self.page_num).object_list)
        except EmptyPage as error:
            raise IncorrectLookupParameters from error
        self.first_page = self.get_query_string(remove=["p"])
        self.has_next = self.paginator.has_more
        self.first_number = (self.page_num - 1) * self.list_per_page + 1
        self.last_number = self.first_number + len(self.result_list) - 1
        # Django's and Unfold's templates ask for these; equal counts make them say nothing about a total.
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = self.can_show_all = False
        self.multi_page = self.show_admin_actions = True
