"""advance(): one short tick of one operation. Any worker may run it, twice or never; the rows are the truth."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import F, OuterRef, Subquery

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
from sandboxes.services.lifecycle.rules import destroys
from sandboxes.services.queue import enqueue
from sandboxes.services.ranking import survives_a_stop
from sandboxes.states import ACTIVE, INTENT_OF, Action, ActorKind, OperationStatus, Source

log = structlog.get_logger(__name__)
FIRST_PAUSE, LONGEST_PAUSE_INSIDE = 0.05, 0.25
# A look reads no more than this.
TO_LOOK = (
    "status", "progress", "request_id", "sandbox__daytona_id", "sandbox__daytona_name", "sandbox__missing_since",
)  # fmt: skip
STARTING_CALLS = frozenset({"create", "start", "recover"})
LONGEST_PAUSE = 10.0  # between two ticks of a living worker; more than that is time in which nobody looked


@dataclass(frozen=True, slots=True)
class Next:
    """When to look again, in seconds. `backoff` lets the pause grow with each look that changes nothing."""

    seconds: float
    why: str
    backoff: bool = True


class _Ended(Exception):
    """The operation is no longer active: it has ended, or was superseded or cancelled meanwhile."""


@dataclass(slots=True)
class _Tick:
    """One turn of a worker on one operation, under the sandbox's lease, until `is_over`."""

    operation_id: UUID
    sandbox_id: UUID
    token: str
    ends: float
    pause: float = FIRST_PAUSE
    wait: float = 0.0
    is_over: bool = False

    def rest(self, row: Sandbox, after: Next) -> None:
        """Look again after `wait`, or end here."""
        self.wait = min(self.pause, after.seconds) if after.backoff else after.seconds
        self.pause = min(self.pause * 1.6, LONGEST_PAUSE_INSIDE)
        if time.monotonic() + self.wait > self.ends or after.seconds > settings.TICK_SECONDS:
            self.end(row)

    def end(self, row: Sandbox) -> None:
        """The lease goes with what is written of the row, so that a request from then on finds it free."""
        record.let_go(row)
        self.is_over = True


def advance(operation_id: UUID) -> bool:
    """One tick: observe, plan, act, until it has to wait longer than a second.

    Returns whether there was anything to do: False for an operation that has ended, or whose sandbox another
    worker is busy with.
    """
    token = record.claim_for(operation_id)
    if token is None:
        _come_back(operation_id)
        return False
    operation = _read(operation_id)
    tick = _Tick(operation_id, operation.sandbox_id, token, ends=time.monotonic() + settings.TICK_SECONDS)
    is_free = False
    with structlog.contextvars.bound_contextvars(
        operation_id=str(operation_id), sandbox_id=str(tick.sandbox_id), request_id=operation.request_id
    ):
        try:
            is_free = _run(tick, operation)
        except record.LostLease:
            log.info("lease_lost")
        finally:
            if not is_free:
                record.release(tick.sandbox_id, token)
    if not is_free:
        _hand_over(operation)
    return True


def _come_back(operation_id: UUID) -> None:
    """Whoever holds the sandbox may be dead: it is looked at again as soon as the lease is over, not later."""
    later = Operation.objects.filter(
        pk=operation_id, status__in=ACTIVE, next_check_at__gt=F("sandbox__lease_until")
    )
    until = Sandbox.objects.filter(pk=OuterRef("sandbox_id")).values("lease_until")
    later.update(next_check_at=Subquery(until))


def _hand_over(operation: Operation) -> None:
    """A request that came during the tick found the sandbox taken: its turn is now, not a second later."""
    successor = record.active_operation(operation.sandbox_id)
    if successor is not None and successor.pk != operation.pk:
        enqueue("advance_operation", successor.pk)


def _read(operation_id: UUID) -> Operation:
    """What a look needs to know, and the database's time; all else is read under the lock."""
    rows = Operation.objects.select_related("sandbox").annotate(present=clock.present())
    return rows.only(*TO_LOOK).get(pk=operation_id)


def _run(tick: _Tick, operation: Operation) -> bool:
    """Step after step. Returns whether the lease went with what the last one wrote."""
    try:
        while True:
            _step(tick, operation)
            if tick.is_over:
                return True
            time.sleep(tick.wait)
            operation = _read(tick.operation_id)
    except _Ended:
        return False


def _step(tick: _Tick, operation: Operation) -> None:
    """Observe, plan, and make at most one call."""
    if not operation.is_active:
        raise _Ended
    try:
        daytona = gateway()
        seen = look(daytona, operation.sandbox, now=operation.present)  # type: ignore[attr-defined]
    except DaytonaError as error:
        _postpone(tick, call.unseen(error))
        return
    planned = _plan(tick, seen)
    if planned is not None and "room" in operation.progress:
        capacity.seek(daytona, operation.sandbox, operation)
        planned = _plan_with_room(tick, planned)
    if planned is not None:
        _call(daytona, tick, planned.name)


