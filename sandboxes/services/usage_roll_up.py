"""Roll usage up by the hour, from the events of sandboxes and from operations.

Each change of a sandbox's state or size is an event, so what it used follows from its events. A roll-up writes all
hours from its beginning on anew: it may be repeated, and one that was broken off is made good by the next.
"""

from __future__ import annotations

import os
import socket
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import Count, Min, OuterRef, QuerySet, Subquery
from django.db.models.functions import TruncHour

from sandboxes import clock
from sandboxes.core import usage
from sandboxes.core.codes import FOR_LACK_OF_ROOM, Code, Refused
from sandboxes.core.states import COMPUTE_STATES
from sandboxes.core.usage import HOUR, NOTHING, Measure, SandboxUse, bound_of, hour_of, used
from sandboxes.core.vocabulary import TO_RUNNING, EventKind, OperationStatus, Source
from sandboxes.models import Operation, Sandbox, SandboxEvent, Schedule, UsageHour
from sandboxes.services import leases, schedules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from uuid import UUID

NAME = "usage"
EVERY = 300.0  # seconds between two of a sweep's
CHUNK = 500
DAY = timedelta(days=1)
LEASE_SECONDS = 120.0
KEPT = ("events", "operations", "tombstones")  # what a roll-up is made from
CHANGES = ("observed_state", "deleted_at", "resources")

Key = tuple[datetime, str, str, str, Measure, int]  # hour, owner, tier, region, measure, bound


class RollUpUnderWay(Exception):
    """Another roll-up is under way; the text says whose."""


@dataclass(frozen=True, slots=True)
class RolledUp:
    """`numbers` were written for the hours from `since` on, the last one up to `until`."""

    since: datetime
    until: datetime
    numbers: int


def earliest() -> datetime:
    """The first hour of which all is still there that a roll-up is made from.

    Not before the first event: where the retention was made longer, hours are known that no event is left of.
    """
    days = min(settings.RETENTION_DAYS[name] for name in KEPT)
    kept_from = hour_of(clock.now() - timedelta(days=days)) + HOUR
    first = SandboxEvent.objects.aggregate(first=Min("at"))["first"]
    return max(kept_from, hour_of(first)) if first else kept_from


def rolled_up_until() -> datetime | None:
    """Up to when usage is known."""
    result = Schedule.objects.filter(name=NAME).values_list("result", flat=True).first() or {}
    return datetime.fromisoformat(result["until"]) if "until" in result else None


def when_due(beat: Callable[[], None]) -> None:
    """Roll up what is new, by any process: from an hour before the last time, for what committed late."""

    def carry_out() -> bool:
        last = rolled_up_until()
        try:
            roll_up(max(earliest(), hour_of(last) - HOUR) if last else earliest(), beat=beat)
        except RollUpUnderWay:
            return False
        return True

    schedules.when_due(NAME, carry_out, every=EVERY)


def roll_up(since: datetime, *, beat: Callable[[], None] = lambda: None) -> RolledUp:
    """Write every hour from the one of `since` on anew. `beat` is called now and then and may raise to end it.

    Raises:
        Refused: INVALID_REQUEST for a time of which not all is kept.
        RollUpUnderWay: one at a time.
    """
    first = hour_of(since)
    if first < earliest():
        why = f"What usage is made from is kept from {earliest():%Y-%m-%d %H:%M} UTC on: begin there, or later."
        raise Refused(Code.INVALID_REQUEST, why)
    held = leases.take(NAME, holder=f"{socket.gethostname()}, process {os.getpid()}", seconds=LEASE_SECONDS)
    if held is None:
        taker = leases.holder_of(NAME)
        raise RollUpUnderWay(f"it is under way: {taker.holder if taker else 'another one has just ended'}")

    def go_on() -> None:
        beat()
        if not leases.renew(held, seconds=LEASE_SECONDS):
            raise RollUpUnderWay("another one has taken over")

    try:
        until = clock.now()
        numbers = _write(_of_time(first, until), usage.OF_TIME, since=first, now=until, beat=go_on)
        numbers += _write(_of_operations(first, until), usage.OF_OPERATIONS, since=first, now=until, beat=go_on)
        numbers += _write([_of_quotas(first, until)], usage.QUOTA_OF.values(), since=first, now=until, beat=go_on)
        Schedule.objects.update_or_create(name=NAME, defaults={"result": {"until": until.isoformat()}})
    finally:
        leases.release(held)
    return RolledUp(first, until, numbers)


def _write(
    parts: Iterable[Mapping[Key, float]],
    measures: Iterable[Measure],
    *,
    since: datetime,
    now: datetime,
    beat: Callable[[], None],
) -> int:
    """Insert or replace the numbers, part by part; what was there and is no longer so goes at the end."""
    written = 0
    for part in parts:
        beat()
        rows = [
            UsageHour(
                hour=hour, owner=owner, tier=tier, region=region, measure=measure, bound=bound, value=round(value),
                rolled_up_at=now,
            )
            for (hour, owner, tier, region, measure, bound), value in part.items()
        ]  # fmt: skip
        UsageHour.objects.bulk_create(
            rows,
            batch_size=CHUNK,
            update_conflicts=True,
            unique_fields=["owner", "hour", "measure", "tier", "region", "bound"],
            update_fields=["value", "rolled_up_at"],
        )
        written += len(rows)
    UsageHour.objects.filter(hour__gte=since, measure__in=measures, rolled_up_at__lt=now).delete()
    return written


# what sandboxes used


