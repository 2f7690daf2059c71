"""Taking sandboxes that are gone off Convex's list, though their owner has not deleted them."""

from __future__ import annotations

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce

from sandboxes import clock
from sandboxes.models import Sandbox
from sandboxes.states import Status


def withdraw(rows: QuerySet[Sandbox]) -> int:
    """Have Convex's rows of those that are gone removed by the next push, for good; returns how many."""
    now = clock.now()
    return rows.filter(status=Status.GONE, convex_withdrawn=False).update(
        convex_withdrawn=True,
        revision=F("revision") + 1,
        dirty_since=Coalesce("dirty_since", now),
        convex_next_push_at=now,
    )
