"""Who shares a quota, who would make room in it, and the stop, or the archive, of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Case, Max, Min, QuerySet, When

from sandboxes import clock
from sandboxes.core.facts import NewOperation
from sandboxes.core.observation import apply_observation, refresh_status
from sandboxes.core.ranking import TAKEN_BY, Candidate, Verdict, judge, rank
from sandboxes.core.resources import QUOTAS, Resource
from sandboxes.core.vocabulary import Actor, EventKind, Source, Status
from sandboxes.models import Operation, Sandbox, SandboxEvent
from sandboxes.models.sandbox import SORTED_BY
from sandboxes.providers.daytona.errors import DaytonaError
from sandboxes.services import sandbox_store
from sandboxes.services.decisions import create_operation, drafting
from sandboxes.services.fetching import fetch_now

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from sandboxes.core.facts import Fetched
    from sandboxes.providers.protocols import SandboxProvider

EVICTOR = Actor.system("evictor")
UNREADABLE = ("readable",)
ORDER = SORTED_BY.get(TAKEN_BY, TAKEN_BY)
LOOKED_AT = 200  # candidates that one ranking reads: of one's own, and of other owners


def scope_of(resource: Resource) -> str:
    """Whose sandboxes may have to make room: `off`, `owner` or `organization`."""
    scope: str = settings.EVICTION_DISK_SCOPE if resource is Resource.DISK else settings.EVICTION_SCOPE
    return scope


def region_of(row: Sandbox) -> str:
    """The region whose quota counts this sandbox; empty when nobody can tell.

    One that was asked for without a region has none before Daytona answers: it will run in the organisation's
    default, which is known where all sandboxes share one region.
    """
    return row.target or settings.DAYTONA_TARGET or _only_region()


def _only_region() -> str:
    known = Sandbox.objects.exclude(status=Status.GONE).exclude(target="")
    ends = known.aggregate(first=Min("target"), last=Max("target"))
    return ends["first"] or "" if ends["first"] == ends["last"] else ""


def class_of(row: Sandbox) -> str:
    return row.sandbox_class or "container"


def sharing_quota(row: Sandbox) -> QuerySet[Sandbox]:
    """The others that Daytona counts against the same quota: per region and class."""
    living = Sandbox.objects.exclude(status=Status.GONE).exclude(pk=row.pk)
    return living.filter(target=region_of(row), sandbox_class=class_of(row))


def rank_for(row: Sandbox, resource: Resource) -> list[Verdict]:
    """Who would make room for this sandbox, own ones first."""
    idle, now = settings.EVICTION_MIN_IDLE, clock.now()
    found = candidates_of(considered_for(row, resource))
    return rank(found, resource, now=now, min_idle=idle, first_owner=row.owner_id)


def considered_for(row: Sandbox, resource: Resource) -> list[Sandbox]:
    """Those that could make room for this sandbox: same region and class, by the scope of the settings."""
    scope, victims = scope_of(resource), QUOTAS[resource].victims
    if scope == "off":
        return []
    rows, victims_first = sharing_quota(row), Case(When(status=victims, then=0), default=1)
    candidates = list(rows.filter(owner_id=row.owner_id).order_by(victims_first, ORDER)[:LOOKED_AT])
    if scope == "organization":
        foreign = rows.filter(status=victims).exclude(owner_id=row.owner_id)
        candidates += foreign.order_by(ORDER)[:LOOKED_AT]
    return candidates


def candidates_of(rows: list[Sandbox]) -> list[Candidate]:
    """These sandboxes as they are ranked, with whether an operation is active."""
    active = Operation.objects.active().filter(sandbox__in=[row.pk for row in rows])
    busy = set(active.values_list("sandbox_id", flat=True))
    return [_candidate(row, busy=row.pk in busy) for row in rows]


def _candidate(row: Sandbox, *, busy: bool) -> Candidate:
    return Candidate(
        row.pk, row.daytona_id, row.display_name, row.owner_id, row.status, row.intent, row.cpu, row.memory_gb,
        row.disk_gb, row.observed_auto_delete, row.protected_until, row.last_used_at,
        getattr(row, TAKEN_BY), busy,
    )  # fmt: skip


def evict(
    daytona: SandboxProvider,
    ranked: Candidate,
    resource: Resource,
    *,
    caused_by: Operation | None,
    ranking: list[Verdict],
    min_idle: float | None = None,
    reason: str = "",
) -> Operation | Verdict:
    """Stop or archive the candidate, if a GET just before and the row still show it as it was ranked.

    Its intent stays, so it comes back when it is next needed. Returns the operation, or the verdict that now
    forbids it. `min_idle` in seconds, by default EVICTION_MIN_IDLE.
    """
    reason = reason or f"{QUOTAS[resource].done.capitalize()} to make room"
    idle = settings.EVICTION_MIN_IDLE if min_idle is None else min_idle
    victim = Sandbox.objects.get(pk=ranked.sandbox_id)
    try:
        fetched = fetch_now(daytona, victim)
    except DaytonaError:
        return Verdict(ranked, UNREADABLE)
    with sandbox_store.lock_sandbox(victim.pk) as row:
        now = clock.now()
        verdict = judge(_candidate_as(fetched, row, now=now), resource, now=now, min_idle=idle)
        if verdict.broken:
            return verdict
        if fetched.remote is None or row.last_accessed_at != victim.last_accessed_at:
            return Verdict(ranked, ("unchanged",))
        return _request(row, resource, reason, caused_by=caused_by, ranking=ranking, now=now)


def _candidate_as(fetched: Fetched, row: Sandbox, *, now: datetime) -> Candidate:
    """The locked row as it is ranked, after what was fetched is written into it."""
    active = sandbox_store.active_operation(row.pk)
    with drafting(row, active, now=now) as draft:
        apply_observation(draft, fetched)
        refresh_status(draft)
    return _candidate(row, busy=active is not None)


def _request(
    row: Sandbox,
    resource: Resource,
    reason: str,
    *,
    caused_by: Operation | None,
    ranking: list[Verdict],
    now: datetime,
) -> Operation:
    """Request the stop or archive, and put the ranking of this moment with every verdict on the timeline."""
    new = NewOperation(action=QUOTAS[resource].freed_by, actor=EVICTOR, source=Source.EVICTION, reason=reason)
    operation = create_operation(row, new, now=now, caused_by=caused_by)
    data = {
        "resource": resource.value,
        "ranking": [one.as_data() for one in ranking],
        "for_sandbox": str(caused_by.sandbox_id) if caused_by else None,
        "for_operation": str(caused_by.pk) if caused_by else None,
    }
    sandbox_store.event(row, EventKind.EVICTION, reason, operation=operation, actor=EVICTOR, data=data, at=now)
    return operation


def why(sandbox_id: UUID) -> SandboxEvent | None:
    """The latest eviction of this sandbox, with the ranking of that moment."""
    evictions = SandboxEvent.objects.filter(sandbox_id=sandbox_id, kind=EventKind.EVICTION)
    return evictions.order_by("-at", "-id").first()
