"""How many operations an owner may begin in an hour: a counter on the owner's row, so that nothing is scanned."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Case, F, Q, When

from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Action, Actor, ActorKind
from sandboxes.models import Owner

UNLIMITED = frozenset({ActorKind.STAFF, ActorKind.SYSTEM})


def spend(owner_id: str, actor: Actor, action: Action, *, now: datetime) -> None:
    """Count one new operation; the caller's transaction takes it back where nothing comes of it.

    Raises:
        Refused: OPERATION_BUDGET_SPENT, with `retry_after`.
    """
    if grant(owner_id, 1, actor, action, now=now) < 1:
        raise spent(now)


def grant(owner_id: str, count: int, actor: Actor, action: Action, *, now: datetime) -> int:
    """Count up to `count` new operations; returns how many there was room for.

    A delete is always granted, as it cannot be repeated.
    """
    limit: int = settings.OPERATIONS_PER_OWNER_PER_HOUR
    if not limit or actor.kind in UNLIMITED or action == Action.DELETE:
        return count
    hour = _hour(now)
    wanted = min(count, limit)
    while wanted > 0 and not _count(owner_id, wanted, hour, limit=limit):
        used = Owner.objects.values_list("operations_in_hour", flat=True).get(pk=owner_id)
        wanted = min(wanted - 1, limit - used)
    return max(wanted, 0)


def spent(now: datetime) -> Refused:
    left = _hour(now) + timedelta(hours=1) - now
    return Refused(
        Code.OPERATION_BUDGET_SPENT,
        f"The owner's sandboxes had {settings.OPERATIONS_PER_OWNER_PER_HOUR} operations in this hour.",
        retry_after=left.total_seconds(),
    )


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)


def _count(owner_id: str, count: int, hour: datetime, *, limit: int) -> bool:
    """Of two at once the second waits for the first one's row, and counts on from there."""
    room = ~Q(operations_hour=hour) | Q(operations_in_hour__lte=limit - count)
    counted = Case(When(operations_hour=hour, then=F("operations_in_hour") + count), default=count)
    rows = Owner.objects.filter(room, pk=owner_id)
    return rows.update(operations_in_hour=counted, operations_hour=hour) == 1
