"""Capacity: a full quota makes room.

Daytona reserves before it checks, so a refusal can be false (recording 16_quota_concurrency): one operation at a
time, by lease of the region and class, tries again first and only then asks for a victim.
"""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import Case, Max, Min, Q, QuerySet, When

from sandboxes import clock
from sandboxes.codes import Code
from sandboxes.gateways.daytona import DaytonaGateway
from sandboxes.gateways.daytona_errors import DaytonaError
from sandboxes.models import Operation, Sandbox, SandboxEvent
from sandboxes.models.sandbox import LAST_USED
from sandboxes.services import leases, record
from sandboxes.services.lifecycle.begin import begin
from sandboxes.services.lifecycle.call import Answer
from sandboxes.services.lifecycle.look import look, note
from sandboxes.services.ranking import Candidate, Verdict, judge, rank
from sandboxes.states import ACTIVE, COMPUTE_STATES, Action, Actor, OperationStatus, Source, Status

EVICTOR = Actor.system("evictor")
LEASE_SECONDS = 30.0
LOOKING_SECONDS = 10.0  # of one tick: a look may wait for a timeout, and the leases must outlast all of them
UNREADABLE = ("readable",)
RETRY_AFTER_VICTIM = 10.0  # Daytona's usage cache shows a freed slot late
LOOKED_AT = 200  # candidates that one ranking reads: of one's own, and of other owners
RUNNING_FIRST = Case(When(status=Status.RUNNING, then=0), default=1)

# The phases of the search, in `operation.progress["room"]["phase"]`:
# retry (a short random pause, then the call once more) → choose → victim (waiting for its stop) → freed (calls
# again for 10 s) → choose …, at most EVICTION_MAX_PER_START times. Where others are leaving anyway, choose →
# leaving (waiting for any of them) → freed, and nobody is stopped for it.


def refused(row: Sandbox, operation: Operation, answer: Answer, *, now: datetime) -> Answer:
    """The quota is full: what the operation does next. Pure but for `operation.progress` and its deadline."""
    assert answer.quota is not None
    if answer.quota.limit is not None and answer.quota.limit < _need(row, answer.quota.resource):
        return Answer(answer.outcome, fail=Code.QUOTA_TOO_SMALL, rejected=answer.quota.message)
    room = dict(operation.progress.get("room") or {})
    if not room:
        pause = random.uniform(0.2, 0.8)
        room = {"phase": "retry", "victims": [], "not_before": (now + timedelta(seconds=pause)).isoformat()}
        operation.deadline = now + timedelta(seconds=settings.DEADLINES["capacity"])
    elif room["phase"] == "retry" or now >= datetime.fromisoformat(room["until"]):
        room["phase"] = "choose"
    room["words"] = answer.quota.message.splitlines()[0]
    operation.progress = {**operation.progress, "room": room}
    return Answer(answer.outcome, "waiting for capacity", pause=0.2)


def _need(row: Sandbox, resource: str) -> int:
    """What was refused is at least one: in a region without any GPU nobody's stop helps."""
    return max({"CPU": row.cpu, "memory": row.memory_gb}.get(resource, 1), 1)


def is_to_wait(operation: Operation, *, now: datetime) -> bool:
    """Whether the search for room forbids the call now."""
    room = operation.progress.get("room")
    if not room:
        return False
    if not room.get("lease") or room["phase"] in ("choose", "victim", "leaving"):
        return True
    return room["phase"] == "retry" and now < datetime.fromisoformat(room["not_before"])


def seek(daytona: DaytonaGateway, row: Sandbox, operation: Operation) -> None:
    """Go on with the search for room: remote calls and the victim's stop; outside the operation's transaction."""
    room = dict(operation.progress["room"])
    _hold_lease(row, operation, room)
    if room.get("lease"):
        if room["phase"] == "victim":
            _follow_victim(room)
        if room["phase"] == "leaving":
            _follow_leaving(row, room)
        if room["phase"] == "choose":
            _choose(daytona, row, operation, room)
    operation.progress = {**operation.progress, "room": room}
    Operation.objects.filter(pk=operation.pk, status__in=ACTIVE).update(progress=operation.progress)


def lease_name(row: Sandbox) -> str:
    return f"room:{region_of(row) or 'default'}:{class_of(row)}"


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


