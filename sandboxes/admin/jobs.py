"""Jobs: what was asked for many sandboxes at once, and what came of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from unfold.decorators import display

from sandboxes import html
from sandboxes.admin import selectors
from sandboxes.admin.acting import sandboxes
from sandboxes.admin.base import MirrorAdmin
from sandboxes.admin.export import FORMAT, FORMATS, streamed
from sandboxes.admin.paging import NoCountPaginator
from sandboxes.admin.remedies import remedy
from sandboxes.admin.verbs import VERBS, Verb, actor_of, obstacle
from sandboxes.core import intents
from sandboxes.core.vocabulary import ItemResult, OperationStatus
from sandboxes.models import Job, JobItem, Sandbox
from sandboxes.models.job import GROUPS
from sandboxes.services import jobs

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

    from sandboxes.admin.paging import PageChangeList
    from sandboxes.models import Operation

LINES = 100  # on a page
GROUP, PAGE = "group", "p"  # parameters
EXPORTED = [
    "sandbox_id", "name", "owner", "result", "code", "message", "operation_id", "operation__status",
    "operation__code", "operation__message", "operation__finished_at",
]  # fmt: skip
GROUP_LOOKS = {
    "waiting": ("blue", "hourglass_empty"),
    "in progress": ("blue", "pending"),
    "succeeded": ("green", "check_circle"),
    "failed": ("red", "error"),
    "skipped": ("grey", "block"),
    "cancelled": ("grey", "cancel"),
    "not known any more": ("grey", "help"),
}


@dataclass(frozen=True, slots=True)
class JobLine:
    """A row of the page: the item with the sandbox and the operation as they are now."""

    item: JobItem
    sandbox: Sandbox | None
    operation: Operation | None

    @property
    def is_pursued(self) -> bool:
        """It failed, and Sandkeeper goes on by itself with what it was for."""
        return (
            self.sandbox is not None
            and intents.has_failed(self.sandbox, self.operation)
            and (intents.is_pursued(self.sandbox) or selectors.active_of(self.sandbox) is not None)
        )

    @property
    def is_done_later(self) -> bool:
        """It failed, and what it was for came true all the same."""
        if self.sandbox is None or self.operation is None or self.operation.finished_at is None:
            return False
        met = self.sandbox.intent_met_at
        has_failed = intents.has_failed(self.sandbox, self.operation)
        return has_failed and met is not None and met >= self.operation.finished_at

    @property
    def is_moving(self) -> bool:
        if self.operation is None or self.sandbox is None:
            return self.item.result == ItemResult.WAITING
        active = selectors.active_of(self.sandbox)
        return self.is_pursued or self.operation.is_active or selectors.is_moving(self.sandbox, active)

    @property
    def outcome(self) -> str:
        if self.is_done_later:
            return OperationStatus.SUCCEEDED
        return self.operation.status if self.operation is not None else self.item.result

    @property
    def remedy(self) -> str:
        code = self.operation.code if self.operation is not None else self.item.code
        return remedy(code) if code else ""


@admin.register(Job)
class JobAdmin(MirrorAdmin):
    list_display = ("cell_what", "cell_who", "cell_state", "cell_when")
    ordering = ("-created_at", "id")
    nothing_yet = "No job yet. Choose several sandboxes in their list, or all that match, and an action."

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A job is many operations."""
        return bool(request.user.has_perm("sandboxes.view_operation"))

    # the list

    def get_changelist_instance(self, request: HttpRequest) -> PageChangeList:
        """What is left to do, for the rows of this page only."""
        changes: PageChangeList = super().get_changelist_instance(request)
        waiting = JobItem.objects.filter(job__in=changes.result_list, result=ItemResult.WAITING)
        left = dict(waiting.order_by().values_list("job").annotate(Count("pk")))
        for job in changes.result_list:
            job.left = left.get(job.pk, 0)
        return changes

    @display(description="Job")
    def cell_what(self, job: Job) -> str:
        return format_html('<span class="sk-strong">{}</span>', title_of(job))

    @display(description="Who")
    def cell_who(self, job: Job) -> str:
        reason = format_html('<span class="sk-small sk-faint sk-name">{}</span>', job.reason) if job.reason else ""
        return html.stack(job.actor_id, reason)

    @display(description="State")
    def cell_state(self, job: Any) -> str:
        return state_of(job, job.left)

    @display(description="Requested")
    def cell_when(self, job: Job) -> str:
        return html.ago(job.created_at)

    # the page

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("<uuid:object_id>/cancel/", wrap(self.cancel_view), name="sandboxes_job_cancel"),
            path("<uuid:object_id>/items/", wrap(self.items_view), name="sandboxes_job_items"),
        ]
        return own + super().get_urls()

    def job(self, request: HttpRequest, object_id: object) -> Job:
        found: Job = self.readable(request, Job.objects.all(), admin.utils.unquote(str(object_id)))
        return found

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        job = self.job(request, object_id)
        counts = job.items.counts()
        group = request.GET.get(GROUP, "")
        items = job.items.filter(GROUPS[group]) if group in GROUPS else job.items.all()
        paginator = NoCountPaginator(items.select_related("operation").order_by("pk"), LINES)
        page = paginator.get_page(request.GET.get(PAGE))
        lines = _lines(page.object_list)
        under_way = counts["waiting"] + counts["in progress"]
        return self.page(
            request,
            "sandboxes/job.html",
            title=title_of(job),
            job=job,
            verb=VERBS[job.action],
            state=state_of(job, counts["waiting"]),
            counts=counts,
            groups=_groups(job, counts),
            group=group,
            lines=lines,
            moving=under_way + sum(line.is_pursued for line in lines),
            follows=any(line.is_moving for line in lines),
            settled=job.total - under_way,
            all_address=group_address(job, ""),
            earlier=group_address(job, group, page.number - 1) if page.number > 1 else "",
            later=group_address(job, group, page.number + 1) if paginator.has_more else "",
            exports=[(name, f"{_items_address(job)}?{FORMAT}={name}") for name in FORMATS],
            list_address=selectors.list_address(job.query),
            **_what_may_be_done(request, job, lines, counts),
        )

    def items_view(self, request: HttpRequest, object_id: object) -> StreamingHttpResponse:
        job = self.job(request, object_id)
        return streamed(request, job.items.order_by("pk"), EXPORTED, title=f"job {job.pk}")

    def cancel_view(self, request: HttpRequest, object_id: object) -> HttpResponse:
        job = self.job(request, object_id)
        if request.method == "POST":
            if not request.user.has_perm(VERBS[job.action].permission):
                raise PermissionDenied
            if jobs.cancel(job.pk, actor=actor_of(request)):
                messages.success(request, "Cancelled: what was not requested yet is left alone.")
            else:
                messages.warning(request, "Nothing was left to cancel.")
        return redirect("admin:sandboxes_job_change", job.pk)


