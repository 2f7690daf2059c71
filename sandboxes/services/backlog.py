"""How much is due, and since when: the numbers that the doctor, the dashboard, the metrics and the alerts read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Min

from sandboxes.core.vocabulary import ActorKind
from sandboxes.models import ConvexProjection, Job, Operation, Sandbox
from sandboxes.services import projection

if TYPE_CHECKING:
    from django.db.models import QuerySet

LATE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What of one lane is due and in nobody's hands: what a worker has taken is due again only if it dies."""

    lane: str
    rows: int
    oldest: timedelta

    @property
    def is_late(self) -> bool:
        return self.oldest > LATE


def waiting(now: datetime) -> list[Waiting]:
    """By lane, the most urgent first."""
    active = Operation.objects.active()
    lanes: dict[str, tuple[QuerySet[Any], str]] = {
        "people": (active.exclude(actor_kind=ActorKind.SYSTEM), "due_at"),
        "system": (active.filter(actor_kind=ActorKind.SYSTEM), "due_at"),
        "jobs": (Job.objects.all(), "due_at"),
        "fetches": (Sandbox.objects.all(), "fetch_due_at"),
        "pushes": (ConvexProjection.objects.all(), "due_at"),
        "touches": (Sandbox.objects.all(), "touch_due_at"),
    }
    if not projection.is_used():
        del lanes["pushes"]
    return [_waiting(lane, rows.filter(**{f"{due}__lte": now}), due, now) for lane, (rows, due) in lanes.items()]


def _waiting(lane: str, rows: QuerySet[Any], due: str, now: datetime) -> Waiting:
    found = rows.aggregate(number=Count("pk"), oldest=Min(due))
    return Waiting(lane, found["number"], now - (found["oldest"] or now))


def failing() -> int:
    """Sandboxes whose latest attempt ended with an error of our own."""
    return Sandbox.objects.filter(failures__gt=0).count()