@contextmanager
def _locked(tick: _Tick, *, active: bool = True) -> Iterator[tuple[Sandbox, Operation, datetime]]:
    """The sandbox, its operation and the time, while nobody else writes them; what was changed is saved.

    Raises _Ended when the operation is no longer active, unless that is all the same.
    """
    with record.locked(tick.sandbox_id, token=tick.token) as row:
        # The time with it saves a query, and is from after the wait for the lock.
        operation = Operation.objects.annotate(present=clock.present()).get(pk=tick.operation_id)
        now: datetime = operation.present
        was_active, before = operation.is_active, record.values(operation)
        if active and not was_active:
            raise _Ended
        yield row, operation, now
        has_just_ended = was_active and not operation.is_active  # `finish` has saved it
        if not has_just_ended and (changed := record.changes(operation, since=before)):
            operation.save(update_fields=changed)


def _postpone(tick: _Tick, answer: call.Answer) -> None:
    """Daytona could not be asked: nothing is known, the operation says so and waits."""
    with _locked(tick) as (row, operation, now):
        _wait(tick, row, operation, Next(answer.pause, answer.why, backoff=False), now=now, counted=False)


def _plan(tick: _Tick, seen: Look) -> planner.Call | None:
    """Record what was seen and decide; writes the intended call before it is made, or before room is sought
    for it."""
    with _locked(tick) as (row, operation, now):
        note(row, seen, now=now, during=operation)
        _began(operation, now=now)
        step = _decide(row, operation, seen, now=now)
        if isinstance(step, planner.Call):
            return step if "room" in operation.progress else _prepare(row, operation, step, now=now)
        if isinstance(step, planner.Wait):
            record.settle(row, active=operation, now=now)
            _wait(tick, row, operation, Next(step.seconds, step.why), now=now)
        else:
            _end(tick, row, operation, step, now=now)
    return None


def _plan_with_room(tick: _Tick, step: planner.Call) -> planner.Call | None:
    """After the search for room, which took its time: whether the call may be made now."""
    with _locked(tick) as (row, operation, now):
        after = _before_calling(row, operation, step, now=now)
        if not isinstance(after, planner.Call):
            _end(tick, row, operation, after, now=now)
        elif capacity.is_to_wait(operation, now=now):
            record.settle(row, active=operation, now=now)
            _wait(tick, row, operation, Next(0.3, "waiting for capacity"), now=now)
        else:
            return _prepare(row, operation, step, now=now)
    return None


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
        # What was seen before proves nothing.
        step = planner.Wait(_until_sure(row.missing_since, now=now), "Daytona does not find it; waiting to be sure")
    if isinstance(step, planner.Done) and operation.action == Action.CREATE:
        step = convex_verdict(row, operation, now=now)
    if isinstance(step, planner.Call):
        step = _before_calling(row, operation, step, now=now)
    return _within_time(row, operation, seen, step, now=now)


def _until_sure(missing_since: datetime, *, now: datetime) -> float:
    """Seconds until the next look at what Daytona does not find: half of the time that this has lasted, so that
    there are few looks, and one just when a second 404 would be believed."""
    age = (now - missing_since).total_seconds()
    left = settings.MISSING_CONFIRM_SECONDS - age
    pause = min(max(age / 2, settings.INTENT_RETRY_SECONDS / 2), settings.MISSING_CONFIRM_SECONDS)
    return min(pause, left) if left > 0 else pause


def _before_calling(row: Sandbox, operation: Operation, step: planner.Call, *, now: datetime) -> planner.Step:
    if step.name in STARTING_CALLS and row.owner.on_hold:
        return planner.Fail(Code.OWNER_ON_HOLD)
    if _is_doomed_victim(row, operation):
        return planner.Fail(Code.EPHEMERAL_WOULD_BE_DESTROYED)
    if no := destroys(row, operation.action, force=operation.force):
        return planner.Fail(no.code)
    if capacity.exhausted(operation):
        return planner.Fail(Code.CAPACITY_EXHAUSTED)
    if call.was_rejected(operation, step.name, now=now):
        return planner.Fail(Code.DAYTONA_REJECTED)
    return step


def _is_doomed_victim(row: Sandbox, operation: Operation) -> bool:
    """It would not come back when next needed. A stop that a person has joined is no longer the evictor's."""
    is_victim = operation.source == Source.EVICTION and operation.actor_kind == ActorKind.SYSTEM
    return is_victim and not survives_a_stop(row.observed_auto_delete)


