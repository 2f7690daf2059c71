"""create() and cancel(): what the web does of a job, in one transaction each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from project.readable import cut
from sandboxes import clock
from sandboxes.core.vocabulary import Actor, AuditAction, ItemResult
from sandboxes.models import Job, JobItem, Sandbox
from sandboxes.services import audit
from sandboxes.services.wake import wake

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from uuid import UUID

    from sandboxes.services.staff_actions import Wish

INSERTED_TOGETHER = 1000


def create(action: str, ids: Sequence[UUID], wish: Wish, *, left_out: Mapping[UUID, str], query: str = "") -> Job:
    """A job that is due now, of these sandboxes in this order; those `left_out` are listed with the reason alone.

    What does not exist any more is in neither.
    """
    now = clock.now()
    with transaction.atomic():
        job = Job(
            action=action, actor_id=wish.actor.id, reason=cut(wish.reason, 500),
            parameters=wish.parameters.as_data(), query=query, address=cut(audit.client.get(), 300),
            total=0, created_at=now, due_at=now,
        )  # fmt: skip
        job.save(force_insert=True)
        for start in range(0, len(ids), INSERTED_TOGETHER):
            job.total += len(JobItem.objects.bulk_create(_items(job, ids[start : start + INSERTED_TOGETHER], {})))
        job.total += len(JobItem.objects.bulk_create(_items(job, list(left_out), left_out)))
        job.save(update_fields=["total"])
        audit.write(
            AuditAction.JOB, actor=wish.actor, about=job, reason=wish.reason,
            after={"action": action, "sandboxes": job.total, "list": query},
        )  # fmt: skip
        wake()
    return job


def _items(job: Job, ids: Sequence[UUID], left_out: Mapping[UUID, str]) -> Iterator[JobItem]:
    found = Sandbox.objects.only("pk", "name", "daytona_name", "owner_id").in_bulk(list(ids))
    for pk in ids:
        if (row := found.get(pk)) is not None:
            why = left_out.get(pk, "")
            result = ItemResult.SKIPPED if why else ItemResult.WAITING
            yield JobItem(
                job=job, sandbox_id=pk, name=row.display_name, owner=row.owner_id, result=result,
                message=cut(why, 500),
            )  # fmt: skip


def cancel(job_id: UUID, *, actor: Actor, reason: str = "") -> bool:
    """Leave alone what was not requested yet; False where nothing was left, or it was cancelled before."""
    with transaction.atomic():  # the job is locked first, as by whoever writes down what came of its items
        open_ = Job.objects.filter(pk=job_id, finished_at=None, cancelled_at=None)
        said = {"cancelled_by": str(actor), "cancelled_because": cut(reason, 500)}
        if open_.update(cancelled_at=clock.now(), **said) != 1:
            return False
        waiting = JobItem.objects.filter(job=job_id, result=ItemResult.WAITING)
        waiting.update(result=ItemResult.CANCELLED, message="It was left alone: the job was cancelled.")
        audit.write(AuditAction.JOB_CANCELLED, actor=actor, about=Job.objects.get(pk=job_id), reason=reason)
    return True