def title_of(job: Job) -> str:
    return f"{VERBS[job.action].label}: {sandboxes(job.total)}"


def state_of(job: Job, waiting: int) -> str:
    """Whether it still requests; what became of what it requested is another question."""
    if waiting:
        done = job.total - waiting
        return html.badge(f"{done:,} of {job.total:,} requested", colour="blue", symbol="pending")
    if job.cancelled_at is not None:
        return html.badge("cancelled", colour="grey", symbol="cancel")
    return html.badge("all requested", colour="green", symbol="done_all")


def group_address(job: Job, group: str, number: int = 1) -> str:
    query = {name: value for name, value in ((GROUP, group), (PAGE, number if number > 1 else "")) if value}
    address = reverse("admin:sandboxes_job_change", args=[job.pk])
    return f"{address}?{urlencode(query)}" if query else address


def _items_address(job: Job) -> str:
    return reverse("admin:sandboxes_job_items", args=[job.pk])


def _groups(job: Job, counts: dict[str, int]) -> list[tuple[str, str, int, str]]:
    """(name, badge, count, address) of the outcomes that there are."""
    return [
        (name, html.badge(name, colour=colour, symbol=symbol), counts[name], group_address(job, name))
        for name, (colour, symbol) in GROUP_LOOKS.items()
        if counts[name]
    ]


def _what_may_be_done(
    request: HttpRequest, job: Job, lines: list[JobLine], counts: dict[str, int]
) -> dict[str, Any]:
    verb = VERBS[job.action]
    may_act = request.user.has_perm(verb.permission)
    opposite = verb.opposite if job.finished_at else None
    return {
        "may_cancel": may_act and counts["waiting"] > 0,
        "may_retry": may_act and _may_be_retried(verb, lines, counts["failed"]),
        "opposite": opposite if opposite and request.user.has_perm(opposite.permission) else None,
    }


def _lines(items: Any) -> list[JobLine]:
    rows = selectors.with_latest_operation(Sandbox.objects.all())
    found = rows.in_bulk([item.sandbox_id for item in items])
    return [JobLine(item, found.get(item.sandbox_id), item.operation) for item in items]


def _may_be_retried(verb: Verb, lines: list[JobLine], failed: int) -> bool:
    """Whether anything failed for good; of those on the page it is known what stands in the way now."""
    if failed > len(lines):
        return True
    return any(
        line.outcome == OperationStatus.FAILED
        and not line.is_pursued
        and line.sandbox is not None
        and not obstacle(verb, line.sandbox, active=selectors.active_of(line.sandbox))
        for line in lines
    )
