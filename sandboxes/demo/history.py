"""What was used in the two weeks before the demo began: hours that no event is kept of, so that no roll-up writes
them anew."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from random import Random
from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Min

from sandboxes import clock
from sandboxes.core.usage import HOUR, Measure, bound_of, hour_of
from sandboxes.models import SandboxEvent, UsageHour

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import httpx

HOURS = 14 * 24
NOON = 13.5  # of UTC: when most runs


@dataclass(frozen=True, slots=True)
class Used:
    """What an owner had of one tier in one region: so many at noon of a working day, at night this share."""

    owner: str
    tier: str
    region: str
    at_noon: float
    at_night: float = 0.0


USED = (
    Used("user_ada", "standard", "us", 2.6), Used("user_alan", "basic", "us", 3.0),
    Used("user_barbara", "basic", "us", 2.5, 0.3), Used("user_grace", "performance", "us", 1.6, 0.2),
    Used("user_leslie", "standard", "us", 2.0), Used("user_tim", "performance", "us", 0.9, 1.0),
    Used("user_claude", "standard", "eu", 2.0, 0.2), Used("user_hedy", "standard", "eu", 2.4),
    Used("user_ken", "performance", "eu", 2.0, 0.2),
)  # fmt: skip


# vCPU by region, and so many hours before: one of them was raised.
QUOTAS = (("us", HOURS, 24), ("us", HOURS // 2, 32), ("eu", HOURS, 24))


def write(_: httpx.Client) -> None:
    """The hours before our first event; those that are there stay."""
    began = SandboxEvent.objects.aggregate(first=Min("at"))["first"] or clock.now()
    hours = [hour_of(began) - HOUR * back for back in range(HOURS, 0, -1)]
    rows = [
        UsageHour(
            hour=hour, owner=used.owner, tier=used.tier, region=used.region, measure=measure, bound=bound,
            value=round(value), rolled_up_at=began,
        )
        for used in USED
        for hour in hours
        for measure, bound, value in _numbers(used, hour)
    ]  # fmt: skip
    rows += [
        UsageHour(
            hour=hour_of(began) - HOUR * back, region=region, tier="container", measure=Measure.VCPU_QUOTA,
            value=vcpu, rolled_up_at=began,
        )
        for region, back, vcpu in QUOTAS
    ]  # fmt: skip
    UsageHour.objects.bulk_create(rows, batch_size=1000, ignore_conflicts=True)


def _numbers(used: Used, hour: datetime) -> Iterator[tuple[Measure, int, float]]:
    """By chance, but each time the same."""
    chance = Random(f"{used} {hour}")
    running = round(used.at_noon * max(_share(hour), used.at_night) * chance.uniform(0.75, 1.15), 2)
    if running < 0.2:
        return
    tier = settings.TIERS[used.tier]
    yield Measure.SANDBOX_SECONDS, 0, running * 3600
    yield Measure.VCPU_SECONDS, 0, running * 3600 * tier["cpu"]
    yield Measure.MEMORY_GIB_SECONDS, 0, running * 3600 * tier["memory_gb"]
    starts = {bound_of(chance.lognormvariate(0.3, 0.6)) for _ in range(round(running))}
    yield from ((Measure.STARTS, bound, 1) for bound in starts)
    if chance.random() < 0.03 * running:
        yield Measure.EVICTIONS, 0, 1
    if chance.random() < 0.004 * running:
        yield Measure.REFUSALS, 0, 1


def _share(hour: datetime) -> float:
    """Of what runs at noon: less in the morning and the evening, little at weekends."""
    of_day = max(0.0, cos((hour.hour - NOON) / 24 * 2 * pi))
    return of_day * (0.25 if hour.weekday() >= 5 else 1.0)
