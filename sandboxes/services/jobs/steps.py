"""work(): the next items of the job that has waited longest, requested as its member of staff would.

Each step may be done twice or broken off anywhere: what was requested is known by the job's request id, and what
was not is still waiting.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import structlog
from django.contrib.auth import get_user_model
from django.db import DatabaseError, transaction

from project.readable import cut
from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Actor, ItemResult, Source
from sandboxes.models import Job, JobItem, Operation, Sandbox
from sandboxes.models.bulk import update_each
from sandboxes.services import audit, lifecycle
from sandboxes.services.jobs.create import cancel
from sandboxes.services.staff_actions import STAFF_ACTIONS, StaffAction, Wish, perform

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

log = structlog.get_logger(__name__)
TOGETHER = 200  # items of one step
LEASE_SECONDS = 60.0
TRIED = 5  # due jobs that another worker may be faster to take
STEP_SECONDS = 20.0  # what is done one by one goes on for no longer: others wait, and the lease runs out
NO_DATABASE = "The database did not answer in time."


@dataclass(frozen=True, slots=True)
class StepResult:
    """What came of one item."""

    result: ItemResult
    code: str = ""
    message: str = ""
    operation: Operation | None = None


def work(*, holder: str = "") -> bool:
    """Do the next items; False where no job is due. A step that breaks is due again when its lease has ended."""
    claimed = _claim(holder)
    if claimed is None:
        return False
    job, token = claimed
    with _in_the_name_of(job):
        _cancel_without_permission(job)
        items = list(job.items.filter(result=ItemResult.WAITING).order_by("pk")[:TOGETHER])
        _write(job, token, _results(job, items))
    return True


def _claim(holder: str) -> tuple[Job, str] | None:
    """Jobs take turns: the one whose last step is longest ago is first."""
    token = f"{holder}:{uuid4().hex[:12]}"[-40:]
    until = clock.present(plus=timedelta(seconds=LEASE_SECONDS))
    due = Job.objects.free().filter(due_at__lte=clock.present()).order_by("due_at")
    for job in due[:TRIED]:
        if Job.objects.filter(pk=job.pk, finished_at=None).claim(LEASE_SECONDS, token=token, due_at=until):
            return job, token
    return None


@contextmanager
def _in_the_name_of(job: Job) -> Iterator[None]:
    """What is logged and audited meanwhile names the job, and where it was asked for."""
    address = audit.client.set(job.address)
    try:
        with structlog.contextvars.bound_contextvars(request_id=job.request_id):
            yield
    finally:
        audit.client.reset(address)


def _cancel_without_permission(job: Job) -> None:
    """Whoever may not act any more acts through no job either."""
    users = get_user_model()._default_manager
    user = users.filter(is_active=True, is_staff=True, **{users.model.USERNAME_FIELD: job.actor_id}).first()
    if user is None or not user.has_perm(STAFF_ACTIONS[job.action].permission):
        cancel(job.pk, actor=Actor.system("jobs"), reason=f"{job.actor_id} may not do this any more.")


def _results(job: Job, items: list[JobItem]) -> dict[JobItem, StepResult]:
    what = STAFF_ACTIONS[job.action]
    wish = Wish(
        actor=Actor.staff(job.actor_id), request_id=job.request_id, reason=job.reason,
        parameters=what.parameters.from_data(job.parameters),
    )  # fmt: skip
    results = _requested_before(job, items)
    todo = [item for item in items if item not in results]
    results |= _without_effect(what, todo)
    todo = [item for item in todo if item not in results]
    return results | (_together(job, what, todo, wish) if what.action else _one_by_one(what, todo, wish))


def _requested_before(job: Job, items: list[JobItem]) -> dict[JobItem, StepResult]:
    """Those whose request a process made that died before it could write it down here."""
    made = Operation.objects.filter(request_id=job.request_id, sandbox__in=_ids(items))
    found = {operation.sandbox_id: StepResult(ItemResult.REQUESTED, operation=operation) for operation in made}
    return {item: found[item.sandbox_id] for item in items if item.sandbox_id in found}


def _without_effect(what: StaffAction, items: list[JobItem]) -> dict[JobItem, StepResult]:
    rows = Sandbox.objects.with_stuck(clock.here()).in_bulk(_ids(items))
    operations = Operation.objects.active().with_whether_called().filter(sandbox__in=list(rows))
    active = {operation.sandbox_id: operation for operation in operations}
    why = {
        item: what.pointless(rows[item.sandbox_id], active.get(item.sandbox_id))
        for item in items
        if item.sandbox_id in rows
    }
    return {item: StepResult(ItemResult.SKIPPED, message=text) for item, text in why.items() if text}


def _ids(items: list[JobItem]) -> list[UUID]:
    return [item.sandbox_id for item in items if item.sandbox_id is not None]


def _together(job: Job, what: StaffAction, items: list[JobItem], wish: Wish) -> dict[JobItem, StepResult]:
    if not items:
        return {}
    assert what.action is not None
    found = lifecycle.request_many(
        [str(item.sandbox_id) for item in items], what.action, actor=wish.actor, source=Source.ADMIN,
        reason=wish.reason, parameters=wish.parameters, request_id=wish.request_id, asked_at=job.created_at,
    )  # fmt: skip
    return {item: _result_of(item, found[str(item.sandbox_id)]) for item in items}


def _one_by_one(what: StaffAction, items: list[JobItem], wish: Wish) -> dict[JobItem, StepResult]:
    results: dict[JobItem, StepResult] = {}
    ends = clock.monotonic() + STEP_SECONDS
    for item in items:
        if clock.monotonic() > ends:
            break
        assert item.sandbox_id is not None
        try:
            results[item] = _result_of(item, perform(what, item.sandbox_id, wish))
        except (Refused, DatabaseError) as error:
            results[item] = _result_of(item, error)
    return results


def _result_of(item: JobItem, came: Operation | Exception | None) -> StepResult:
    if isinstance(came, Refused):
        return StepResult(ItemResult.SKIPPED, code=came.code, message=came.detail)
    if isinstance(came, Exception):
        log.error("job_item_failed", sandbox_id=str(item.sandbox_id), exc_info=came)
        is_database = isinstance(came, DatabaseError)
        return StepResult(
            ItemResult.FAILED, Code.INTERNAL_ERROR, NO_DATABASE if is_database else type(came).__name__
        )
    return StepResult(ItemResult.DONE) if came is None else StepResult(ItemResult.REQUESTED, operation=came)


def _write(job: Job, token: str, results: dict[JobItem, StepResult]) -> None:
    """Write down what came of it, and let the job go; nothing where another worker has taken it over."""
    with transaction.atomic():
        held = Job.objects.held(token).filter(pk=job.pk)
        if not held.select_for_update().exists():
            return
        for item, came in results.items():
            item.result, item.code, item.message = came.result, came.code, cut(came.message, 500)
            item.operation = came.operation
        update_each(list(results), ("result", "code", "message", "operation"))
        now = clock.now()
        if job.items.filter(result=ItemResult.WAITING).exists():
            held.release(token, due_at=now)
        else:
            held.release(token, due_at=None, finished_at=now)
