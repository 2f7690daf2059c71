"""The numbers of the dashboard, each with the list that it counts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.db.models import Count, Sum
from django.db.models.functions import TruncHour
from django.urls import reverse

from sandboxes import clock, html
from sandboxes.admin import usage_chart
from sandboxes.admin.read_only import worker_badge
from sandboxes.core.usage import QUOTA_OF, last_known
from sandboxes.core.vocabulary import TO_RUNNING, Actor, EventKind, OperationStatus, Status
from sandboxes.models import ConvexProjection, Operation, Sandbox, SandboxEvent, Sweep, WorkerHeartbeat
from sandboxes.models.counting import numbers_by_status
from sandboxes.services import projection, usage, usage_history

if TYPE_CHECKING:
    from django.http import HttpRequest

HOURS = 24
SAMPLE = 2000  # starts whose times are sorted for the percentiles
TOP = 8
ALWAYS_COUNTED = ("listed", "looked_at", "drift", "missing", "orphan")  # of a sweep: nothing found is an answer

CHART: dict[str, Any] = {
    "maintainAspectRatio": False,
    "animation": False,
    "barThickness": 14,
    "scales": {
        "x": {"stacked": True, "grid": {"display": False}, "ticks": {"maxRotation": 0}},
        "y": {"stacked": True, "beginAtZero": True, "ticks": {"precision": 0}},
    },
    "plugins": {"legend": {"display": True, "position": "bottom", "labels": {"boxWidth": 12}}},
}


@dataclass(frozen=True, slots=True)
class Tile:
    title: str
    number: str
    note: str
    url: str
    tone: str = ""


def context(request: HttpRequest, frame: dict[str, Any]) -> dict[str, Any]:
    """Unfold calls this for the index page."""
    if not request.user.has_perm("sandboxes.view_sandbox"):
        return {**frame, "may_view": False}
    now = clock.here()
    counts = numbers_by_status()
    quota = last_quota(now)
    may_view_usage = request.user.has_perm("sandboxes.view_owner")
    workers = WorkerHeartbeat.objects.order_by("stopped_at", "-beat_at")[:TOP]
    return {
        **frame,
        "title": "Dashboard",
        "may_view": True,
        "is_empty": not any(number.value for number in counts.values()),
        "statuses": [
            (status, html.status_badge(status), counts[status], listed(status=status)) for status in Status
        ],
        "tiles": [time_to_running(now), oldest_in_progress(), stuck(now), failures(now), convex_lag(now)],
        "quotas": in_use(now),
        "quota": quota,
        "usage": usage_chart.chart(request) if may_view_usage else None,
        "refusal": usage.last_refusal(Actor.staff(request.user.get_username())),
        "chart": json.dumps(per_hour(now)),
        "chart_options": json.dumps(CHART),
        "sweep": last_sweep(),
        "workers": [(row, worker_badge(row)) for row in workers],
        "owners": top_owners(),
    }


def listed(**filters: str) -> str:
    return f"{reverse('admin:sandboxes_sandbox_changelist')}?{urlencode(filters)}"


def operations_listed(**filters: str) -> str:
    return f"{reverse('admin:sandboxes_operation_changelist')}?{urlencode(filters)}"


def time_to_running(now: datetime) -> Tile:
    """From request to running, of the creates and starts of the last day."""
    done = Operation.objects.filter(
        action__in=TO_RUNNING,
        status=OperationStatus.SUCCEEDED,
        created_at__gte=now - timedelta(hours=HOURS),
    )
    times = done.order_by("-created_at").values_list("created_at", "finished_at")[:SAMPLE]
    seconds = sorted((end - start).total_seconds() for start, end in times if end is not None)
    url = operations_listed(status="succeeded", action=",".join(TO_RUNNING), requested="day")
    if not seconds:
        return Tile("Time to running", "none", "nothing was started in the last 24 hours", url)
    high = seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))]
    note = f"median of {len(seconds)} in 24 hours; p95 {_seconds(high)}"
    return Tile("Time to running", _seconds(median(seconds)), note, url)


def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value < 60 else html.duration(value)


def oldest_in_progress() -> Tile:
    active = Operation.objects.active()
    oldest = active.select_related("sandbox").order_by("created_at").first()
    url = listed(in_progress="yes")
    if oldest is None:
        return Tile("Oldest in progress", "none", "no operation is in progress", url)
    age = (clock.here() - oldest.created_at).total_seconds()
    doing = f"{oldest.action} of {oldest.sandbox.display_name}: {oldest.step or oldest.status}"
    note = f"{doing}; {active.count()} in progress"
    return Tile("Oldest in progress", html.duration(age), note, url, "warn" if age > 600 else "")


def stuck(now: datetime) -> Tile:
    count = Sandbox.objects.stuck(now).count()
    note = "Daytona neither finishes nor fails" if count else "everything moves"
    return Tile("Stuck", str(count), note, listed(stuck="yes"), "bad" if count else "")


def in_use(now: datetime) -> list[dict[str, Any]]:
    """What is in use of each quota, beside its limits as last known."""
    told = usage_history.quotas(now, now)
    vcpu, memory = (last_known(told, measure, before=now) for measure in QUOTA_OF.values())
    rows = ((row, (row["target"], row["sandbox_class"])) for row in usage.in_use())
    return [{**row, "vcpu_limit": vcpu.get(key), "memory_limit": memory.get(key)} for row, key in rows]


def last_quota(now: datetime) -> dict[str, Any] | None:
    """The quota in Daytona's words, as it last refused a call with it, whatever came of the operation."""
    calls = SandboxEvent.objects.filter(at__gte=now - timedelta(hours=HOURS), kind=EventKind.CALL)
    refused = calls.filter(data__has_keys=["quota", "daytona_message"]).select_related("sandbox", "operation")
    call = refused.order_by("-at").first()
    if call is None or call.sandbox is None:
        return None
    return {"call": call, "region": call.sandbox.target, "said": call.data["daytona_message"].splitlines()[0]}


