"""The pump: each worker, once a second and with no remote call, enqueues what is due.

Liveness hangs on nothing else: a task that was lost, or left RUNNING by a killed worker, is enqueued again here.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction

from sandboxes import clock
from sandboxes.models import Operation, Sandbox
from sandboxes.services import projection
from sandboxes.services.queue import enqueue

if TYPE_CHECKING:
    from uuid import UUID

BATCH = 500
# A row that was enqueued is not due again before then: long enough for a busy queue, short enough to be safe.
AGAIN_AFTER = timedelta(seconds=20)


def due() -> int:
    """Enqueue operations past `due_at`, sandboxes past `fetch_due_at`, projections past `due_at`.

    Returns how many tasks were enqueued.
    """
    now = clock.now()
    return _operations(now) + _sandboxes(now) + projection.enqueue_due(now)


def _operations(now: datetime) -> int:
    with transaction.atomic():
        rows = Operation.objects.active().filter(due_at__lte=now).order_by("due_at")
        found = _claimed(rows.values_list("pk", flat=True))
        Operation.objects.filter(pk__in=found).update(due_at=now + AGAIN_AFTER)
        for pk in found:
            enqueue("advance_operation", pk)
    return len(found)


def _sandboxes(now: datetime) -> int:
    with transaction.atomic():
        rows = Sandbox.objects.filter(fetch_due_at__lte=now).order_by("fetch_due_at")
        found = _claimed(rows.values_list("pk", flat=True))
        Sandbox.objects.filter(pk__in=found).update(fetch_due_at=now + AGAIN_AFTER)
        for pk in found:
            enqueue("observe_sandbox", pk)
    return len(found)


def _claimed(rows: object) -> list[UUID]:
    """Lock what another worker's pump has not locked already; on SQLite the transaction is the lock."""
    return list(rows.select_for_update(skip_locked=True)[:BATCH])  # type: ignore[attr-defined]
