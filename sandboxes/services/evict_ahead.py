"""Making room ahead of need: stop or archive what has been idle for long, by the rules of a start without room."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Case, When
from django.db.models.lookups import LessThanOrEqual

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.ranking import Verdict, rank
from sandboxes.core.resources import QUOTAS, Quota, Resource
from sandboxes.models import Operation, Sandbox
from sandboxes.models.sandbox import LAST_USED
from sandboxes.providers.daytona.gateway import gateway
from sandboxes.services import victims

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet

CHUNK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictionRequest:
    """What to stop, or with `free_disk` to archive. `idle` in seconds without use (default: EVICTION_MIN_IDLE);
    `free_cpu` in vCPU, `free_memory` and `free_disk` in GiB end it when so much is on its way to be free, `limit`
    after so many."""

    idle: float | None = None
    free_cpu: int = 0
    free_memory: int = 0
    free_disk: int = 0
    owner: str = ""
    target: str = ""
    sandbox_class: str = ""
    limit: int | None = None
    dry_run: bool = False

    @property
    def min_idle(self) -> float:
        return settings.EVICTION_MIN_IDLE if self.idle is None else self.idle

    @property
    def resource(self) -> Resource:
        return Resource.DISK if self.free_disk else Resource.COMPUTE

    @property
    def quota(self) -> Quota:
        return QUOTAS[self.resource]

    @property
    def makes_room(self) -> bool:
        """Whether so much is to be free, however many that takes."""
        return bool(self.free_cpu or self.free_memory or self.free_disk)

    @property
    def reason(self) -> str:
        sizes = [
            (self.free_cpu, "vCPU"), (self.free_memory, "GiB of memory"), (self.free_disk, "GiB of disk"),
        ]  # fmt: skip
        room = " and ".join(f"{size} {unit}" for size, unit in sizes if size)
        unused = f"{self.quota.done.capitalize()} after {timedelta(seconds=round(self.min_idle))} without use"
        return f"{unused}, to free {room}" if room else unused


@dataclass(frozen=True, slots=True)
class EvictionLine:
    """One candidate, in the order in which they are taken. `evicted` says that it is, or in a dry run would be."""

    verdict: Verdict
    evicted: bool


@dataclass
class EvictionOutcome:
    """`enough`: all that was wanted is on its way to be free."""

    lines: list[EvictionLine] = field(default_factory=list)
    count: int = 0
    cpu: int = 0
    memory_gb: int = 0
    disk_gb: int = 0
    enough: bool = True

    def add(self, verdict: Verdict) -> None:
        self.lines.append(EvictionLine(verdict, verdict.passes))
        if verdict.passes:
            self.count += 1
            self.cpu += verdict.candidate.cpu
            self.memory_gb += verdict.candidate.memory_gb
            self.disk_gb += verdict.candidate.disk_gb

    def has_freed(self, wanted: EvictionRequest) -> bool:
        """Whether all the room that was asked for is on its way."""
        freed = (self.cpu, self.memory_gb, self.disk_gb)
        asked = (wanted.free_cpu, wanted.free_memory, wanted.free_disk)
        return all(size >= least for size, least in zip(freed, asked, strict=True))


def evict_ahead(wanted: EvictionRequest) -> EvictionOutcome:
    """Stop, or archive, what may be; their intents stay, so they come back when they are next needed.

    Raises:
        Refused: INVALID_REQUEST when neither idleness nor room says what to stop, when disk is wanted together
            with what a stop frees, or when room is wanted and there are several regions or classes: Daytona
            counts each by itself.
        DaytonaError: this process cannot call Daytona at all.
    """
    _check(wanted)
    outcome = EvictionOutcome()
    for verdict in _judged(wanted):
        outcome.add(_evict(wanted, verdict) if verdict.passes else verdict)
        if _is_done(wanted, outcome):
            break
    outcome.enough = outcome.has_freed(wanted)
    return outcome


def _check(wanted: EvictionRequest) -> None:
    if wanted.idle is None and not wanted.makes_room:
        raise Refused(Code.INVALID_REQUEST, "Say what to stop: by idleness, or how much room to make.")
    if wanted.free_disk and (wanted.free_cpu or wanted.free_memory):
        detail = "Ask for disk by itself: an archive frees disk, a stop frees vCPU and memory."
        raise Refused(Code.INVALID_REQUEST, detail)
    if wanted.makes_room:
        _check_quota(wanted)


def _check_quota(wanted: EvictionRequest) -> None:
    """Room in several quotas does not add up."""
    counted = _considered(wanted).order_by().values_list("target", "sandbox_class").distinct()
    regions, classes = ({*names} for names in zip(*counted, strict=True)) if counted else (set(), set())
    for names, kind, option in ((regions, "regions", "--target"), (classes, "classes", "--sandbox-class")):
        if len(names) > 1:
            which = ", ".join(name or "(none)" for name in sorted(names))
            detail = f"Sandboxes are in several {kind}: {which}. Daytona counts each by itself: add {option}."
            raise Refused(Code.INVALID_REQUEST, detail)


def _considered(wanted: EvictionRequest) -> QuerySet[Sandbox]:
    which = {"owner_id": wanted.owner, "target": wanted.target, "sandbox_class": wanted.sandbox_class}
    rows = Sandbox.objects.filter(status=wanted.quota.victims)
    return rows.filter(**{name: value for name, value in which.items() if value})


def _judged(wanted: EvictionRequest) -> Iterator[Verdict]:
    """Verdicts in the order in which victims are taken, until nobody has been idle for long enough any more."""
    unused_since = clock.now() - timedelta(seconds=wanted.min_idle)
    idle_first = Case(When(LessThanOrEqual(LAST_USED, unused_since), then=0), default=1)
    ids = list(_considered(wanted).order_by(idle_first, victims.ORDER, "pk").values_list("pk", flat=True))
    for start in range(0, len(ids), CHUNK):
        rows = Sandbox.objects.in_bulk(ids[start : start + CHUNK])
        found = victims.candidates_of(list(rows.values()))
        verdicts = rank(found, wanted.resource, now=clock.now(), min_idle=wanted.min_idle)
        yield from verdicts
        if all("idle" in verdict.broken for verdict in verdicts):
            return


def _evict(wanted: EvictionRequest, verdict: Verdict) -> Verdict:
    """The verdict after a GET and under the row's lock; in a dry run the one from our row."""
    if wanted.dry_run:
        return verdict
    evicted = victims.evict(
        gateway(), verdict.candidate, wanted.resource, caused_by=None, ranking=[verdict], min_idle=wanted.min_idle,
        reason=wanted.reason,
    )  # fmt: skip
    return verdict if isinstance(evicted, Operation) else evicted


def _is_done(wanted: EvictionRequest, outcome: EvictionOutcome) -> bool:
    if wanted.limit is not None and outcome.count >= wanted.limit:
        return True
    return wanted.makes_room and outcome.has_freed(wanted)
