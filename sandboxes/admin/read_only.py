"""To read, never to change: operations, events, notices, sweeps, workers."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.text import capfirst
from unfold.decorators import display

from sandboxes import clock, html
from sandboxes.admin import filters, search
from sandboxes.admin.base import MirrorAdmin
from sandboxes.admin.remedies import remedy
from sandboxes.core.codes import MEANINGS, Code
from sandboxes.core.vocabulary import Action, EventKind, OperationStatus
from sandboxes.models import Notice, Operation, SandboxEvent, Sweep, WorkerHeartbeat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.db.models import Field, Model, QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.utils.safestring import SafeString

    from sandboxes.models import DaytonaCall

Facts = list[tuple[str, object]]


class ReadOnlyAdmin(MirrorAdmin):
    """A list, and a page with every field of the row."""

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.readable(request, self.model.objects.all(), admin.utils.unquote(object_id))
        return self.page(
            request, "sandboxes/row.html", title=str(row), facts=self.facts(row), lead=self.lead(row), row=row
        )

    def lead(self, row: Any) -> str:
        return ""

    labels: ClassVar[dict[str, str]] = {}

    def facts(self, row: Model) -> Facts:
        fields = [field for field in row._meta.concrete_fields if field.name not in self.left_out(row)]
        return [(self.labels.get(field.name, str(field.verbose_name)), _shown(row, field)) for field in fields]

    def left_out(self, row: Any) -> Iterable[str]:
        """Fields that say nothing of this row, or that `facts` puts into words of its own."""
        return ()


def _call_line(call: DaytonaCall) -> SafeString:
    times = f", {call.times} times" if call.times > 1 else ""
    why = f": {call.message}" if call.message else ""
    return format_html("{}, {}{}{}", call, html.ago(call.made_at), times, why)


def _shown(row: Model, field: Field[Any, Any]) -> object:
    value = getattr(row, field.attname)
    if value in ("", None, {}, []):
        return html.NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, UUID) and not field.is_relation:
        return html.copyable(value)
    if field.choices:
        return str(value).replace("_", " ")
    if isinstance(value, datetime):
        return html.ago(value)
    if isinstance(value, dict | list):
        return format_html('<pre class="sk-mono sk-wrap">{}</pre>', json.dumps(value, indent=2, default=str))
    if field.is_relation:
        related = getattr(row, field.name)
        return _link(field, related) if admin.site.is_registered(type(related)) else str(related)
    return value


def _link(field: Any, related: Model) -> object:
    """By its name, and by its id where names are not unique."""
    meta = field.related_model._meta
    address = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[admin.utils.quote(related.pk)])
    return html.stack(
        html.link(address, related), format_html('<span class="sk-small sk-faint sk-mono">{}</span>', related.pk)
    )


class ChoiceFilter(filters.ValueFilter):
    """One column with few values that are known beforehand: no query asks for them. Several are separated by
    commas."""

    values: Iterable[str] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, value.replace("_", " ")) for value in self.values]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        return queryset.filter(**{f"{self.column}__in": str(self.value()).split(",")})


def choice(title: str, column: str, values: Iterable[str]) -> type[ChoiceFilter]:
    body = {"title": title, "parameter_name": column, "column": column, "values": tuple(values)}
    return type(f"{column.title()}Filter", (ChoiceFilter,), body)


def of_sandboxes(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Rows with the sandbox of each. Not joined: a join is made, and counted by the planner, for every row that is
    sorted before a page."""
    return rows.prefetch_related("sandbox")


