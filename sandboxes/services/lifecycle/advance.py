"""advance(): one short tick of one operation. Any worker may run it, twice or never; the rows are the truth."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings

from sandboxes import clock, planner
from sandboxes.codes import Code
from sandboxes.gateways.daytona import DaytonaGateway, gateway
from sandboxes.gateways.daytona_errors import DaytonaError
from sandboxes.models import Operation, Sandbox, SandboxEvent
from sandboxes.services import capacity, record
from sandboxes.services.lifecycle import call
from sandboxes.services.lifecycle.begin import deadline_for, finish, restore_intent
from sandboxes.services.lifecycle.create_end import convex_verdict, end_failed_create, undo_create
from sandboxes.services.lifecycle.look import Look, look, note
from sandboxes.services.queue import enqueue
from sandboxes.states import ACTIVE, Action, OperationStatus

log = structlog.get_logger(__name__)
FIRST_PAUSE, LONGEST_PAUSE_INSIDE = 0.05, 0.25
LONGEST_PAUSE = 10.0  # between two ticks of a living worker; more than that is time in which nobody looked


@dataclass(frozen=True, slots=True)
class Next:
    """When to look again, in seconds. `backoff` lets the pause grow with each look that changes nothing."""

    seconds: float
    why: str
    counted: bool = True
    backoff: bool = True


class _Ended(Exception):
    """The operation is no longer active: it has ended, or was superseded or cancelled meanwhile."""


def advance(operation_id: UUID) -> bool:
    """One tick: observe, plan, act, until it has to wait longer than a second.

    Returns whether there was anything to do: False for an operation that has ended, or whose sandbox another
    worker is busy with.
    """
    operation = Operation.objects.filter(pk=operation_id).first()
    if operation is None or not operation.is_active:
        return False
    token = record.claim(operation.sandbox_id)
    if token is None:
        _come_back(operation)
        return False
    structlog.contextvars.bind_contextvars(
        operation_id=str(operation.pk), sandbox_id=str(operation.sandbox_id), request_id=operation.request_id
    )
    try:
        _tick(operation.pk, operation.sandbox_id, token)
    except record.LostLease:
        log.info("lease_lost")
    finally:
        record.release(operation.sandbox_id, token)
        structlog.contextvars.unbind_contextvars("operation_id", "sandbox_id", "request_id")
    _hand_over(operation)
    return True


def _come_back(operation: Operation) -> None:
    """Whoever holds the sandbox may be dead: it is looked at again as soon as the lease is over, not later."""
    until = Sandbox.objects.values_list("lease_until", flat=True).get(pk=operation.sandbox_id)
    if until is not None:
        later = Operation.objects.filter(pk=operation.pk, status__in=ACTIVE, next_check_at__gt=until)
        later.update(next_check_at=until)


def _hand_over(operation: Operation) -> None:
    """A request that came during the tick found the sandbox taken: its turn is now, not a second later."""
    successor = record.active_operation(operation.sandbox_id)
    if successor is not None and successor.pk != operation.pk:
        enqueue("advance_operation", successor.pk)


def _tick(operation_id: UUID, sandbox_id: UUID, token: str) -> None:
    ends = time.monotonic() + settings.TICK_SECONDS
    pause = FIRST_PAUSE
    try:
        while True:
            after = _step(operation_id, sandbox_id, token)
            wait = min(pause, after.seconds) if after.backoff else after.seconds
            if time.monotonic() + wait > ends or after.seconds > settings.TICK_SECONDS:
                return
            time.sleep(wait)
            pause = min(pause * 1.6, LONGEST_PAUSE_INSIDE)
    except _Ended:
        return


def _step(operation_id: UUID, sandbox_id: UUID, token: str) -> Next:
    """Observe, plan, and make at most one call."""
    operation = Operation.objects.select_related("sandbox").get(pk=operation_id)
    if not operation.is_active:
        raise _Ended
    try:
        daytona = gateway()
        if "room" in operation.progress:
            capacity.seek(daytona, operation.sandbox, operation)
        seen = look(daytona, operation.sandbox)
    except DaytonaError as error:
        return _schedule(operation_id, sandbox_id, token, call.meaning(error))
    planned = _plan(operation_id, sandbox_id, token, seen)
    if isinstance(planned, Next):
        return planned
    return _call(daytona, operation_id, sandbox_id, token, planned.name)


def _current(operation_id: UUID) -> Operation:
    """The operation, read while its sandbox is locked; raises _Ended when it is no longer active."""
    operation = Operation.objects.get(pk=operation_id)
    if not operation.is_active:
        raise _Ended
    return operation


def _schedule(operation_id: UUID, sandbox_id: UUID, token: str, answer: call.Answer) -> Next:
    """Daytona could not be asked: nothing is known, the operation says so and waits."""
    with record.locked(sandbox_id, token=token):
        operation = _current(operation_id)
        _credit(operation, _since_last(operation, now=clock.now()))
        return _wait(operation, Next(answer.pause, answer.why, counted=False, backoff=False), now=clock.now())


def _plan(operation_id: UUID, sandbox_id: UUID, token: str, seen: Look) -> Next | planner.Call:
    """Record what was seen and decide; writes the intended call before it is made."""
    with record.locked(sandbox_id, token=token) as row:
        now = clock.now()
        operation = _current(operation_id)
        note(row, seen, now=now)
        _began(operation, now=now)
        step = _decide(row, operation, seen, now=now)
        if isinstance(step, planner.Call):
            return _prepare(row, operation, step, now=now)
        if isinstance(step, planner.Wait):
            record.settle(row, active=operation, now=now)
            return _wait(operation, Next(step.seconds, step.why, counted=step.actionable), now=now)
        _end(row, operation, step, now=now)
    raise _Ended


def _began(operation: Operation, *, now: datetime) -> None:
    if operation.status == OperationStatus.QUEUED:
        operation.status = OperationStatus.IN_PROGRESS
        operation.started_at = now


def _decide(row: Sandbox, operation: Operation, seen: Look, *, now: datetime) -> planner.Step:
    """The planner's step, and what stands above it: a rejected call, Convex's verdict, the deadline."""
    if operation.action == Action.SYNC and seen.remote is None and not seen.foreign and row.deleted_at is None:
        return planner.Done()  # it looked; a lone 404 is recorded and believed slowly
    if seen.foreign and operation.action in (Action.CREATE, Action.START):
        return planner.Fail(Code.NAME_TAKEN)
    calls = planner.Calls(
        awaiting=call.awaiting(row, now=now),
        recovered=any(c["name"] == "recover" and c["outcome"] != "refused" for c in operation.calls),
    )
    step = planner.plan(operation.action, row.seen, calls)
    if row.missing_since is not None and row.deleted_at is None and not isinstance(step, planner.Wait):
        step = planner.Wait(
            5, "Daytona does not find it; waiting to be sure"
        )  # what was seen before proves nothing
    if isinstance(step, planner.Done) and operation.action == Action.CREATE:
        step = convex_verdict(row, operation, now=now)
    if isinstance(step, planner.Call):
        step = _before_calling(operation, step, now=now)
    return _within_time(row, operation, seen, step, now=now)


def _before_calling(operation: Operation, step: planner.Call, *, now: datetime) -> planner.Step:
    if capacity.exhausted(operation):
        return planner.Fail(Code.CAPACITY_EXHAUSTED)
    if call.was_rejected(operation, step.name, now=now):
        return planner.Fail(Code.DAYTONA_REJECTED)
    return step


def _within_time(
    row: Sandbox, operation: Operation, seen: Look, step: planner.Step, *, now: datetime
) -> planner.Step:
    """Past the deadline: what was seen stands, otherwise the operation fails. Time in which Daytona's state had
    to be waited out, or in which no worker looked, does not count."""
    if operation.deadline is None or not isinstance(step, planner.Call | planner.Wait):
        return step
    unseen = row.deleted_at is None and seen.remote is None and row.daytona_id is not None
    waits_out = isinstance(step, planner.Wait) and not step.actionable
    elapsed = _since_last(operation, now=now)
    _credit(operation, elapsed if waits_out or unseen else max(elapsed - LONGEST_PAUSE, 0))
    if now <= operation.deadline:
        return step
    searching = "room" in operation.progress
    return planner.Fail(Code.CAPACITY_EXHAUSTED if searching else Code.TIMEOUT)


def _since_last(operation: Operation, *, now: datetime) -> float:
    return (now - (operation.ticked_at or operation.created_at)).total_seconds()


def _credit(operation: Operation, seconds: float) -> None:
    """These seconds do not count against the deadline."""
    if operation.deadline is not None:
        operation.deadline += timedelta(seconds=seconds)


def _prepare(row: Sandbox, operation: Operation, step: planner.Call, *, now: datetime) -> Next | planner.Call:
    if capacity.is_to_wait(operation, now=now):
        record.settle(row, active=operation, now=now)
        return _wait(operation, Next(0.3, "waiting for capacity"), now=now)
    call.mark(row, operation, step.name, now=now)
    operation.step = f"asking Daytona to {step.name}"
    if operation.action == Action.ARCHIVE and step.name == "stop":
        operation.step = "stopping before archive"
    operation.ticked_at = now
    operation.save()
    record.settle(row, active=operation, now=now)
    return step


def _call(daytona: DaytonaGateway, operation_id: UUID, sandbox_id: UUID, token: str, name: str) -> Next:
    row = Sandbox.objects.get(pk=sandbox_id)
    answer = call.make(daytona, row, name)
    with record.locked(sandbox_id, token=token) as row:
        now = clock.now()
        operation = Operation.objects.get(pk=operation_id)
        call.note(row, operation, answer)
        words = f"{name}: {answer.outcome}"
        record.event(
            row, SandboxEvent.Kind.CALL, words, operation=operation, at=now,
            data={"words": answer.rejected or (answer.quota.message if answer.quota else "")},
        )  # fmt: skip
        if answer.remote is not None and row.daytona_id is None:
            row.daytona_id, row.organization_id = answer.remote.id, answer.remote.organization_id
        if not operation.is_active:
            record.settle(row, active=record.active_operation(row.pk), now=now)
            operation.save(update_fields=["calls"])
        else:
            return _after_call(row, operation, answer, now=now)
    raise _Ended


def _after_call(row: Sandbox, operation: Operation, answer: call.Answer, *, now: datetime) -> Next:
    if answer.outcome == call.Outcome.ACCEPTED:
        operation.deadline = deadline_for(row, operation.action, now=now)
        operation.attempt = 0
        capacity.leave(operation)
        operation.progress = {k: v for k, v in operation.progress.items() if k != "room"}
    if answer.quota is not None:
        answer = capacity.refused(row, operation, answer, now=now)
    if answer.fail is not None:
        _end(row, operation, planner.Fail(answer.fail), now=now, words=answer.rejected)
        return Next(settings.TICK_SECONDS + 1, "", backoff=False)
    record.settle(row, active=operation, now=now)
    return _wait(operation, Next(answer.pause, answer.why, counted=answer.counted), now=now)


def _wait(operation: Operation, after: Next, *, now: datetime) -> Next:
    """Schedule the next tick, with a backoff and jitter: a state that does not move is looked at less and less."""
    operation.attempt += 1
    grown = min(settings.RETRY_BASE_SECONDS * 1.5 ** (operation.attempt // 8), LONGEST_PAUSE)
    seconds = max(after.seconds, grown * random.uniform(0.5, 1.0))
    operation.step = after.why[:200]
    operation.next_check_at = now + timedelta(seconds=seconds)
    operation.ticked_at = now
    operation.save()
    return after


def _end(row: Sandbox, operation: Operation, step: planner.Step, *, now: datetime, words: str = "") -> None:
    capacity.leave(operation)
    if isinstance(step, planner.Done):
        if operation.action == Action.DELETE:
            record.gone(row, now=now)
        finish(row, operation, OperationStatus.SUCCEEDED, now=now)
        return
    assert isinstance(step, planner.Fail)
    message = words or _words(row, operation, step.code)
    if step.code == Code.SANDBOX_LIMIT_REACHED:
        undo_create(row, operation, now=now)
        return
    if operation.action == Action.CREATE and row.daytona_id is None:
        end_failed_create(row, operation, step.code, message, now=now)
        return
    if not operation.has_called:
        restore_intent(row, operation, now=now)
    finish(row, operation, OperationStatus.FAILED, now=now, code=step.code, message=message)


def _words(row: Sandbox, operation: Operation, code: Code) -> str:
    """Daytona's words for staff: of the call it refused, or of the error the sandbox is in."""
    if code == Code.DAYTONA_REJECTED:
        return str(operation.calls[-1].get("words", ""))
    if code == Code.CAPACITY_EXHAUSTED:
        return capacity.exhausted(operation)
    return row.error_reason if code in (Code.SANDBOX_ERRORED, Code.SANDBOX_UNRECOVERABLE) else ""
