"""Owners: their sandboxes, their cap, the hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from unfold.decorators import display

from sandboxes import html
from sandboxes.admin import noting, page, policies, search, selectors, usage_chart
from sandboxes.admin.base import MirrorAdmin
from sandboxes.admin.fields import FormText
from sandboxes.admin.filters import OwnerHoldFilter
from sandboxes.admin.verbs import actor_of
from sandboxes.core.vocabulary import Status
from sandboxes.models import Owner, Sandbox, SandboxEvent
from sandboxes.services import lifecycle, owners

if TYPE_CHECKING:
    from django.http import StreamingHttpResponse

TEXT = forms.TextInput({"class": "sk-input", "autocomplete": "off"})
WEEK = 7 * 24.0  # hours
ROWS = 100  # of an owner's sandboxes; the list has the rest


class HoldForm(forms.Form):
    reason = FormText(
        max_length=300,
        widget=TEXT,
        help_text="Internal: staff alone read it.",
        error_messages={"required": "Say why: colleagues read it."},
    )
    public_reason = FormText(
        max_length=300,
        required=False,
        widget=TEXT,
        help_text="What the owner and their programs read; empty: only that the owner is on hold.",
    )
    destroy = forms.BooleanField(required=False)


class LimitForm(forms.Form):
    limit = forms.IntegerField(
        min_value=0, max_value=10_000, required=False, help_text="Empty: the default of the settings.",
        widget=forms.NumberInput({"class": "sk-input"}),
    )  # fmt: skip
    reason = FormText(max_length=300, widget=TEXT, error_messages={"required": "Say why."})


@admin.register(Owner)
class OwnerAdmin(MirrorAdmin):
    list_display = ("cell_id", "cell_sandboxes", "cell_limit", "cell_hold", "cell_since")
    list_filter = (OwnerHoldFilter,)
    search = staticmethod(search.owners)
    search_help_text = "Part of an owner's id"
    ordering = ("-created_at", "id")
    nothing_yet = "Owners appear with their first sandbox, limit or hold."

    def get_queryset(self, request: HttpRequest) -> QuerySet[Owner]:
        rows: QuerySet[Owner] = super().get_queryset(request)
        return rows

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Counts for the rows of this page only."""
        changes = super().get_changelist_instance(request)
        counts = _counts([owner.pk for owner in changes.result_list])
        for owner in changes.result_list:
            owner.existing, owner.running = counts.get(owner.pk, (0, 0))
        return changes

    @display(description="Owner")
    def cell_id(self, owner: Owner) -> str:
        return format_html('<span class="sk-name">{}</span>', owner.pk)

    @display(description="Sandboxes")
    def cell_sandboxes(self, owner: Any) -> str:
        limit = owners.limit_of(owner)
        return f"{owner.existing} of {limit}, {owner.running} running"

    @display(description="Limit")
    def cell_limit(self, owner: Owner) -> str:
        if owner.sandbox_limit is None:
            return html.NOTHING
        return html.badge(f"limit {owner.sandbox_limit}", colour="violet", symbol="tune", title=owner.limit_reason)

    @display(description="Hold")
    def cell_hold(self, owner: Owner) -> str:
        if not owner.on_hold:
            return html.NOTHING
        return html.badge("on hold", colour="red", symbol="front_hand", title=owner.hold_reason)

    @display(description="Known since")
    def cell_since(self, owner: Owner) -> str:
        return html.ago(owner.created_at)

    # the page and what can be done there

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("usage/", wrap(self.usage_view), name="sandboxes_owner_usage"),
            path("<path:object_id>/hold/", wrap(self.hold_view), name="sandboxes_owner_hold"),
            path("<path:object_id>/lift/", wrap(self.lift_view), name="sandboxes_owner_lift"),
            path("<path:object_id>/note/", wrap(self.note_view), name="sandboxes_owner_note"),
            path("<path:object_id>/limit/", wrap(self.limit_view), name="sandboxes_owner_limit"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        return self.show(request, self.owner(request, object_id))

    def owner(self, request: HttpRequest, object_id: str) -> Owner:
        found: Owner = self.readable(request, Owner.objects.all(), admin.utils.unquote(object_id))
        return found

    def show(
        self, request: HttpRequest, owner: Owner, *, limit_form: LimitForm | None = None, status: int = 200
    ) -> HttpResponse:
        rows = selectors.with_latest_operation(Sandbox.objects.filter(owner=owner))
        alive = rows.exclude(status=Status.GONE).order_by("-created_at", "id")
        return self.page(
            request,
            "sandboxes/owner.html",
            title=owner.pk,
            status=status,
            original=owner,
            owner=owner,
            cap=owners.cap_of(owner),
            rows=[_line(row) for row in alive[:ROWS]],
            policy=policies.of_owner(request, owner.pk),
            upcoming=policies.upcoming(request, hours=WEEK, owner=owner.pk),
            kinds=list(page.EVENT_ICONS),
            **noting.shown(request, owner),
            **page.timeline(request, SandboxEvent.objects.filter(sandbox__owner=owner).select_related("sandbox")),
            usage=usage_chart.chart(request, owner=owner.pk),
            limit_form=limit_form or LimitForm(initial={"limit": owner.sandbox_limit}),
            may_hold=request.user.has_perm("sandboxes.hold_owner"),
            may_limit=request.user.has_perm("sandboxes.limit_owner"),
            may_create=request.user.has_perm("sandboxes.add_sandbox"),
        )

    def usage_view(self, request: HttpRequest) -> StreamingHttpResponse:
        """GET: what was used, as a file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        return usage_chart.file(request)

    def hold_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """POST: first say which sandboxes stop, and take a reason; then hold."""
        owner = self._to_change(request, object_id, "sandboxes.hold_owner")
        if not isinstance(owner, Owner):
            return owner
        form = HoldForm(request.POST if "confirmed" in request.POST else None)
        if not form.is_valid():
            return self._ask_hold(request, owner, form)
        data = form.cleaned_data
        count = owners.hold(
            owner.pk,
            actor=actor_of(request),
            reason=data["reason"],
            public_reason=data["public_reason"],
            destroy_ephemeral=data["destroy"],
        )
        messages.success(request, f"On hold; {_many(count)}.")
        return redirect(html.owner_url(owner.pk))

    def _ask_hold(self, request: HttpRequest, owner: Owner, form: HoldForm) -> HttpResponse:
        rows = list(Sandbox.objects.filter(owner=owner).stopped_by_a_hold().order_by("name"))
        return self.page(
            request,
            "sandboxes/ask_hold.html",
            title=f"Put {owner.pk} on hold?",
            owner=owner,
            form=form,
            stopping=[row for row in rows if lifecycle.destroyed_after(row) is None],
            doomed=[row for row in rows if lifecycle.destroyed_after(row) is not None],
        )

    def lift_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        owner = self._to_change(request, object_id, "sandboxes.hold_owner")
        if not isinstance(owner, Owner):
            return owner
        owners.lift(owner.pk, actor=actor_of(request))
        messages.success(request, "The hold is lifted. What was stopped stays stopped until somebody starts it.")
        return redirect(html.owner_url(owner.pk))

    def limit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        owner = self._to_change(request, object_id, "sandboxes.limit_owner")
        if not isinstance(owner, Owner):
            return owner
        form = LimitForm(request.POST)
        if not form.is_valid():
            return self.show(request, owner, limit_form=form, status=400)
        data = form.cleaned_data
        owners.set_limit(owner.pk, data["limit"], actor=actor_of(request), reason=data["reason"])
        messages.success(request, "The limit is set.")
        return redirect(html.owner_url(owner.pk))

    def note_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if request.method == "POST":
            noting.take(request, self.owner(request, object_id))
        return redirect("admin:sandboxes_owner_change", object_id)

    def _to_change(self, request: HttpRequest, object_id: str, permission: str) -> Owner | HttpResponse:
        if request.method != "POST":
            return redirect("admin:sandboxes_owner_change", object_id)
        if not request.user.has_perm(permission):
            raise PermissionDenied
        return self.owner(request, object_id)


def _many(count: int) -> str:
    if not count:
        return "nothing had to be stopped"
    return "1 sandbox will stop" if count == 1 else f"{count} sandboxes will stop"


def _line(row: Sandbox) -> dict[str, Any]:
    active = selectors.active_of(row)
    return {"sandbox": row, "active": active, "is_moving": selectors.is_moving(row, active)}


def _counts(owner_ids: list[str]) -> dict[str, tuple[int, int]]:
    """(existing, running) of each owner."""
    rows = Sandbox.objects.filter(owner__in=owner_ids).exclude(status=Status.GONE).order_by()
    counted = rows.values("owner_id").annotate(
        all=Count("pk"), running=Count("pk", filter=Q(status=Status.RUNNING))
    )
    return {row["owner_id"]: (row["all"], row["running"]) for row in counted}
