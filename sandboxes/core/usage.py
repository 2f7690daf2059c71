"""What sandboxes use, hour by hour: which states count, how hours divide a time, how percentiles are kept. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil, log
from typing import TYPE_CHECKING, Any

from sandboxes.core.states import COMPUTE_STATES
from sandboxes.core.vocabulary import Word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

HOUR = timedelta(hours=1)
# Bounds of the times that are counted together: each a tenth above the last, so that a percentile is as exact.
FIRST_BOUND, STEP = 50, 1.1  # milliseconds


class Measure(Word):
    """What is counted of an hour."""

    SANDBOX_SECONDS = "sandbox_seconds"
    VCPU_SECONDS = "vcpu_seconds"
    MEMORY_GIB_SECONDS = "memory_gib_seconds"
    EVICTIONS = "evictions"
    REFUSALS = "refusals"
    STARTS = "starts"
    VCPU_QUOTA = "vcpu_quota"
    MEMORY_GIB_QUOTA = "memory_gib_quota"


OF_TIME = (Measure.SANDBOX_SECONDS, Measure.VCPU_SECONDS, Measure.MEMORY_GIB_SECONDS)
OF_OPERATIONS = (Measure.EVICTIONS, Measure.REFUSALS, Measure.STARTS)
# By the resource, as Daytona's refusal names it.
QUOTA_OF = {"CPU": Measure.VCPU_QUOTA, "memory": Measure.MEMORY_GIB_QUOTA}


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxUse:
    """What of a sandbox decides what it uses."""

    state: str
    is_gone: bool
    cpu: int
    memory_gb: int

    @property
    def counts(self) -> bool:
        """Whether Daytona counts its vCPU and memory against the quota."""
        return self.state in COMPUTE_STATES and not self.is_gone

    def after(self, changes: Mapping[str, Any]) -> SandboxUse:
        """With the new values of an event, by the names that the feed has for them."""
        size = changes.get("resources") or {}
        return replace(
            self,
            state=changes.get("observed_state", self.state),
            is_gone=changes["deleted_at"] is not None if "deleted_at" in changes else self.is_gone,
            cpu=size.get("cpu", self.cpu),
            memory_gb=size.get("memory_gb", self.memory_gb),
        )


NOTHING = SandboxUse(state="", is_gone=False, cpu=0, memory_gb=0)


def hour_of(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def used(
    start: SandboxUse, events: Iterable[tuple[datetime, Mapping[str, Any]]], *, since: datetime, until: datetime
) -> Iterator[tuple[datetime, Measure, float]]:
    """The seconds of each hour between two moments, of one sandbox that was as `start` at the first of them."""
    now, moment = start, since
    for at, changes in events:
        yield from _counted(now, moment, min(at, until))
        now, moment = now.after(changes), max(moment, at)
    yield from _counted(now, moment, until)


def _counted(one: SandboxUse, start: datetime, end: datetime) -> Iterator[tuple[datetime, Measure, float]]:
    if not one.counts:
        return
    for hour, seconds in _hours(start, end):
        yield hour, Measure.SANDBOX_SECONDS, seconds
        yield hour, Measure.VCPU_SECONDS, seconds * one.cpu
        yield hour, Measure.MEMORY_GIB_SECONDS, seconds * one.memory_gb


def _hours(start: datetime, end: datetime) -> Iterator[tuple[datetime, float]]:
    while start < end:
        following = min(hour_of(start) + HOUR, end)
        yield hour_of(start), (following - start).total_seconds()
        start = following


def bound_of(seconds: float) -> int:
    """The bound, in milliseconds, of the times that this one is counted with."""
    steps = ceil(log(max(seconds * 1000, FIRST_BOUND) / FIRST_BOUND, STEP) - 1e-9)
    return round(FIRST_BOUND * STEP**steps)


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """The time in seconds that this share of those counted did not exceed, by the bounds; None of none."""
    wanted, so_far = share * sum(counts.values()), 0
    for bound in sorted(counts):
        so_far += counts[bound]
        if so_far >= wanted:
            return bound / 1000
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was used, and what happened, in a time. `p50` and `p95` are seconds from request to running."""

    sandbox_hours: float
    vcpu_hours: float
    memory_gib_hours: float
    evictions: int
    refusals: int
    starts: int
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldQuota:
    """A quota as Daytona told it in the hour of `start`: it is the last known one until the next of its kind."""

    start: datetime
    region: str
    sandbox_class: str
    measure: Measure
    limit: int


def last_known(told: Iterable[ToldQuota], measure: Measure, *, before: datetime) -> dict[tuple[str, str], int]:
    """By region and class, of what was told in the order of time."""
    return {
        (one.region, one.sandbox_class): one.limit for one in told if one.measure == measure and one.start < before
    }


def figures(rows: Iterable[tuple[str, int, int]]) -> Figures:
    """Of (measure, bound, value)."""
    totals = dict.fromkeys(Measure, 0)
    starts: Counter[int] = Counter()
    for measure, bound, value in rows:
        totals[Measure(measure)] += value
        if measure == Measure.STARTS:
            starts[bound] += value
    return Figures(
        sandbox_hours=_hours_of(totals[Measure.SANDBOX_SECONDS]),
        vcpu_hours=_hours_of(totals[Measure.VCPU_SECONDS]),
        memory_gib_hours=_hours_of(totals[Measure.MEMORY_GIB_SECONDS]),
        evictions=totals[Measure.EVICTIONS],
        refusals=totals[Measure.REFUSALS],
        starts=totals[Measure.STARTS],
        p50=percentile(starts, 0.5),
        p95=percentile(starts, 0.95),
    )


def _hours_of(seconds: int) -> float:
    return round(seconds / 3600, 3)