def failures(now: datetime) -> Tile:
    failed = Operation.objects.filter(status=OperationStatus.FAILED, created_at__gte=now - timedelta(hours=HOURS))
    codes = Counter(dict(failed.order_by().values_list("code").annotate(Count("pk"))))
    note = ", ".join(f"{count} {code}" for code, count in codes.most_common(3)) or "in the last 24 hours"
    url = operations_listed(status="failed", requested="day")
    return Tile("Failed operations", str(codes.total()), note, url, "bad" if codes else "")


def convex_lag(now: datetime) -> Tile:
    url = listed(behind="yes", status="all")
    if not projection.is_used():
        return Tile("Convex lag", "off", "Convex is not configured", url)
    behind = ConvexProjection.objects.behind().order_by("behind_since")
    times = list(behind.values_list("behind_since", flat=True)[:SAMPLE])
    if not times:
        return Tile("Convex lag", "0 s", "every sandbox is up to date", url)
    age = (now - times[0]).total_seconds()
    count = f"{len(times)}{'+' if len(times) == SAMPLE else ''}"
    return Tile("Convex lag", html.duration(age), f"{count} behind", url, "warn" if age > 60 else "")


def per_hour(now: datetime) -> dict[str, Any]:
    """Operations of the last day for Unfold's bar chart: ended well, failed, the rest."""
    first = (now - timedelta(hours=HOURS - 1)).replace(minute=0, second=0, microsecond=0)
    rows = Operation.objects.filter(created_at__gte=first).order_by()
    counted = rows.annotate(hour=TruncHour("created_at")).values_list("hour", "status").annotate(Count("pk"))
    table = {(hour, status): count for hour, status, count in counted}
    hours = [first + timedelta(hours=step) for step in range(HOURS)]
    other = [s for s in OperationStatus if s not in (OperationStatus.SUCCEEDED, OperationStatus.FAILED)]

    def series(label: str, colour: str, *wanted: str) -> dict[str, Any]:
        data = [sum(table.get((hour, status), 0) for status in wanted) for hour in hours]
        return {"label": label, "data": data, "backgroundColor": colour, "stack": "all"}

    return {
        "labels": [hour.strftime("%H:00") for hour in hours],
        "datasets": [
            series("succeeded", "var(--color-primary-600)", OperationStatus.SUCCEEDED),
            series("failed", "#dc2626", OperationStatus.FAILED),
            series("cancelled or in progress", "#9ca3af", *other),
        ],
    }


def last_sweep() -> dict[str, Any] | None:
    """The last one that has ended, and the one under way."""
    sweeps = Sweep.objects.filter(owner="").order_by("-started_at")
    under_way = sweeps.filter(result=Sweep.Result.RUNNING).first()
    sweep = sweeps.exclude(result=Sweep.Result.RUNNING).first()
    if sweep is None and under_way is None:
        return None
    return {"row": sweep, "under_way": under_way, "counts": _counts_of(sweep) if sweep else []}


def _counts_of(sweep: Sweep) -> list[tuple[str, int, str]]:
    """(name, count, where the sandboxes that are counted can be seen)."""
    found = {name: count for name, count in sweep.counts.items() if isinstance(count, int) and count}
    counts = {**dict.fromkeys(ALWAYS_COUNTED, 0), **found}
    seen_at = {
        "intent_broken": listed(drift="yes"),
        "orphan": reverse("admin:sandboxes_orphan_changelist"),
        "foreign": f"{reverse('admin:sandboxes_orphan_changelist')}?which=foreign",
        "ignored": f"{reverse('admin:sandboxes_orphan_changelist')}?which=ignored",
    }
    return [
        (name.replace("_", " "), count, seen_at.get(name, "") if count else "") for name, count in counts.items()
    ]


def top_owners() -> list[dict[str, Any]]:
    """By vCPU in use now: what the quota is spent on."""
    rows = Sandbox.objects.filter(status=Status.RUNNING).order_by()
    totals = rows.values("owner_id").annotate(running=Count("pk"), cpu=Sum("cpu"), memory=Sum("memory_gb"))
    top = list(totals.order_by("-cpu", "owner_id")[:TOP])
    most = max((row["cpu"] or 0 for row in top), default=0) or 1
    return [{**row, "share": round(100 * (row["cpu"] or 0) / most)} for row in top]
