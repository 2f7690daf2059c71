"""How many calls Daytona takes, shared by all workers: a row per bucket of its throttling.

Daytona counts the calls of an organisation in windows, and says with each answer how large a window is and when it
ends. Before a call under a limit a worker takes a share of the window; what a 429 or a refused key says to one of
them holds for all.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from sandboxes import clock
from sandboxes.models import CallBudget

KEY = "key"  # the bucket of the API key itself: closed while it is refused
MARGIN = 0.1  # seconds that a window here ends after Daytona's


def grant(bucket: str, most: int) -> tuple[int, float]:
    """Take up to so many calls of the present window; returns how many, and the seconds until it ends."""
    with transaction.atomic():
        row = CallBudget.objects.select_for_update().filter(pk=bucket).first()
        if row is None:  # its limit was just learned, and is being written
            return most, MARGIN
        now = clock.now()
        if row.closed_until is not None and row.closed_until > now:
            return 0, (row.closed_until - now).total_seconds()
        if row.ends_at is None or row.ends_at <= now:
            row.taken, row.ends_at = 0, now + timedelta(seconds=row.window + MARGIN)
        granted = max(0, min(most, row.limit - row.taken))
        row.taken += granted
        row.save(update_fields=["taken", "ends_at"])
        return granted, (row.ends_at - now).total_seconds()


def learn(bucket: str, limit: int, remaining: int, reset: float) -> None:
    """Daytona said so: of `limit` calls in the present window `remaining` are left, and it ends in `reset` seconds.

    It rounds these up, so that of two ends of the same window the earlier one is nearer to the truth.
    """
    with transaction.atomic():
        row, _ = CallBudget.objects.select_for_update().get_or_create(pk=bucket, defaults={"limit": limit})
        row.limit, row.window = limit, max(row.window, reset)
        now = clock.now()
        ends_at = now + timedelta(seconds=reset + MARGIN)
        row.ends_at = min(row.ends_at, ends_at) if row.ends_at is not None and row.ends_at > now else ends_at
        row.taken = max(row.taken, limit - remaining)
        row.save()


def close(bucket: str, seconds: float) -> None:
    """No call of this bucket for so long: a window of Daytona's that is used up, or a key that it refuses."""
    until = clock.now() + timedelta(seconds=seconds)
    CallBudget.objects.update_or_create(pk=bucket, defaults={"closed_until": until, "ends_at": until})


def reopen(bucket: str) -> None:
    CallBudget.objects.filter(pk=bucket, closed_until__isnull=False).update(closed_until=None)


def read() -> tuple[dict[str, int], dict[str, float]]:
    """The limit of each bucket that has one; and of those that are closed the seconds until they are not."""
    limits, closed = {}, {}
    for row in CallBudget.objects.annotate(present=clock.present()):
        if row.limit:
            limits[row.bucket] = row.limit
        if left := _left(row.closed_until, row.present):
            closed[row.bucket] = left
    return limits, closed


def _left(until: datetime | None, now: datetime) -> float:
    return max(0.0, (until - now).total_seconds()) if until is not None else 0.0
