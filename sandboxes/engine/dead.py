"""What dead workers held is free as soon as another one misses their signs of life, not only after the lease."""

from __future__ import annotations

import structlog
from django.db import transaction

from sandboxes import clock
from sandboxes.models import Delivery, Job, Operation, Sandbox, WorkerHeartbeat
from sandboxes.services import heartbeat

log = structlog.get_logger(__name__)


def free_the_held() -> int:
    """Give back the leases of workers that fell silent; returns how many sandboxes they held."""
    return sum(_free(worker) for worker in heartbeat.silent().filter(freed_at=None))


def _free(worker: WorkerHeartbeat) -> int:
    mine = f"{holder_of(worker.worker_id)}:"
    with transaction.atomic():
        now = clock.now()
        # By what is waiting, which is little: no index has the leases.
        with_operation = Operation.objects.active().filter(sandbox__lease_token__startswith=mine)
        ids = list(with_operation.values_list("sandbox_id", flat=True))
        Operation.objects.active().filter(sandbox__in=ids).update(due_at=now)
        held = Sandbox.objects.filter(fetch_due_at__isnull=False, lease_token__startswith=mine)
        freed = held.update(lease_token="", lease_until=None, fetch_due_at=now)
        rest = Sandbox.objects.filter(pk__in=ids, lease_token__startswith=mine)
        freed += rest.update(lease_token="", lease_until=None)
        sending = Delivery.objects.filter(due_at__isnull=False, lease_token__startswith=mine)
        sending.update(lease_token="", lease_until=None, due_at=now)
        jobs = Job.objects.filter(due_at__isnull=False, lease_token__startswith=mine)
        jobs.update(lease_token="", lease_until=None, due_at=now)
        WorkerHeartbeat.objects.filter(pk=worker.pk).update(freed_at=now)
    log.warning("dead_worker_freed", worker=worker.worker_id, sandboxes=freed)
    return freed


def holder_of(worker_id: str) -> str:
    """What the leases of a worker begin with."""
    return worker_id.rsplit("-", 1)[-1]