def _hold_lease(row: Sandbox, operation: Operation, room: dict[str, Any]) -> None:
    name = lease_name(row)
    if room.get("lease"):
        held = leases.Held(name, room["lease"])
        if leases.renew(held, seconds=LEASE_SECONDS):
            return
    taken = leases.take(name, holder=f"operation {operation.pk}", seconds=LEASE_SECONDS)
    room["lease"] = taken.token if taken else ""
    room["lease_name"] = name


def _follow_victim(room: dict[str, Any]) -> None:
    stop = Operation.objects.filter(pk=room["victims"][-1]).values_list("status", flat=True).first()
    if stop in ACTIVE:
        return
    if stop == OperationStatus.SUCCEEDED:
        _try_again(room)
        return
    if stop == OperationStatus.CANCELLED:  # taken back by a person: as if it had not been chosen
        room["victims"] = room["victims"][:-1]
    room["phase"] = "choose"


def _try_again(room: dict[str, Any]) -> None:
    room["phase"] = "freed"
    room["until"] = (clock.now() + timedelta(seconds=RETRY_AFTER_VICTIM)).isoformat()


def _follow_leaving(row: Sandbox, room: dict[str, Any]) -> None:
    """The first of them that counts no more may be room enough; when none is leaving any more, choose."""
    awaited = _counted(row).filter(pk__in=room["leaving"])
    if awaited.count() < len(room["leaving"]):
        _try_again(room)
    elif not awaited.filter(_is_leaving()).exists():
        room["phase"] = "choose"


def _counted(row: Sandbox) -> QuerySet[Sandbox]:
    """Those that Daytona counts against the same quota."""
    return _beside(row).filter(observed_state__in=COMPUTE_STATES, deleted_at=None)


def _is_leaving() -> Q:
    """On its way out, by whoever's wish: room that comes by itself.

    What did not end within a stop's time hangs, and is not waited for.
    """
    since = clock.now() - timedelta(seconds=settings.DEADLINES["stop"])
    active = Operation.objects.filter(status__in=ACTIVE)
    asked = active.filter(action__in=(Action.STOP, Action.ARCHIVE, Action.DELETE), created_at__gt=since)
    by_itself = Q(status=Status.STOPPING, status_changed_at__gt=since)
    return Q(pk__in=asked.values("sandbox")) | by_itself & ~Q(pk__in=active.values("sandbox"))


def _choose(daytona: DaytonaGateway, row: Sandbox, operation: Operation, room: dict[str, Any]) -> None:
    if (forgotten := _forgotten_victim(operation, room)) is not None:
        _wait_for(forgotten, room)
    elif leaving := list(_counted(row).filter(_is_leaving()).values_list("pk", flat=True)[:LOOKED_AT]):
        room |= {"phase": "leaving", "leaving": [str(pk) for pk in leaving]}
    elif len(room["victims"]) >= settings.EVICTION_MAX_PER_START:
        room["exhausted"] = f"{len(room['victims'])} sandboxes were stopped and Daytona still has no room"
    else:
        _stop_one(daytona, row, operation, room)


def _stop_one(daytona: DaytonaGateway, row: Sandbox, operation: Operation, room: dict[str, Any]) -> None:
    ranking = rank_for(row)
    silent: list[str] = room.pop("silent", [])
    ends = time.monotonic() + LOOKING_SECONDS
    for place, verdict in enumerate(ranking):
        if not verdict.may_be_stopped:
            continue
        candidate = verdict.candidate
        if str(candidate.sandbox_id) in silent:
            ranking[place] = Verdict(candidate, UNREADABLE)
            continue
        if time.monotonic() > ends:  # the next tick goes on behind those that were looked at in vain
            room["silent"] = silent
            return
        stop = evict(daytona, candidate, caused_by=operation, ranking=ranking)
        if isinstance(stop, Operation):
            _wait_for(stop, room)
            return
        ranking[place] = stop
        if stop.broken == UNREADABLE:
            silent.append(str(candidate.sandbox_id))
    room["exhausted"] = "nothing may be stopped for it"
    room["ranking"] = [verdict.as_data() for verdict in ranking]


def _forgotten_victim(operation: Operation, room: dict[str, Any]) -> Operation | None:
    """A stop for this operation that its worker did not live to write down here."""
    stops = Operation.objects.filter(caused_by=operation, source=Source.EVICTION)
    return stops.exclude(status=OperationStatus.CANCELLED).exclude(pk__in=room["victims"]).first()


def _wait_for(stop: Operation, room: dict[str, Any]) -> None:
    room["victims"] = [*room["victims"], str(stop.pk)]
    room["phase"] = "victim"


