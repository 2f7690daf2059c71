"""Retention: what is old and done with goes, in batches; each kind of row has its own setting."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction

from sandboxes import clock
from sandboxes.core.vocabulary import EventKind
from sandboxes.models import (
    AuditEntry,
    ConvexProjection,
    DaytonaCall,
    Delivery,
    IdempotencyAnswer,
    Job,
    Notice,
    Operation,
    Sandbox,
    SandboxEvent,
    Sweep,
    UsageHour,
)
from sandboxes.services import feed, projection
from sandboxes.services.rows import in_chunks

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model, QuerySet

BATCH = 500


def prune(*, dry_run: bool = False, beat: Callable[[], None] = lambda: None) -> dict[str, int]:
    """Delete what is older than its retention; returns how many rows of each kind (dry run: would go).

    `beat` is called between batches and may raise to end it there.
    """
    now = clock.now()
    if not dry_run:
        _withdraw_tombstones(now, beat)
        feed.expire(now - timedelta(days=settings.RETENTION_DAYS["events"]))
    return {name: _count(rows) if dry_run else _delete(rows, beat) for name, rows in expired(now).items()}


def expired(now: datetime) -> dict[str, QuerySet[Any]]:
    """The rows past their retention, by the name of its setting in RETENTION_DAYS."""

    def before(name: str) -> datetime:
        return now - timedelta(days=settings.RETENTION_DAYS[name])

    return {
        "tombstones": settled_tombstones(before("tombstones")),
        "operations": Operation.objects.filter(finished_at__lt=before("operations")).ended(),
        "events": SandboxEvent.objects.filter(at__lt=before("events")),
        "deliveries": Delivery.objects.filter(died_at__lt=before("deliveries")),
        "idempotency": IdempotencyAnswer.objects.filter(created_at__lt=before("idempotency")),
        "notices": Notice.objects.filter(closed_at__lt=before("notices")),
        "jobs": Job.objects.filter(finished_at__lt=before("jobs")),
        "sweeps": Sweep.objects.filter(started_at__lt=before("sweeps")),
        "usage": UsageHour.objects.filter(hour__lt=before("usage")),
        "audit": AuditEntry.objects.filter(keep_until__lt=now),
    }


def settled_tombstones(before: datetime) -> QuerySet[Sandbox]:
    """Gone for long, no longer shown by Convex, nothing to wait for; their timeline goes with them."""
    gone = Sandbox.objects.idle().filter(deleted_at__lt=before, projection__resend_at=None)
    in_doubt = DaytonaCall.objects.in_doubt().filter(in_doubt_until__gte=before)
    settled = gone.exclude(pk__in=in_doubt.values("sandbox"))
    return settled.filter(projection__known=False) if projection.is_used() else settled


def _withdraw_tombstones(now: datetime, beat: Callable[[], None]) -> None:
    """A row that Convex still shows would be known to nobody: it is taken off first, and ours goes next time."""
    if not projection.is_used():
        return
    before = now - timedelta(days=settings.RETENTION_DAYS["tombstones"])
    shown = ConvexProjection.objects.filter(sandbox__deleted_at__lt=before, known=True, withdrawn=False)
    for rows in in_chunks(shown.only("pk"), BATCH):
        beat()
        ConvexProjection.objects.filter(pk__in=[row.pk for row in rows]).withdraw()


def _count(rows: QuerySet[Any]) -> int:
    return rows.count()


def _delete(rows: QuerySet[Any], beat: Callable[[], None]) -> int:
    """Batch by batch, so that no lock is held for long. Returns the rows themselves, not what went with them."""
    model: type[Model] = rows.model
    total = 0
    while batch := list(rows.order_by().values_list("pk", flat=True)[:BATCH]):
        beat()
        with transaction.atomic():
            if model is Sandbox:
                # Locked before what hangs on them, as whoever changes a sandbox does it.
                doomed = Sandbox.objects.filter(pk__in=batch).order_by("pk").select_for_update()
                feed.tell_removed(doomed, EventKind.PRUNED)
            model._default_manager.filter(pk__in=batch).delete()
        total += len(batch)
    return total