def _within_time(
    row: Sandbox, operation: Operation, seen: Look, step: planner.Step, *, now: datetime
) -> planner.Step:
    """Past the deadline: what was seen stands, otherwise the operation fails. Time in which Daytona's state had
    to be waited out, or in which no worker looked, does not count."""
    if operation.deadline is None or not isinstance(step, planner.Call | planner.Wait):
        return step
    unseen = row.deleted_at is None and seen.remote is None and row.daytona_id is not None
    waits_out = isinstance(step, planner.Wait) and not step.actionable
    in_vain = call.was_outage(row) and (isinstance(step, planner.Call) or call.awaiting(row, now=now) is not None)
    elapsed = _since_last(operation, now=now)
    _credit(operation, elapsed if waits_out or in_vain or unseen else max(elapsed - LONGEST_PAUSE, 0))
    if now <= operation.deadline:
        return step
    searching = "room" in operation.progress
    return planner.Fail(Code.CAPACITY_EXHAUSTED if searching else Code.TIMEOUT)


def _since_last(operation: Operation, *, now: datetime) -> float:
    """Seconds; none while the last tick's pause that does not count is not over."""
    return max((now - (operation.ticked_at or operation.created_at)).total_seconds(), 0.0)


def _credit(operation: Operation, seconds: float) -> None:
    """These seconds do not count against the deadline."""
    if operation.deadline is not None:
        operation.deadline += timedelta(seconds=seconds)


def _prepare(row: Sandbox, operation: Operation, step: planner.Call, *, now: datetime) -> planner.Call:
    call.mark(row, operation, step.name, now=now)
    operation.step = f"asking Daytona to {step.name}"
    if operation.action == Action.ARCHIVE and step.name == "stop":
        operation.step = "stopping before archive"
    operation.ticked_at = now
    record.settle(row, active=operation, now=now)
    return step


def _call(daytona: DaytonaGateway, tick: _Tick, name: str) -> None:
    answer = call.make(daytona, Sandbox.objects.get(pk=tick.sandbox_id), name)
    with _locked(tick, active=False) as (row, operation, now):
        if call.note(row, operation, answer):
            words = answer.rejected or (answer.quota.message if answer.quota else "")
            record.event(
                row, SandboxEvent.Kind.CALL, f"{name}: {answer.outcome}", operation=operation, at=now,
                data={"words": words} if words else {},
            )  # fmt: skip
        if answer.remote is not None and row.daytona_id is None:
            row.daytona_id, row.organization_id = answer.remote.id, answer.remote.organization_id
        if operation.is_active:
            _after_call(tick, row, operation, answer, now=now)
            return
        record.settle(row, active=record.active_operation(row.pk), now=now)
    raise _Ended


def _after_call(tick: _Tick, row: Sandbox, operation: Operation, answer: call.Answer, *, now: datetime) -> None:
    if answer.outcome == call.Outcome.ACCEPTED:
        operation.deadline = deadline_for(row, operation.action, now=now)
        operation.attempt = 0
    if answer.outcome != call.Outcome.REFUSED:  # Daytona has room: it holds some calls longer than we wait
        capacity.leave(operation)
        operation.progress = {k: v for k, v in operation.progress.items() if k != "room"}
    if answer.quota is not None:
        answer = capacity.refused(row, operation, answer, now=now)
    if answer.fail is not None:
        _end(tick, row, operation, planner.Fail(answer.fail), now=now, words=answer.rejected)
        return
    record.settle(row, active=operation, now=now)
    _wait(tick, row, operation, Next(answer.pause, answer.why), now=now, counted=answer.counted)


def _wait(
    tick: _Tick, row: Sandbox, operation: Operation, after: Next, *, now: datetime, counted: bool = True
) -> None:
    """Schedule the next tick, with a backoff and jitter: a state that does not move is looked at less and less.

    Not `counted`: neither the time since the last tick nor the pause is taken from the deadline.
    """
    operation.attempt += 1
    seconds = max(after.seconds, backoff(operation.attempt) * random.uniform(0.5, 1.0))
    operation.step = after.why[:200]
    operation.next_check_at = now + timedelta(seconds=seconds)
    if not counted:
        _credit(operation, _since_last(operation, now=now) + seconds)
    operation.ticked_at = now if counted else operation.next_check_at
    tick.rest(row, after)


def backoff(attempt: int) -> float:
    """Seconds. An operation may wait for days: the exponent has an end."""
    return min(settings.RETRY_BASE_SECONDS * 1.5 ** min(attempt // 8, 20), LONGEST_PAUSE)


def _end(
    tick: _Tick, row: Sandbox, operation: Operation, step: planner.Step, *, now: datetime, words: str = ""
) -> None:
    tick.end(row)
    capacity.leave(operation)
    if isinstance(step, planner.Done):
        if operation.action == Action.DELETE:
            record.gone(row, now=now, during=operation)
        if INTENT_OF.get(operation.action) == row.intent:
            record.meet_intent(row, now=now)  # also to who asked for the same again during the look
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
