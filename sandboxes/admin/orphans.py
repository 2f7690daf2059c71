"""Orphans: what Daytona has and we do not, to be adopted, deleted in Daytona, or ignored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from unfold.decorators import display

from sandboxes import html
from sandboxes.admin import filters
from sandboxes.admin.choosing import CHOSEN
from sandboxes.admin.fields import FormText, OwnerId
from sandboxes.admin.paging import IDS
from sandboxes.admin.read_only import Facts, ReadOnlyAdmin
from sandboxes.admin.verbs import actor_of
from sandboxes.core.codes import Refused
from sandboxes.core.vocabulary import OrphanDecision
from sandboxes.models import Orphan, Sandbox
from sandboxes.services import orphans

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse

TEXT = forms.TextInput({"class": "sk-input", "autocomplete": "off"})
PERMISSIONS = {
    OrphanDecision.ADOPT: "sandboxes.add_sandbox",
    OrphanDecision.DELETE: "sandboxes.delete_sandbox",
    OrphanDecision.IGNORE: "sandboxes.add_sandbox",
}
LOOKS = {
    OrphanDecision.ADOPT: ("adopt: by the next sweep", "blue", "add_home"),
    OrphanDecision.DELETE: ("delete: by the next sweep", "red", "delete"),
    OrphanDecision.IGNORE: ("ignored", "grey", "visibility_off"),
}


AT_MOST = 200  # at once; a page of the list has no more


class DecisionForm(forms.Form):
    owner = OwnerId(
        max_length=255,
        required=False,
        widget=TEXT,
        help_text="Whose it is to be. Empty: by its label. Not needed to ignore it.",
    )
    reason = FormText(max_length=300, widget=TEXT, error_messages={"required": "Say why: the audit log keeps it."})


class KindFilter(filters.ChipFilter):
    """What is ignored is hidden until it is asked for."""

    title = "which"
    parameter_name = "which"

    CHOICES: ClassVar[dict[str, tuple[str, Q]]] = {
        "owned": ("with an owner", ~Q(owner="") & ~Q(decision=OrphanDecision.IGNORE)),
        "foreign": ("somebody else's", Q(owner="") & ~Q(decision=OrphanDecision.IGNORE)),
        "ignored": ("ignored", Q(decision=OrphanDecision.IGNORE)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, label) for name, (label, _) in self.CHOICES.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Orphan]) -> QuerySet[Orphan]:
        _, condition = self.CHOICES.get(str(self.value()), ("", ~Q(decision=OrphanDecision.IGNORE)))
        return queryset.filter(condition)


@admin.register(Orphan)
class OrphanAdmin(ReadOnlyAdmin):
    list_display = ("cell_name", "cell_owner", "cell_state", "cell_size", "cell_age", "cell_decision")
    list_filter = (KindFilter, filters.OwnerFilter)
    ordering = ("-first_seen_at", "daytona_id")
    nothing_yet = "Every sandbox that the latest sweep saw in Daytona has a row here, or is ignored."

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """They are what sweeps find."""
        return bool(request.user.has_perm("sandboxes.view_sweep"))

    @display(description="In Daytona")
    def cell_name(self, row: Orphan) -> str:
        return html.stack(
            format_html('<span class="sk-strong sk-name">{}</span>', row),
            format_html('<span class="sk-small sk-faint sk-mono">{}</span>', row.daytona_id),
        )

    @display(description="Owner")
    def cell_owner(self, row: Orphan) -> str:
        if not row.owner:
            return html.badge("somebody else's", colour="grey", symbol="help", title="It has no owner's label.")
        return format_html('<span class="sk-name">{}</span>', row.owner)

    @display(description="State")
    def cell_state(self, row: Orphan) -> str:
        return row.state or html.NOTHING

    @display(description="Takes of the quota")
    def cell_size(self, row: Orphan) -> str:
        return size_of(row)

    @display(description="Created")
    def cell_age(self, row: Orphan) -> str:
        return html.ago(row.created_at) if row.created_at else html.NOTHING

    @display(description="Decision")
    def cell_decision(self, row: Orphan) -> str:
        return decision_of(row)

    def get_actions(self, request: HttpRequest, **location: Any) -> dict[str, Any]:
        """A user who may decide nothing sees no checkboxes."""
        return {"decide": (from_list, "decide", "Decide")} if allowed(request) else {}

    # the page of one, what several are asked for, and what became of them

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("decide/", wrap(self.decide_view), name="sandboxes_orphan_decide"),
            path("decided/", wrap(self.decided_view), name="sandboxes_orphan_decided"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.readable(request, Orphan.objects.all(), admin.utils.unquote(object_id))
        return self._show(request, [row], DecisionForm(initial={"owner": row.adopt_for}))

    def _show(
        self, request: HttpRequest, rows: list[Orphan], form: DecisionForm, status: int = 200
    ) -> HttpResponse:
        one = rows[0] if len(rows) == 1 else None
        return self.page(
            request,
            "sandboxes/orphan.html",
            title=str(one) if one else f"Decide about {len(rows)} orphans",
            status=status,
            rows=[] if one else [(row, size_of(row)) for row in rows],
            keys=[row.pk for row in rows],
            facts=[*self.facts(one), ("Decision", decision_of(one))] if one else [],
            is_decided=any(row.decision for row in rows),
            form=form,
            allowed=allowed(request),
        )

    def left_out(self, row: Orphan) -> Iterable[str]:
        decided = () if row.decision else ("decided_by", "decided_at", "reason", "adopt_for")
        return ("decision", "cpu", "memory_gb", "disk_gb", "message", *decided)

    def facts(self, row: Any) -> Facts:
        return [*super().facts(row), ("Takes of the quota", size_of(row))]

    def decide_view(self, request: HttpRequest) -> HttpResponse:
        """POST: ask what is to become of the chosen ones; with a decision, note it for each."""
        keys = request.POST.getlist(CHOSEN)[:AT_MOST]
        rows = list(Orphan.objects.filter(pk__in=keys).order_by("name", "pk"))
        if request.method != "POST" or not rows:
            if keys:
                messages.warning(request, "None of them is an orphan any more.")
            return redirect("admin:sandboxes_orphan_changelist")
        wanted = request.POST.get("decision")
        decision = next((one for one in OrphanDecision if one == wanted), None)
        if not request.user.has_perm(PERMISSIONS[decision or OrphanDecision.ADOPT]):
            raise PermissionDenied
        if wanted is None:
            return self._show(request, rows, DecisionForm())
        form = DecisionForm(request.POST)
        if decision is not None and not form.is_valid():
            return self._show(request, rows, form, 400)
        return self._decide(request, rows, decision, form)

    def _decide(
        self, request: HttpRequest, rows: list[Orphan], decision: OrphanDecision | None, form: DecisionForm
    ) -> HttpResponse:
        data = form.cleaned_data if decision is not None else {}
        refused: list[tuple[Orphan, str]] = []
        for row in rows:
            try:
                orphans.decide(row.pk, decision, actor=actor_of(request), **data)
            except Refused as error:
                refused.append((row, error.detail))
        if len(refused) == len(rows):
            form.add_error("owner", refused[0][1])
            return self._show(request, rows, form, 400)
        for row, why in refused:
            messages.warning(request, f"{row}: {why}")
        messages.success(request, said(decision))
        asked = urlencode([(IDS, row.pk) for row in rows])
        return redirect(f"{reverse('admin:sandboxes_orphan_decided')}?{asked}")

    def decided_view(self, request: HttpRequest) -> HttpResponse:
        """What has become of each, whoever decided; it follows the sweeps."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        keys = list(dict.fromkeys(request.GET.getlist(IDS)[:AT_MOST]))
        found = Orphan.objects.in_bulk(keys)
        adopted = {row.daytona_id: row for row in Sandbox.objects.filter(daytona_id__in=keys)}
        may_open = request.user.has_perm("sandboxes.view_sandbox")
        lines = [DecidedOrphan(key, found.get(key), adopted.get(key) if may_open else None) for key in keys]
        return self.page(request, "sandboxes/orphans_decided.html", title="What became of these", lines=lines)