@admin.register(Operation)
class OperationAdmin(ReadOnlyAdmin):
    list_display = ("cell_action", "cell_sandbox", "cell_status", "cell_who", "cell_took", "cell_when")
    list_filter = (
        choice("status", "status", OperationStatus.values),
        choice("action", "action", Action.values),
        choice("code", "code", [code.value for code in Code if MEANINGS[code].status != 401]),
        filters.period("requested", "requested", "created_at"),
    )
    search = staticmethod(search.operations)
    search_help_text = "An id, a request's id, or part of a sandbox's name or owner"
    ordering = ("-created_at", "id")
    nothing_yet = "Nothing was requested yet."

    labels: ClassVar[dict[str, str]] = {
        "actor_kind": "Requested by",
        "source": "Through",
        "caused_by": "Caused by operation",
        "intent_change": "Change of intent",
        "parameters": "Said with it",
        "search": "Search for a free place in the quota",
        "attempt": "Attempts",
        "due_at": "Next attempt",
        "attempted_at": "Last attempt",
        "deadline_runs": "Deadline is running",
        "code": "Error code",
        "created_at": "Requested",
        "started_at": "Started",
        "finished_at": "Finished",
    }

    def left_out(self, row: Operation) -> Iterable[str]:
        ended = () if row.is_active else ("deadline", "deadline_runs", "due_at", "step", "search")
        return ("actor_id", *ended)

    def facts(self, row: Model) -> Facts:
        assert isinstance(row, Operation)
        said = {
            "Requested by": f"{row.actor_kind} {row.actor_id}",
            "Status": html.operation_badge(row.status),
            "Request id": html.copyable(row.request_id) if row.request_id else html.NOTHING,
        }
        calls = [_call_line(call) for call in row.calls.order_by("id")]
        facts = [(label, said.get(capfirst(label), value)) for label, value in super().facts(row)]
        return [*facts, ("Calls to Daytona", html.stack(*calls) if calls else html.NOTHING)]

    def lead(self, row: Operation) -> str:
        if not row.code:
            return ""
        return f"{MEANINGS[Code(row.code)].title}. {remedy(row.code)}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Operation]:
        return of_sandboxes(super().get_queryset(request))

    @display(description="Operation")
    def cell_action(self, row: Operation) -> str:
        return row.get_action_display()

    @display(description="Sandbox")
    def cell_sandbox(self, row: Operation) -> str:
        return html.stack(
            html.link(html.sandbox_url(row.sandbox), row.sandbox.display_name, css="sk-plain sk-name"),
            format_html('<span class="sk-small sk-faint sk-name">{}</span>', row.sandbox.owner_id),
        )

    @display(description="Status")
    def cell_status(self, row: Operation) -> str:
        note = row.step if row.is_active else row.code
        return html.stack(
            html.operation_badge(row.status, title=row.message),
            format_html('<span class="sk-small">{}</span>', note) if note else "",
        )

    @display(description="Who")
    def cell_who(self, row: Operation) -> str:
        return html.stack(
            f"{row.actor_kind} {row.actor_id}",
            format_html('<span class="sk-small sk-faint sk-name">{}</span>', row.reason) if row.reason else "",
        )

    @display(description="Took")
    def cell_took(self, row: Operation) -> str:
        return html.since(row.created_at) if row.is_active else html.between(row.created_at, row.finished_at)

    @display(description="Requested")
    def cell_when(self, row: Operation) -> str:
        return html.ago(row.created_at)


@admin.register(SandboxEvent)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("cell_when", "cell_sandbox", "cell_owner", "kind", "cell_text", "cell_actor")
    list_filter = (
        filters.ActorFilter,
        choice("kind", "kind", EventKind.values),
        filters.CauseFilter,
        filters.period("when", "at", "at"),
    )
    search = staticmethod(search.events)
    search_help_text = "Part of a sandbox's name or owner, an id, or a request's id"
    ordering = ("-at", "-id")
    labels: ClassVar[dict[str, str]] = {
        "seq": "Place in the feed", "at": "When", "data": "Details", "changes": "What changed of the sandbox",
    }  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[SandboxEvent]:
        return of_sandboxes(super().get_queryset(request))

    @display(description="When")
    def cell_when(self, row: SandboxEvent) -> str:
        return html.ago(row.at)

    @display(description="Sandbox")
    def cell_sandbox(self, row: SandboxEvent) -> str:
        if row.sandbox is None:
            return str(row.data.get("sandbox", ""))  # it has no page any more
        return html.link(html.sandbox_url(row.sandbox), row.sandbox.display_name, css="sk-plain sk-name")

    @display(description="Owner")
    def cell_owner(self, row: SandboxEvent) -> str:
        return (
            html.link(html.owner_url(row.owner), row.owner, css="sk-plain sk-name") if row.owner else html.NOTHING
        )

    @display(description="What happened")
    def cell_text(self, row: SandboxEvent) -> str:
        said = [row.data.get(name) for name in ("reason", "daytona_message", "message")]
        return html.stack(
            row.text, *(format_html('<span class="sk-small sk-faint">{}</span>', one) for one in said if one)
        )

    @display(description="Actor")
    def cell_actor(self, row: SandboxEvent) -> str:
        return (
            html.link(f"?actor={quote(row.actor)}", row.actor, css="sk-plain sk-name")
            if row.actor
            else html.NOTHING
        )


