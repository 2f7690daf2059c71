"""What was used in which time, by the roll-ups of each hour. Reads only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import F, Max, Q, QuerySet, Sum
from django.db.models.functions import TruncDay, TruncMonth

from sandboxes.core.usage import QUOTA_OF, Figures, Measure, ToldQuota, figures
from sandboxes.models import UsageHour

if TYPE_CHECKING:
    from collections.abc import Iterator

NUMBERS = ("measure", "bound", "total")


class Period(StrEnum):
    """What usage is summed over; days and months are those of UTC."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class UsageLine:
    """The figures of an owner's sandboxes of one tier and region in the period that begins at `start`."""

    start: datetime
    owner: str
    tier: str
    region: str
    figures: Figures


class Series(NamedTuple):
    """The figures of each period in which there is anything, those of all of it, and the regions that have any."""

    by_start: dict[datetime, Figures]
    total: Figures
    regions: list[str]


def between(since: datetime, until: datetime, owner: str | None = None) -> QuerySet[UsageHour]:
    """The numbers of the hours that begin in that time, of one owner or of all."""
    rows = UsageHour.objects.filter(hour__gte=since, hour__lt=until)
    return rows.exclude(owner="") if owner is None else rows.filter(owner=owner)


def quotas(since: datetime, until: datetime) -> list[ToldQuota]:
    """Those last known when that time began, then what was told in it, in the order of time."""
    told = UsageHour.objects.filter(owner="", measure__in=QUOTA_OF.values()).order_by()
    latest = told.filter(hour__lt=since).values_list("region", "tier", "measure").annotate(Max("hour"))
    known = {tuple(kind): hour for *kind, hour in latest}
    rows = told.filter(Q(hour__gte=since, hour__lt=until) | Q(hour__in=set(known.values()))).order_by("hour")
    return [
        ToldQuota(
            start=row.hour, region=row.region, sandbox_class=row.tier, measure=Measure(row.measure), limit=row.value
        )
        for row in rows
        if row.hour >= since or known.get((row.region, row.tier, row.measure)) == row.hour
    ]


def total(rows: QuerySet[UsageHour]) -> Figures:
    return figures(_summed(rows.values(*NUMBERS[:2])))


def in_month(owner: str, month: datetime) -> Figures:
    """What an owner's sandboxes used in the month (of UTC) that this moment lies in."""
    first = month.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return total(between(first, following, owner))


def series(rows: QuerySet[UsageHour], period: Period, *, region: str = "") -> Series:
    """Of one region, where it has anything, or of all. The regions are known with their figures: one read."""
    summed = list(_summed(rows.values("measure", "bound", "region", start=_START[period]), "start", "region"))
    regions = sorted({line[1] for line in summed})
    if region in regions:
        summed = [line for line in summed if not region or line[1] == region]
    by_start = groupby(summed, key=lambda line: line[0])
    found = {start: figures(line[2:] for line in lines) for start, lines in by_start}
    return Series(found, figures(line[2:] for line in summed), regions)


def owners_of(rows: QuerySet[UsageHour], *, after: str, limit: int) -> list[str]:
    """The next owners, in the order of their ids."""
    following = rows.filter(owner__gt=after).order_by("owner").values_list("owner", flat=True)
    return list(following.distinct()[:limit])


def lines(rows: QuerySet[UsageHour], period: Period) -> Iterator[UsageLine]:
    """By owner, then by time, tier and region."""
    group = ("owner", "start", "tier", "region")
    summed = _summed(rows.values("measure", "bound", "owner", "tier", "region", start=_START[period]), *group)
    for (owner, start, tier, region), found in groupby(summed.iterator(2000), key=lambda line: line[:4]):
        yield UsageLine(start, owner, tier, region, figures(line[4:] for line in found))


_START: dict[Period, Any] = {
    Period.HOUR: F("hour"),
    Period.DAY: TruncDay("hour", tzinfo=UTC),
    Period.MONTH: TruncMonth("hour", tzinfo=UTC),
}


def _summed(rows: QuerySet[UsageHour, Any], *group: str) -> QuerySet[UsageHour, Any]:
    """Without a cursor PostgreSQL may share the summing among its processes."""
    return rows.order_by(*group).annotate(total=Sum("value")).values_list(*group, *NUMBERS)
