"""Usage over time as a chart with its table, for the dashboard and an owner's page, and as a file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.http import StreamingHttpResponse
from django.urls import reverse

from sandboxes import clock
from sandboxes.admin import export
from sandboxes.core.usage import HOUR, hour_of
from sandboxes.services import usage_history, usage_roll_up
from sandboxes.services.usage_history import Period

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

    from sandboxes.core.usage import Figures

PARAMETER = "usage"
HEIGHT = 100  # of the chart, in its own units
NAMES = [
    "start", "owner", "tier", "region", "sandbox_hours", "vcpu_hours", "memory_gib_hours", "evictions", "refusals",
    "starts", "time_to_running_p50", "time_to_running_p95",
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


SPANS = {
    span.name: span
    for span in (
        Span("24h", "24 hours", 1, Period.HOUR),
        Span("7d", "7 days", 7, Period.DAY),
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


def chart(request: HttpRequest, *, owner: str = "", quota: int | None = None) -> dict[str, Any]:
    """What the template `pieces/usage.html` shows; `quota` in vCPU where it is known."""
    span = SPANS.get(request.GET.get(PARAMETER, ""), SPANS["24h"])
    now = clock.here()
    since = _first(span, now)
    rows = usage_history.between(since, now, owner or None)
    found = usage_history.by_start(rows, span.period)
    averages = {start: one.vcpu_hours / _hours(start, span, now) for start, one in found.items()}
    most = max([*averages.values(), quota or 0.0]) or 1.0
    count = span.days * (24 if span.period == Period.HOUR else 1)
    bars = [
        Bar(
            start, one, round(averages[start], 2), x=round((start - since) / span.step * 100 / count, 3),
            width=round(80 / count, 3), height=round(HEIGHT * averages[start] / most, 2),
        )
        for start, one in found.items()
    ]  # fmt: skip
    files = {name: _file(span, owner, name) for name in export.FORMATS}
    return {
        "span": span, "spans": list(SPANS.values()), "bars": bars, "most": most, "since": since,
        "total": usage_history.total(rows), "known_until": usage_roll_up.rolled_up_until(), "files": files,
        "quota": quota, "quota_y": HEIGHT - HEIGHT * (quota or 0) / most, "by_hour": span.period == Period.HOUR,
    }  # fmt: skip


def _first(span: Span, now: datetime) -> datetime:
    """The beginning of the first bar: the last one is the present hour, or day."""
    present = now.astimezone(UTC)
    last = hour_of(present) if span.period == Period.HOUR else hour_of(present).replace(hour=0)
    return last + span.step - timedelta(days=span.days)


def _hours(start: datetime, span: Span, now: datetime) -> float:
    """How long a bar's time has lasted by now."""
    return max((min(start + span.step, now) - start) / HOUR, 1 / 60)


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
    rows = usage_history.between(_first(span, now), now, request.GET.get("owner") or None)
    content_type, written = export.FORMATS[asked]
    headers = {"Content-Disposition": f'attachment; filename="usage-{span.name}.{asked}"'}
    return StreamingHttpResponse(
        written(NAMES, _lines(rows, span.period)), content_type=content_type, headers=headers
    )


def _lines(rows: Any, period: Period) -> Iterator[dict[str, Any]]:
    for line in usage_history.lines(rows, period):
        used = line.figures
        values = (
            line.start, line.owner, line.tier, line.region, used.sandbox_hours, used.vcpu_hours,
            used.memory_gib_hours, used.evictions, used.refusals, used.starts, used.p50, used.p95,
        )  # fmt: skip
        yield dict(zip(NAMES, values, strict=True))
