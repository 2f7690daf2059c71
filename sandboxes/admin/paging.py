"""Pages without a count: on a million rows an exact count costs more than the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import EmptyPage, Page, Paginator
from django.utils.functional import cached_property
from unfold.views import ChangeList

if TYPE_CHECKING:
    from django.http import HttpRequest

PER_PAGE = 25
# Far pages are reached by filters and search: an OFFSET reads everything before it.
DEEPEST_PAGE = 200


class NoCountPaginator(Paginator[Any]):
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
    """A list that knows its page, and whether there is a next one, but not how many rows there are."""

    def get_results(self, request: HttpRequest) -> None:
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
