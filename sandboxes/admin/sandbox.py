"""Sandboxes: the list, the page, and the addresses of what can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.shortcuts import redirect
from django.urls import URLPattern, path
from unfold.decorators import display

from sandboxes import html
from sandboxes.admin import acting, cells, changing, creating, noting, page, search, selectors
from sandboxes.admin.base import MirrorAdmin
from sandboxes.admin.filters import SANDBOX_FILTERS
from sandboxes.admin.verbs import VERBS, allowed_verbs
from sandboxes.models import Sandbox
from sandboxes.models.sandbox import LAST_USED

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

    from sandboxes.admin.paging import PageChangeList


@admin.register(Sandbox)
class SandboxAdmin(MirrorAdmin):
    list_display = (
        "cell_name", "cell_owner", "cell_status", "cell_tier", "cell_region", "cell_last_used", "cell_created",
        "cell_convex",
    )  # fmt: skip
    list_filter = SANDBOX_FILTERS
    search = staticmethod(search.sandboxes)
    search_help_text = "Part of a name or owner, or an id"
    ordering = ("-created_at", "id")
    nothing_yet = "No sandboxes yet. Create one, or take over Daytona's with manage.py reconcile_sandboxes --adopt."
    sortable_by = ("cell_name", "cell_owner", "cell_status", "cell_last_used", "cell_created")

    # the list

    def get_ordering(self, request: HttpRequest) -> Any:
        """Filtered by last use, it is sorted by it: both come from one index."""
        return (LAST_USED.desc(), "id") if request.GET.get("used") else self.ordering

    def get_queryset(self, request: HttpRequest) -> QuerySet[Sandbox]:
        rows: QuerySet[Sandbox] = super().get_queryset(request)
        return selectors.with_latest_operation(rows)

    def get_changelist_instance(self, request: HttpRequest) -> PageChangeList:
        changes: PageChangeList = super().get_changelist_instance(request)
        changes.verbs = allowed_verbs(request)
        changes.asked = request.GET.urlencode()
        return changes

    def get_actions(self, request: HttpRequest, **location: Any) -> dict[str, Any]:
        """A user who may do nothing sees no checkboxes. The buttons post to `act/`, not to the list."""
        return {verb.name: (acting.from_list, verb.name, verb.label) for verb in allowed_verbs(request)}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm("sandboxes.add_sandbox"))

    @display(description="Name", ordering="name")
    def cell_name(self, row: Sandbox) -> str:
        return cells.name(row)

    @display(description="Owner", ordering="owner_id")
    def cell_owner(self, row: Sandbox) -> str:
        return cells.owner(row)

    @display(description="Status", ordering="status")
    def cell_status(self, row: Sandbox) -> str:
        return cells.status(row)

    @display(description="Tier")
    def cell_tier(self, row: Sandbox) -> str:
        return row.resource_tier

    @display(description="Region")
    def cell_region(self, row: Sandbox) -> str:
        return row.target or html.NOTHING

    @display(description="Last used", ordering=LAST_USED)
    def cell_last_used(self, row: Sandbox) -> str:
        return cells.last_used(row)

    @display(description="Created", ordering="created_at")
    def cell_created(self, row: Sandbox) -> str:
        return html.ago(row.created_at)

    @display(description="Convex")
    def cell_convex(self, row: Sandbox) -> str:
        return cells.convex(row)

    # the addresses

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("room/", wrap(creating.room_view), name="sandboxes_sandbox_room"),
            *(
                path(f"act/{name}/", wrap(self.act_view), {"verb": name}, name=f"sandboxes_sandbox_act_{name}")
                for name in VERBS
            ),
            path("<path:object_id>/note/", wrap(self.note_view), name="sandboxes_sandbox_note"),
            path("<path:object_id>/settings/", wrap(self.settings_view), name="sandboxes_sandbox_settings"),
        ]
        return own + super().get_urls()

    def act_view(self, request: HttpRequest, verb: str) -> HttpResponse:
        return acting.act(self, request, VERBS[verb])

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        return creating.create_view(self, request)

    def note_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if request.method == "POST":
            noting.take(request, self.readable(request, Sandbox.objects.all(), object_id))
        return redirect("admin:sandboxes_sandbox_change", object_id)

    def settings_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return changing.settings_view(self, request, object_id)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return page.show(self, request, object_id)