@dataclass(frozen=True, slots=True)
class DecidedOrphan:
    """What is known of one that was an orphan: it still is, it has a row, or Daytona has it no more."""

    key: str
    orphan: Orphan | None
    sandbox: Sandbox | None

    @property
    def decision(self) -> str:
        return decision_of(self.orphan) if self.orphan is not None else ""


def from_list(model_admin: OrphanAdmin, request: HttpRequest, queryset: Any) -> HttpResponse:
    """Django's own way to run an action: the list posted to itself."""
    return model_admin.decide_view(request)


def allowed(request: HttpRequest) -> set[str]:
    return {name.value for name, permission in PERMISSIONS.items() if request.user.has_perm(permission)}


def said(decision: OrphanDecision | None) -> str:
    if decision is None:
        return "Taken back: nothing is decided."
    if decision == OrphanDecision.IGNORE:
        return "Ignored: sweeps and imports leave it alone, and no notice counts it."
    return "Noted: the next sweep carries it out."


def decision_of(row: Orphan) -> str:
    if not row.decision:
        return html.NOTHING
    label, colour, symbol = LOOKS[OrphanDecision(row.decision)]
    badge = html.badge(label, colour=colour, symbol=symbol, title=row.reason)
    why = format_html('<span class="sk-small sk-bad">{}</span>', row.message) if row.message else ""
    assert row.decided_at is not None
    who = format_html('<span class="sk-small sk-faint">{}, {}</span>', row.decided_by, html.ago(row.decided_at))
    return html.stack(badge, who, why)


def size_of(row: Orphan) -> str:
    sizes = ((row.cpu, "vCPU"), (row.memory_gb, "GiB"), (row.disk_gb, "GiB disk"))
    return ", ".join(f"{size} {unit}" for size, unit in sizes if size is not None) or html.NOTHING
