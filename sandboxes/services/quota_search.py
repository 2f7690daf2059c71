"""Go on with a search for room: its lease, its queries and remote calls. What they lead to is in core/quota.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Q, QuerySet

from sandboxes import clock
from sandboxes.core.quota import Phase, QuotaSearch
from sandboxes.core.ranking import Verdict
from sandboxes.core.resources import QUOTAS, Quota, Resource
from sandboxes.core.vocabulary import ACTIVE, OperationStatus, Source, Status
from sandboxes.models import Operation, Sandbox
from sandboxes.services import leases
from sandboxes.services.victims import LOOKED_AT, UNREADABLE, class_of, evict, rank_for, region_of, sharing_quota

if TYPE_CHECKING:
    from sandboxes.providers.protocols import SandboxProvider

LEASE_SECONDS = 30.0
LOOKING_SECONDS = 10.0  # of one attempt: a look may wait for a timeout, and the leases must outlast all of them


def step(daytona: SandboxProvider, row: Sandbox, operation: Operation, search: QuotaSearch) -> QuotaSearch:
    """One step of the search: remote calls and what is asked of a victim; outside the operation's transaction."""
    search = _with_lease(row, operation, search)
    if not search.lease:
        return search
    if search.phase is Phase.VICTIM:
        search = _follow_victim(search)
    if search.phase is Phase.LEAVING:
        search = _follow_leaving(row, search)
    if search.phase is Phase.CHOOSE:
        search = _choose(daytona, row, operation, search)
    return search


def lease_name(row: Sandbox, resource: Resource) -> str:
    """One search at a time for each quota."""
    return f"room:{resource}:{region_of(row) or 'default'}:{class_of(row)}"


def _with_lease(row: Sandbox, operation: Operation, search: QuotaSearch) -> QuotaSearch:
    name = lease_name(row, search.resource)
    if search.lease and leases.renew(leases.HeldLease(name, search.lease), seconds=LEASE_SECONDS):
        return search
    taken = leases.take(name, holder=f"operation {operation.pk}", seconds=LEASE_SECONDS)
    return replace(search, lease=taken.token if taken else "", lease_name=name)


def _follow_victim(search: QuotaSearch) -> QuotaSearch:
    status = Operation.objects.filter(pk=search.victims[-1]).values_list("status", flat=True).first()
    if status in ACTIVE:
        return search
    return search.victim_ended(cancelled=status == OperationStatus.CANCELLED, now=clock.now())


def _follow_leaving(row: Sandbox, search: QuotaSearch) -> QuotaSearch:
    """The first of them that counts no more may be room enough; when none is leaving any more, choose."""
    quota = QUOTAS[search.resource]
    awaited = _counted(row, quota).filter(pk__in=search.leaving)
    if awaited.count() < len(search.leaving):
        return search.slot_freed(now=clock.now())
    return search if awaited.filter(_is_leaving(quota)).exists() else replace(search, phase=Phase.CHOOSE)


def _counted(row: Sandbox, quota: Quota) -> QuerySet[Sandbox]:
    """Those that Daytona counts against the same quota."""
    return sharing_quota(row).filter(observed_state__in=quota.counted, deleted_at=None)


def _is_leaving(quota: Quota) -> Q:
    """On its way out, by whoever's wish: room that comes by itself.

    What did not end within its time hangs, and is not waited for.
    """
    since = clock.now() - timedelta(seconds=settings.DEADLINES[quota.leaves_within])
    active = Operation.objects.active()
    asked = active.filter(action__in=quota.leaving, created_at__gt=since)
    by_itself = Q(observed_state__in=quota.leaving_states, status=Status.STOPPING, status_changed_at__gt=since)
    return Q(pk__in=asked.values("sandbox")) | by_itself & ~Q(pk__in=active.values("sandbox"))


def _choose(daytona: SandboxProvider, row: Sandbox, operation: Operation, search: QuotaSearch) -> QuotaSearch:
    if (forgotten := _forgotten_victim(operation, search)) is not None:
        return search.wait_for_victim(str(forgotten.pk))
    quota = QUOTAS[search.resource]
    leaving = _counted(row, quota).filter(_is_leaving(quota)).values_list("pk", flat=True)[:LOOKED_AT]
    if found := [str(pk) for pk in leaving]:
        return search.wait_for_leaving(found)
    if len(search.victims) >= settings.EVICTION_MAX_PER_START:
        text = f"{len(search.victims)} sandboxes were {quota.done} and Daytona still has no room"
        return replace(search, exhausted=text)
    return _evict_one(daytona, row, operation, search)


def _evict_one(daytona: SandboxProvider, row: Sandbox, operation: Operation, search: QuotaSearch) -> QuotaSearch:
    resource = search.resource
    ranking = rank_for(row, resource)
    unanswered = list(search.unanswered)
    ends = clock.monotonic() + LOOKING_SECONDS
    for place, verdict in enumerate(ranking):
        if not verdict.passes:
            continue
        candidate = verdict.candidate
        if str(candidate.sandbox_id) in unanswered:
            ranking[place] = Verdict(candidate, UNREADABLE)
            continue
        if clock.monotonic() > ends:  # the next attempt goes on behind those that were looked at in vain
            return replace(search, unanswered=tuple(unanswered))
        evicted = evict(daytona, candidate, resource, caused_by=operation, ranking=ranking)
        if isinstance(evicted, Operation):
            return search.wait_for_victim(str(evicted.pk))
        ranking[place] = evicted
        if evicted.broken == UNREADABLE:
            unanswered.append(str(candidate.sandbox_id))
    verdicts = tuple(verdict.as_data() for verdict in ranking)
    return replace(
        search, exhausted=f"nothing may be {QUOTAS[resource].done} for it", ranking=verdicts, unanswered=()
    )


def _forgotten_victim(operation: Operation, search: QuotaSearch) -> Operation | None:
    """What was asked of another for this operation, and its worker did not live to write down here."""
    freed_by = QUOTAS[search.resource].freed_by
    asked = Operation.objects.filter(caused_by=operation, source=Source.EVICTION, action=freed_by)
    return asked.exclude(status=OperationStatus.CANCELLED).exclude(pk__in=search.victims).first()
