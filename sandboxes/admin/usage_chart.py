"""Usage over time as a chart with its table, for the dashboard and an owner's page, and as a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.http import StreamingHttpResponse
from django.urls import reverse

from sandboxes import clock
from sandboxes.admin import export
from sandboxes.core.usage import HOUR, Measure, hour_of, last_known
from sandboxes.services import usage_history, usage_roll_up
from sandboxes.services.usage_history import Period

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

    from sandboxes.core.usage import Figures, ToldQuota

PARAMETER, REGION = "usage", "usage_region"
HEIGHT = 100  # of the chart, in its own units
NAMES = [
    "start", "owner", "tier", "region", "sandbox_hours", "vcpu_hours", "memory_gib_hours", "evictions", "refusals",
    "starts", "time_to_running_p50", "time_to_running_p95", "vcpu_quota_of_region",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """A time that can be looked at, and what a bar of it stands for."""

    name: str
    title: str
    days: int
    period: Period

    @property
    def step(self) -> timedelta:
        return HOUR if self.period == Period.HOUR else timedelta(days=1)

    @property
    def count(self) -> int:
        return timedelta(days=self.days) // self.step


SPANS = {
    span.name: span
    for span in (
        Span("24h", "24 hours", 1, Period.HOUR),
        Span("7d", "7 days", 7, Period.HOUR),
        Span("90d", "90 days", 90, Period.DAY),
    )
}


@dataclass(frozen=True, slots=True)
class Bar:
    """What was used from `start` on; `vcpu` on average. `x`, `y`, `width` and `height` are of the chart."""

    start: datetime
    figures: Figures
    vcpu: float
    x: float
    width: float
    height: float

    @property
    def y(self) -> float:
        return HEIGHT - self.height


def chart(request: HttpRequest, *, owner: str = "") -> dict[str, Any]:
    """What the template `pieces/usage.html` shows: of one region or of all."""
    span = SPANS.get(request.GET.get(PARAMETER, ""), SPANS["24h"])
    now, known_until = clock.here(), usage_roll_up.rolled_up_until()
    since = _first(span, now)
    asked = request.GET.get(REGION, "")
    rows = usage_history.between(since, now, owner or None)
    found, total, regions = usage_history.series(rows, span.period, region=asked)
    region = asked if asked in regions else ""
    shown = [region] if region else regions
    averages = {start: one.vcpu_hours / _hours(start, span, known_until or now) for start, one in found.items()}
    told = [one for one in usage_history.quotas(since, now) if one.region in shown]
    # An owner's share of what all have together would be a line far above their bars.
    limits = [] if owner else _limits(told, shown, since, span)
    most = max([*averages.values(), *(limit for limit in limits if limit)], default=0.0) or 1.0
    return {
        "span": span, "spans": list(SPANS.values()), "most": most, "since": since,
        "bars": [_bar(start, one, averages[start], since, span, most) for start, one in found.items()],
        "region": region, "regions": regions,
        "total": total, "known_until": known_until, "by_hour": span.period == Period.HOUR,
        "files": {name: _file(span, owner, name) for name in export.FORMATS},
        "quotas": sorted(last_known(told, Measure.VCPU_QUOTA, before=now).items()), "line": _line(limits, most),
    }  # fmt: skip


def _bar(start: datetime, figures: Figures, vcpu: float, since: datetime, span: Span, most: float) -> Bar:
    return Bar(
        start, figures, round(vcpu, 2), x=round((start - since) / span.step * 100 / span.count, 3),
        width=round(80 / span.count, 3), height=round(HEIGHT * vcpu / most, 2),
    )  # fmt: skip


def _limits(told: list[ToldQuota], regions: list[str], since: datetime, span: Span) -> list[int | None]:
    """The vCPU of these regions' quotas together, as last known in each bar's time; None where one is not known."""
    limits: list[int | None] = []
    for place in range(span.count):
        known = last_known(told, Measure.VCPU_QUOTA, before=since + span.step * (place + 1))
        is_whole = bool(known) and {region for region, _ in known}.issuperset(regions)
        limits.append(sum(known.values()) if is_whole else None)
    return limits


def _line(limits: list[int | None], most: float) -> str:
    """The path of an SVG: a step where the quota changed."""
    path, before = "", None
    for place, limit in enumerate(limits):
        if limit is not None:
            y = HEIGHT - HEIGHT * limit / most
            begins = f"M{place * 100 / len(limits):.3f} {y:.2f}" if before is None else f"V{y:.2f}"
            path += f"{begins}H{(place + 1) * 100 / len(limits):.3f}"
        before = limit
    return path


def _first(span: Span, now: datetime) -> datetime:
    """The beginning of the first bar: the last one is the present hour, or day."""
    present = now.astimezone(UTC)
    last = hour_of(present) if span.period == Period.HOUR else hour_of(present).replace(hour=0)
    return last + span.step - timedelta(days=span.days)


def _hours(start: datetime, span: Span, known_until: datetime) -> float:
    """How much of a bar's time is known."""
    return max((min(start + span.step, known_until) - start) / HOUR, 1 / 60)


def _file(span: Span, owner: str, name: str) -> str:
    asked = {PARAMETER: span.name, export.FORMAT: name} | ({"owner": owner} if owner else {})
    return f"{reverse('admin:sandboxes_owner_usage')}?{urlencode(asked)}"


def file(request: HttpRequest) -> StreamingHttpResponse:
    """GET: every line of the chart's time, by owner, tier and region, as CSV or JSON lines."""
    asked = request.GET.get(export.FORMAT, "csv")
    span = SPANS.get(request.GET.get(PARAMETER, "24h"))
    if asked not in export.FORMATS or span is None:
        raise BadRequest(f"There are {', '.join(SPANS)}, as {' and '.join(export.FORMATS)}.")
    now = clock.here()
    since = _first(span, now)
    rows = usage_history.between(since, now, request.GET.get("owner") or None)
    content_type, written = export.FORMATS[asked]
    headers = {"Content-Disposition": f'attachment; filename="usage-{span.name}.{asked}"'}
    lines = _lines(rows, span, usage_history.quotas(since, now))
    return StreamingHttpResponse(written(NAMES, lines), content_type=content_type, headers=headers)


def _lines(rows: Any, span: Span, told: list[ToldQuota]) -> Iterator[dict[str, Any]]:
    @cache
    def limit(region: str, start: datetime) -> int | None:
        of_region = [one for one in told if one.region == region]
        known = last_known(of_region, Measure.VCPU_QUOTA, before=start + span.step)
        return sum(known.values()) if known else None

    for line in usage_history.lines(rows, span.period):
        used = line.figures
        values = (
            line.start, line.owner, line.tier, line.region, used.sandbox_hours, used.vcpu_hours,
            used.memory_gib_hours, used.evictions, used.refusals, used.starts, used.p50, used.p95,
            limit(line.region, line.start),
        )  # fmt: skip
        yield dict(zip(NAMES, values, strict=True))
