"""attempt(): fetch, decide, write and call, for one operation.

Any worker may make it, twice or never; the rows are the truth.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from django.db.models import F, OuterRef, Subquery

from sandboxes import clock
from sandboxes.core.decide import decide
from sandboxes.core.facts import Answer, CallAnswered, Decision, FetchFailed, RoomSought
from sandboxes.core.plan import Call, FindRoom, LookAgain, Step
from sandboxes.models import Operation, Sandbox
from sandboxes.providers.daytona.errors import DaytonaError
from sandboxes.providers.daytona.gateway import gateway
from sandboxes.services import quota_search, record
from sandboxes.services.decisions import gather, write
from sandboxes.services.execute import execute
from sandboxes.services.fetching import fetch
from sandboxes.services.queue import enqueue

if TYPE_CHECKING:
    from uuid import UUID

    from sandboxes.core.quota import QuotaSearch

log = structlog.get_logger(__name__)
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.25  # seconds between two fetches of one attempt
# A fetch reads no more than this.
TO_FETCH = (
    "status", "request_id", "sandbox__daytona_id", "sandbox__daytona_name", "sandbox__missing_since",
)  # fmt: skip


@dataclass(slots=True)
class _Attempt:
    """One turn of a worker on one operation, under the sandbox's lease, until `is_over`."""

    operation_id: UUID
    sandbox_id: UUID
    token: str
    ends: float
    pause: float = FIRST_PAUSE
    wait: float = 0.0
    is_over: bool = False
    is_superseded: bool = False

    def follow(self, step: Step | None) -> None:
        """Fetch again after `wait`, or end here."""
        if not isinstance(step, LookAgain):
            self.is_over = True
            return
        self.wait = min(self.pause, step.after) if step.may_be_sooner else step.after
        self.pause = min(self.pause * 1.6, LONGEST_PAUSE)
        self.is_over = clock.monotonic() + self.wait > self.ends or step.after > settings.ATTEMPT_SECONDS


def attempt(operation_id: UUID) -> bool:
    """Move the operation on until it has to wait longer than ATTEMPT_SECONDS.

    Returns whether there was anything to do: False for an operation that has ended, or whose sandbox another
    worker is busy with.
    """
    token = record.claim_for(operation_id)
    if token is None:
        _come_back(operation_id)
        return False
    operation = _read(operation_id)
    turn = _Attempt(operation_id, operation.sandbox_id, token, ends=clock.monotonic() + settings.ATTEMPT_SECONDS)
    with structlog.contextvars.bound_contextvars(
        operation_id=str(operation_id), sandbox_id=str(turn.sandbox_id), request_id=operation.request_id
    ):
        try:
            _run(turn, operation)
        except record.LostLease:
            log.info("lease_lost")
        finally:
            if not turn.is_over:
                record.release(turn.sandbox_id, token)
    if turn.is_superseded:
        _hand_over(operation)
    return True


def _come_back(operation_id: UUID) -> None:
    """Whoever holds the sandbox may be dead: it is tried again as soon as the lease is over, not later."""
    later = Operation.objects.active().filter(pk=operation_id, due_at__gt=F("sandbox__lease_until"))
    until = Sandbox.objects.filter(pk=OuterRef("sandbox_id")).values("lease_until")
    later.update(due_at=Subquery(until))


def _hand_over(operation: Operation) -> None:
    """A request that came meanwhile found the sandbox taken: its turn is now, not a second later."""
    successor = record.active_operation(operation.sandbox_id)
    if successor is not None:
        enqueue("advance_operation", successor.pk)


def _read(operation_id: UUID) -> Operation:
    """What a fetch needs to know, and the database's time; all else is read under the lock."""
    rows = Operation.objects.select_related("sandbox").annotate(present=clock.present())
    operation: Operation = rows.only(*TO_FETCH).get(pk=operation_id)
    return operation


def _run(turn: _Attempt, operation: Operation) -> None:
    """Fetch and decide again and again, and make what calls are decided."""
    while True:
        try:
            daytona = gateway()
            answer: Answer = fetch(daytona, operation.sandbox, now=operation.present)  # type: ignore[attr-defined]
        except DaytonaError as error:
            answer = FetchFailed(error.as_result())
        decision = _decide(turn, answer)
        if isinstance(decision.step, FindRoom):
            assert decision.operation is not None
            assert decision.operation.search is not None
            search = _seek(turn, decision.operation.search)
            decision = _decide(turn, RoomSought(search, decision.step.name))
        if isinstance(decision.step, Call):
            result = execute(daytona, Sandbox.objects.get(pk=turn.sandbox_id), decision.step.name)
            _decide(turn, CallAnswered(result))
        if turn.is_over:
            return
        time.sleep(turn.wait)
        operation = _read(turn.operation_id)


def _seek(turn: _Attempt, search: QuotaSearch) -> QuotaSearch:
    row = Sandbox.objects.get(pk=turn.sandbox_id)
    return quota_search.seek(gateway(), row, Operation.objects.get(pk=turn.operation_id), search)


def _decide(turn: _Attempt, answer: Answer) -> Decision:
    """Decide about the rows as they are now, and write the decision; with the last one the lease is given back."""
    with record.locked(turn.sandbox_id, token=turn.token) as row:
        # The time with it saves a query, and is from after the wait for the lock.
        rows = Operation.objects.select_related("intent_change").annotate(present=clock.present())
        operation = rows.get(pk=turn.operation_id)
        now = operation.present
        turn.is_superseded = not operation.is_active
        successor = record.active_operation(row.pk) if turn.is_superseded else None
        decision = decide(gather(row, operation, answer, now=now, active=successor))
        write(row, operation, decision, now=now)
        if not isinstance(decision.step, Call | FindRoom):
            turn.follow(decision.step)
        if turn.is_over:
            record.let_go(row)
    return decision