def _of_time(since: datetime, until: datetime) -> Iterator[dict[Key, float]]:
    """Owner by owner, so that no number of a part comes again in another."""
    sums: dict[Key, float] = defaultdict(float)
    for ids in _chunks(_ran(since).iterator(CHUNK)):
        rows = list(Sandbox.objects.filter(pk__in=ids).order_by("owner_id", "pk"))
        events = _events(ids, since)
        before = _before([pk for pk in ids if pk in events], since)
        for row in rows:
            start = before.get(row.pk, NOTHING) if row.pk in events else _as_it_is(row)
            for hour, measure, seconds in used(start, events.get(row.pk, ()), since=since, until=until):
                sums[hour, row.owner_id, row.resource_tier, row.target, measure, 0] += seconds
        last = rows[-1].owner_id if rows else ""
        yield {key: value for key, value in sums.items() if key[1] != last}
        sums = defaultdict(float, {key: value for key, value in sums.items() if key[1] == last})
    yield sums


def _ran(since: datetime) -> QuerySet[Any, tuple[str, UUID]]:
    """Owner and id of each that uses something now, or has changed since: no other one used anything."""
    now = Sandbox.objects.filter(observed_state__in=COMPUTE_STATES, deleted_at=None)
    changed = SandboxEvent.objects.filter(at__gte=since, changes__has_any_keys=CHANGES).values("sandbox")
    both = now.order_by().values_list("owner_id", "pk").union(
        Sandbox.objects.filter(pk__in=changed).order_by().values_list("owner_id", "pk")
    )  # fmt: skip
    return both.order_by("owner_id", "pk")


def _chunks(rows: Iterable[tuple[str, UUID]]) -> Iterator[list[UUID]]:
    chunk: list[UUID] = []
    for _, pk in rows:
        chunk.append(pk)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _events(ids: list[UUID], since: datetime) -> dict[UUID, list[tuple[datetime, dict[str, Any]]]]:
    found: dict[UUID, list[tuple[datetime, dict[str, Any]]]] = defaultdict(list)
    told = SandboxEvent.objects.filter(sandbox__in=ids, at__gte=since, changes__has_any_keys=CHANGES)
    for pk, at, changes in told.order_by("at", "id").values_list("sandbox_id", "at", "changes"):
        assert pk is not None
        found[pk].append((at, changes))
    return found


def _before(ids: list[UUID], since: datetime) -> dict[UUID, SandboxUse]:
    """How they were then, by the last event of each kind. What no event is left of counts as nothing."""

    def last(name: str) -> Subquery:
        told = SandboxEvent.objects.filter(sandbox=OuterRef("pk"), at__lt=since, changes__has_key=name)
        return Subquery(told.order_by("-at", "-id").values("changes")[:1])

    rows = Sandbox.objects.filter(pk__in=ids).annotate(**{f"last_{name}": last(name) for name in CHANGES})
    found = {}
    for row in rows.values("pk", *(f"last_{name}" for name in CHANGES)):
        one = NOTHING
        for name in CHANGES:
            one = one.after({key: value for key, value in (row[f"last_{name}"] or {}).items() if key == name})
        found[row["pk"]] = one
    return found


def _as_it_is(row: Sandbox) -> SandboxUse:
    """Nothing of it has changed since."""
    gone = row.deleted_at is not None
    return SandboxUse(state=row.observed_state, is_gone=gone, cpu=row.cpu, memory_gb=row.memory_gb)


# what became of operations


def _of_operations(since: datetime, until: datetime) -> Iterator[dict[Key, float]]:
    """Day by day."""
    while since < until:
        end = min(since + DAY, until)
        yield _counts(since, end)
        since = end


def _counts(since: datetime, until: datetime) -> dict[Key, float]:
    stops = Operation.objects.filter(source=Source.EVICTION, created_at__gte=since, created_at__lt=until)
    ended = Operation.objects.filter(finished_at__gte=since, finished_at__lt=until)
    counts: dict[Key, float] = defaultdict(float)
    for measure, rows, moment in (
        (Measure.EVICTIONS, stops, "created_at"),
        (Measure.REFUSALS, ended.filter(code__in=FOR_LACK_OF_ROOM), "finished_at"),
    ):
        for hour, owner, tier, region, number in _grouped(rows, moment).annotate(number=Count("pk")):
            counts[hour, owner, tier, region, measure, 0] += number
    started = ended.filter(action__in=TO_RUNNING, status=OperationStatus.SUCCEEDED)
    for hour, owner, tier, region, start, end in _grouped(started, "finished_at", "created_at", "finished_at"):
        counts[hour, owner, tier, region, Measure.STARTS, bound_of((end - start).total_seconds())] += 1
    return counts


# what Daytona told of its quotas


def _of_quotas(since: datetime, until: datetime) -> dict[Key, float]:
    """The last one of each hour. One that was told of a sandbox without a region is that of new sandboxes."""
    calls = SandboxEvent.objects.filter(kind=EventKind.CALL, at__gte=since, at__lt=until, data__has_key="quota")
    told = calls.exclude(sandbox=None).order_by("at", "id")
    found: dict[Key, float] = {}
    for at, region, of_class, data in told.values_list("at", "sandbox__target", "sandbox__sandbox_class", "data"):
        for resource, limit in data["quota"].items():
            if measure := usage.QUOTA_OF.get(resource):
                key = (hour_of(at), "", of_class or "container", region or settings.DAYTONA_TARGET, measure, 0)
                found[key] = limit
    return found


def _grouped(rows: QuerySet[Operation], moment: str, *more: str) -> QuerySet[Operation, tuple[Any, ...]]:
    of_sandbox = ("sandbox__owner_id", "sandbox__resource_tier", "sandbox__target")
    hours = rows.order_by().annotate(hour=TruncHour(moment, tzinfo=UTC))
    return hours.values_list("hour", *of_sandbox, *more)
