"""Making room ahead of need: stop what has been idle for long, by the same rules as a start that finds no room."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.ranking import Verdict, judge
from sandboxes.core.vocabulary import Status
from sandboxes.models import Operation, Sandbox
from sandboxes.models.sandbox import LAST_USED
from sandboxes.providers.daytona.gateway import gateway
from sandboxes.services import victims

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.models import QuerySet

CHUNK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictionRequest:
    """What to stop. `idle` in seconds without use (default: EVICTION_MIN_IDLE); `free_cpu` in vCPU and
    `free_memory` in GiB end it when so much is on its way to be free, `limit` after so many stops."""

    idle: float | None = None
    free_cpu: int = 0
    free_memory: int = 0
    owner: str = ""
    target: str = ""
    sandbox_class: str = ""
    limit: int | None = None
    dry_run: bool = False

    @property
    def min_idle(self) -> float:
        return settings.EVICTION_MIN_IDLE if self.idle is None else self.idle

    @property
    def reason(self) -> str:
        sizes = [(self.free_cpu, "vCPU"), (self.free_memory, "GiB of memory")]
        room = " and ".join(f"{size} {unit}" for size, unit in sizes if size)
        unused = f"Stopped after {timedelta(seconds=round(self.min_idle))} without use"
        return f"{unused}, to free {room}" if room else unused


@dataclass(frozen=True, slots=True)
class EvictionLine:
    """One candidate, least recently used first. `stopped` says that it is, or in a dry run would be."""

    verdict: Verdict
    stopped: bool


@dataclass
class EvictionOutcome:
    """`enough`: all that was wanted is on its way to be free."""

    lines: list[EvictionLine] = field(default_factory=list)
    stops: int = 0
    cpu: int = 0
    memory_gb: int = 0
    enough: bool = True


def evict_ahead(wanted: EvictionRequest, *, beat: Callable[[], None] = lambda: None) -> EvictionOutcome:
    """Stop what may be stopped; their intents stay, so they come back when they are next needed.

    `beat` is called between the candidates and may raise to end it there.

    Raises:
        Refused: INVALID_REQUEST when neither idleness nor room says what to stop, or when room is wanted and
            sandboxes run in several regions or classes: Daytona counts each by itself.
        DaytonaError: this process cannot call Daytona at all.
    """
    _check(wanted)
    outcome = EvictionOutcome()
    for verdict in _judged(wanted):
        beat()
        if verdict.may_be_stopped:
            verdict = _stop(wanted, verdict)
        if verdict.may_be_stopped:
            outcome.stops += 1
            outcome.cpu += verdict.candidate.cpu
            outcome.memory_gb += verdict.candidate.memory_gb
        outcome.lines.append(EvictionLine(verdict, verdict.may_be_stopped))
        if _is_done(wanted, outcome):
            break
    outcome.enough = outcome.cpu >= wanted.free_cpu and outcome.memory_gb >= wanted.free_memory
    return outcome


def _check(wanted: EvictionRequest) -> None:
    room = wanted.free_cpu or wanted.free_memory
    if wanted.idle is None and not room:
        raise Refused(Code.INVALID_REQUEST, "Say what to stop: by idleness, or how much room to make.")
    if room:
        _check_quota(wanted)


def _check_quota(wanted: EvictionRequest) -> None:
    """Room in several quotas does not add up."""
    counted = _running(wanted).order_by().values_list("target", "sandbox_class").distinct()
    regions, classes = ({*names} for names in zip(*counted, strict=True)) if counted else (set(), set())
    for names, kind, option in ((regions, "regions", "--target"), (classes, "classes", "--sandbox-class")):
        if len(names) > 1:
            which = ", ".join(name or "(none)" for name in sorted(names))
            detail = f"Sandboxes of several {kind} run: {which}. Daytona counts each by itself: add {option}."
            raise Refused(Code.INVALID_REQUEST, detail)


def _running(wanted: EvictionRequest) -> QuerySet[Sandbox]:
    which = {"owner_id": wanted.owner, "target": wanted.target, "sandbox_class": wanted.sandbox_class}
    return Sandbox.objects.filter(status=Status.RUNNING, **{name: value for name, value in which.items() if value})


def _judged(wanted: EvictionRequest) -> Iterator[Verdict]:
    """Verdicts, least recently used first, until nobody has been idle for long enough any more."""
    ids = list(_running(wanted).order_by(LAST_USED, "pk").values_list("pk", flat=True))
    for start in range(0, len(ids), CHUNK):
        rows = Sandbox.objects.in_bulk(ids[start : start + CHUNK])
        ordered = sorted(rows.values(), key=lambda row: (row.last_used_at, row.pk))
        now = clock.now()
        verdicts = [judge(one, now=now, min_idle=wanted.min_idle) for one in victims.candidates_of(ordered)]
        yield from verdicts
        if all("idle" in verdict.broken for verdict in verdicts):
            return


def _stop(wanted: EvictionRequest, verdict: Verdict) -> Verdict:
    """The verdict after a GET and under the row's lock; in a dry run the one from our row."""
    if wanted.dry_run:
        return verdict
    stop = victims.evict(
        gateway(), verdict.candidate, caused_by=None, ranking=[verdict], min_idle=wanted.min_idle,
        reason=wanted.reason,
    )  # fmt: skip
    return verdict if isinstance(stop, Operation) else stop


def _is_done(wanted: EvictionRequest, outcome: EvictionOutcome) -> bool:
    if wanted.limit is not None and outcome.stops >= wanted.limit:
        return True
    room = wanted.free_cpu or wanted.free_memory
    return bool(room) and outcome.cpu >= wanted.free_cpu and outcome.memory_gb >= wanted.free_memory
