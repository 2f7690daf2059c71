"""What the admin classes share: nothing is edited or deleted behind the services' back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin import ShowFacets
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.text import capfirst
from unfold.admin import ModelAdmin

from project.readable import checked
from sandboxes.admin import live
from sandboxes.admin.export import export
from sandboxes.admin.paging import PER_PAGE, NoCountPaginator, PageChangeList

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.db.models import Model, QuerySet


class ClosedLookups(ModelAdmin):
    """A list is filtered by its own filters alone: any other look-up could read a secret letter by letter."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The title names the page."""
        context = {"title": capfirst(self.opts.verbose_name_plural), **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, context)
        changes = getattr(response, "context_data", {}).get("cl")
        return live.answer(request, response, list(changes.result_list)) if changes else response

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        for own in self.get_list_filter(request):
            if isinstance(own, str):
                if lookup in (f"{own}__exact", f"{own}__isnull", f"{own}__id__exact"):
                    return True
            elif lookup == own.parameter_name:  # the filter itself says what is asked of the database
                return True
        return False


class MirrorAdmin(ClosedLookups):
    """A list and pages to read; whatever changes something is a POST to an address of its own."""

    list_per_page = PER_PAGE
    list_fullwidth = True
    list_disable_select_all = True
    show_full_result_count = False
    paginator = NoCountPaginator
    actions: Any = None
    sortable_by: Any = ()
    show_facets = ShowFacets.NEVER  # a count per choice
    preserve_filters = False  # each row's link would be resolved again, to be longer
    list_before_template = "sandboxes/pieces/chosen_filters.html"
    ordering: Any = ("-pk",)
    nothing_yet = "There is nothing here yet."

    search: Callable[[QuerySet[Any], str], QuerySet[Any]] | None = None

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        """What shows the box; `search` says what is searched."""
        return ("pk",) if self.search else ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip()
        return (self.search(queryset, text) if self.search and text else queryset), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PageChangeList]:
        return PageChangeList

    def get_urls(self) -> list[URLPattern]:
        """Without Django's own history, which is empty: timelines and the audit log tell it."""
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        export = path("export/", self.admin_site.admin_view(self.export_view), name=f"{name}_export")
        return [export, *(one for one in super().get_urls() if one.name != f"{name}_history")]

    def export_view(self, request: HttpRequest) -> StreamingHttpResponse:
        return export(self, request)

    def get_actions(self, request: HttpRequest, **location: Any) -> dict[str, Any]:
        return {}

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def readable(self, request: HttpRequest, rows: QuerySet[Any], object_id: str) -> Any:
        """The row of a page, of a queryset that brings what the page needs.

        Raises PermissionDenied without the view permission, Http404 where there is no such row.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            checked(object_id)
            return rows.get(pk=object_id)
        except (rows.model.DoesNotExist, ValidationError, ValueError):
            raise Http404(f"There is no {self.opts.verbose_name} “{object_id}”.") from None

    def page(
        self, request: HttpRequest, template: str, *, title: str, status: int = 200, **context: Any
    ) -> HttpResponse:
        """A page of the admin in its frame."""
        request.current_app = self.admin_site.name
        frame = self.admin_site.each_context(request)
        everything = {**frame, "opts": self.opts, "title": title, "model_admin": self, **context}
        return live.answer(request, TemplateResponse(request, template, everything, status=status), title, context)