def exhausted(operation: Operation) -> str:
    """Why the search for room has ended without any; empty while it goes on."""
    return str((operation.progress.get("room") or {}).get("exhausted", ""))


def leave(operation: Operation) -> None:
    """The search is over: somebody else may search."""
    room = operation.progress.get("room") or {}
    if room.get("lease"):
        leases.release(leases.Held(room["lease_name"], room["lease"]))
        operation.progress = {**operation.progress, "room": {**room, "lease": ""}}


def rank_for(row: Sandbox) -> list[Verdict]:
    """Who would be stopped for this sandbox: same region and class, by EVICTION_SCOPE, own ones first."""
    if settings.EVICTION_SCOPE == "off":
        return []
    rows = _beside(row)
    candidates = list(rows.filter(owner_id=row.owner_id).order_by(RUNNING_FIRST, LAST_USED)[:LOOKED_AT])
    if settings.EVICTION_SCOPE == "organization":
        foreign = rows.filter(status=Status.RUNNING).exclude(owner_id=row.owner_id)
        candidates += foreign.order_by(LAST_USED)[:LOOKED_AT]
    idle, now = settings.EVICTION_MIN_IDLE, clock.now()
    return rank(candidates_of(candidates), now=now, min_idle=idle, first_owner=row.owner_id)


def _beside(row: Sandbox) -> QuerySet[Sandbox]:
    """Those that share the quota: Daytona counts per region and class."""
    living = Sandbox.objects.exclude(status=Status.GONE).exclude(pk=row.pk)
    return living.filter(target=region_of(row), sandbox_class=class_of(row))


def candidates_of(rows: list[Sandbox]) -> list[Candidate]:
    active = Operation.objects.filter(status__in=ACTIVE, sandbox__in=[row.pk for row in rows])
    busy = set(active.values_list("sandbox_id", flat=True))
    return [Candidate.of(row, busy=row.pk in busy) for row in rows]


def evict(
    daytona: DaytonaGateway,
    ranked: Candidate,
    *,
    caused_by: Operation | None,
    ranking: list[Verdict],
    min_idle: float | None = None,
    reason: str = "Stopped to make room",
) -> Operation | Verdict:
    """Stop the candidate, if a GET just before and the row still show it as it was ranked.

    Its intent stays, so it comes back when it is next needed. Returns the stop, or the verdict that now forbids
    it. `min_idle` in seconds, by default EVICTION_MIN_IDLE.
    """
    idle = settings.EVICTION_MIN_IDLE if min_idle is None else min_idle
    victim = Sandbox.objects.get(pk=ranked.sandbox_id)
    try:
        seen = look(daytona, victim)
    except DaytonaError:
        return Verdict(ranked, UNREADABLE)
    with record.locked(victim.pk) as row:
        now = clock.now()
        busy = record.active_operation(row.pk)
        note(row, seen, now=now, during=busy)
        record.settle(row, active=busy, now=now)
        verdict = judge(Candidate.of(row, busy=busy is not None), now=now, min_idle=idle)
        if verdict.broken or seen.remote is None or row.last_accessed_at != victim.last_accessed_at:
            return verdict if verdict.broken else Verdict(ranked, ("unchanged",))
        stop = begin(
            row, Action.STOP, actor=EVICTOR, source=Source.EVICTION, now=now, reason=reason, caused_by=caused_by
        )
        _tell(row, stop, caused_by=caused_by, ranking=ranking, reason=reason, now=now)
    return stop


def _tell(
    row: Sandbox,
    stop: Operation,
    *,
    caused_by: Operation | None,
    ranking: list[Verdict],
    reason: str,
    now: datetime,
) -> None:
    """ "Why was mine stopped?" has an answer: the ranking of that moment with every verdict."""
    data = {
        "ranking": [verdict.as_data() for verdict in ranking],
        "for_sandbox": str(caused_by.sandbox_id) if caused_by else None,
        "for_operation": str(caused_by.pk) if caused_by else None,
    }
    record.event(row, SandboxEvent.Kind.EVICTION, reason, operation=stop, actor=EVICTOR, data=data, at=now)


def why(sandbox_id: UUID) -> SandboxEvent | None:
    """The latest eviction of this sandbox, with the ranking of that moment."""
    evictions = SandboxEvent.objects.filter(sandbox_id=sandbox_id, kind=SandboxEvent.Kind.EVICTION)
    return evictions.order_by("-at", "-id").first()