class OpenFilter(filters.ChipFilter):
    title = "open"
    parameter_name = "open"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Notice]) -> QuerySet[Notice]:
        return queryset if self.value() is None else queryset.filter(closed_at__isnull=self.value() == "yes")


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    list_display = ("code", "cell_state", "cell_message", "count", "cell_first", "cell_last")
    list_filter = (OpenFilter,)
    ordering = ("-last_seen_at",)
    nothing_yet = "All is well: nothing that staff must know."
    labels: ClassVar[dict[str, str]] = {
        "first_seen_at": "First seen", "last_seen_at": "Last seen", "count": "Times seen", "closed_at": "Closed",
    }  # fmt: skip

    def lead(self, row: Notice) -> str:
        return row.remedy

    @display(description="State")
    def cell_state(self, row: Notice) -> str:
        if row.closed_at is None:
            return html.badge("open", colour="amber", symbol="warning")
        return html.badge("closed", colour="grey", symbol="check")

    @display(description="Message")
    def cell_message(self, row: Notice) -> str:
        return format_html(
            '<span class="sk-wrap">{}<br><span class="sk-faint">{}</span></span>',
            row.message,
            html.marked(row.remedy),
        )

    @display(description="First seen")
    def cell_first(self, row: Notice) -> str:
        return html.ago(row.first_seen_at)

    @display(description="Last seen")
    def cell_last(self, row: Notice) -> str:
        return html.ago(row.last_seen_at)


SWEEP_LOOKS = {
    Sweep.Result.RUNNING: ("blue", "pending"),
    Sweep.Result.COMPLETE: ("green", "check_circle"),
    Sweep.Result.PARTIAL: ("amber", "rule"),
    Sweep.Result.REFUSED: ("red", "error"),
}


@admin.register(Sweep)
class SweepAdmin(ReadOnlyAdmin):
    list_display = ("cell_when", "cell_result", "cell_took", "cell_counts", "cell_dry", "host")
    list_filter = (choice("result", "result", Sweep.Result.values),)
    ordering = ("-started_at",)
    nothing_yet = "No sweep has run. Start one with manage.py reconcile_sandboxes, by cron or with --every 30."
    labels: ClassVar[dict[str, str]] = {
        "started_at": "Started",
        "finished_at": "Finished",
        "owner": "For one owner",
    }

    @display(description="Started")
    def cell_when(self, row: Sweep) -> str:
        return html.ago(row.started_at)

    @display(description="Result")
    def cell_result(self, row: Sweep) -> str:
        colour, symbol = SWEEP_LOOKS[Sweep.Result(row.result)]
        return html.badge(row.result, colour=colour, symbol=symbol, title=row.detail)

    @display(description="Took")
    def cell_took(self, row: Sweep) -> str:
        return html.between(row.started_at, row.finished_at)

    @display(description="Found")
    def cell_counts(self, row: Sweep) -> str:
        found = [f"{name} {count}" for name, count in row.counts.items() if isinstance(count, int) and count]
        return ", ".join(found) or "nothing"

    @display(description="Dry run")
    def cell_dry(self, row: Sweep) -> str:
        return html.badge("dry run", colour="grey", symbol="visibility") if row.dry_run else html.NOTHING


@admin.register(WorkerHeartbeat)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("worker_id", "role", "cell_state", "host", "pid", "places", "cell_started", "cell_beat")
    ordering = ("-beat_at",)
    nothing_yet = "No worker has been seen. Nothing moves without one: start manage.py run_worker."
    labels: ClassVar[dict[str, str]] = {
        "pid": "Process", "started_at": "Started", "beat_at": "Last heartbeat", "stopped_at": "Stopped",
        "counters": "Calls made (number, seconds)",
    }  # fmt: skip

    @display(description="State")
    def cell_state(self, row: WorkerHeartbeat) -> str:
        return worker_badge(row)

    @display(description="Started")
    def cell_started(self, row: WorkerHeartbeat) -> str:
        return html.ago(row.started_at)

    @display(description="Last heartbeat")
    def cell_beat(self, row: WorkerHeartbeat) -> str:
        return html.ago(row.beat_at)


def worker_badge(row: WorkerHeartbeat) -> str:
    if row.stopped_at is not None:
        return html.badge("stopped", colour="grey", symbol="stop_circle")
    if (clock.here() - row.beat_at).total_seconds() > settings.WORKER_SILENT_SECONDS:
        return html.badge("silent", colour="red", symbol="heart_broken")
    return html.badge("at work", colour="green", symbol="favorite")
