"""A worker's turn on a sandbox: claim it, decide for many at once what their answers mean, put back what fails.

All of the database's part of a turn; `attempts.py` has the calls between.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import transaction

from sandboxes import clock
from sandboxes.core.asked import labels_of
from sandboxes.core.backoff import backoff
from sandboxes.core.codes import Code, NoticeCode
from sandboxes.core.decide import decide
from sandboxes.core.facts import Answer, Decision, Fetched, NewOperation, TellDaytona
from sandboxes.core.plan import Call, FindRoom, LookAgain, Step
from sandboxes.core.vocabulary import Action, EventKind, OperationStatus, Source
from sandboxes.models import ConvexProjection, Operation, Sandbox, SandboxEvent, claiming, reading
from sandboxes.providers.protocols import SandboxSpec
from sandboxes.services import notices, sandbox_store
from sandboxes.services.decisions import gather, read_calls, read_policies, write
from sandboxes.services.fetching import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sandboxes.core.quota import QuotaSearch
    from sandboxes.models.reading import ReadOperation

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.25  # seconds between two fetches of one turn
FAILED_PAUSE, LONGEST_FAILED_PAUSE = 1.0, 300.0  # seconds after an error of our own
MOST_FAILURES = 10  # in a row; then the operation ends


@dataclass(slots=True)
class Turn:
    """One worker's hold on one sandbox, under its lease, until `is_over`.

    `present` was the database's time at `known_at` on this process's own clock. `is_unsent`: nothing was asked of
    Daytona for it yet.
    """

    target: Target
    token: str
    present: datetime
    known_at: float = field(default_factory=clock.monotonic)
    operation_id: UUID | None = None
    request_id: str = ""
    is_unsent: bool = False
    owner: str = ""
    ends: float = field(default_factory=lambda: clock.monotonic() + settings.ATTEMPT_SECONDS)
    pause: float = FIRST_PAUSE
    wait: float = 0.0
    is_over: bool = False

    @property
    def sandbox_id(self) -> UUID:
        return self.target.sandbox_id

    def now(self) -> datetime:
        """The database's time, without asking it."""
        return self.present + timedelta(seconds=clock.monotonic() - self.known_at)

    def wait_for(self, step: Step | None) -> float | None:
        """Seconds until this turn goes on; None when it ends with this step."""
        if isinstance(step, Call | FindRoom):
            return 0.0
        if not isinstance(step, LookAgain):
            return None
        wait = min(self.pause, step.after) if step.may_be_sooner else step.after
        is_over = clock.monotonic() + wait > self.ends or step.after > settings.ATTEMPT_SECONDS
        return None if is_over else wait

    def follow(self, outcome: TurnOutcome) -> None:
        self.target, self.present, self.known_at = outcome.target, outcome.present, outcome.known_at
        self.is_over, self.wait = outcome.wait is None, outcome.wait or 0.0
        self.pause = min(self.pause * 1.6, LONGEST_PAUSE)


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """What was decided, and what the next call needs to know.

    `wait`: seconds until the turn goes on; None: it is over, and its lease given back. `parameters`: what the call
    is sent with. `tells`: the settings that
    Daytona is to be told.
    """

    step: Step | None
    target: Target
    present: datetime
    wait: float | None
    new: SandboxSpec | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    search: QuotaSearch | None = None
    tells: tuple[str, ...] = ()
    known_at: float = field(default_factory=clock.monotonic)


def claim(ids: Iterable[UUID], *, holder: str = "") -> list[Turn]:
    """Lease those of the sandboxes that nobody holds, each with its active operation if it has one."""
    token = f"{holder}:{uuid4().hex[:12]}"[-40:]
    return [
        Turn(
            Target(one.sandbox_id, one.daytona_id, one.daytona_name), token, one.present,
            operation_id=one.operation_id, request_id=one.request_id, is_unsent=one.is_unsent,
            owner=one.owner,
        )
        for one in claiming.claim(list(ids), token=token, seconds=settings.LEASE_SECONDS)
    ]  # fmt: skip


def release(turn: Turn) -> None:
    """Give up a turn that was broken off: it is due again at once."""
    now = clock.now()
    if Sandbox.objects.filter(pk=turn.sandbox_id, fetch_due_at__gt=now).release(turn.token, fetch_due_at=now) == 0:
        Sandbox.objects.filter(pk=turn.sandbox_id).release(turn.token)
    Operation.objects.active().filter(pk=turn.operation_id, due_at__gt=now).update(due_at=now)


def decide_together(asked: Sequence[tuple[Turn, tuple[Answer, ...]]]) -> list[TurnOutcome | None]:
    """Decide what these answers mean, about the rows as they are now, and write it: a few statements for all.

    Of several that a turn has, the last says how it goes on. None for a turn whose lease
    is another's by now: nothing of it is written.
    """
    by_id = {turn.sandbox_id: (turn, answers) for turn, answers in asked}
    assert len(by_id) == len(asked), "one worker has one turn on a sandbox"
    outcomes: dict[UUID, TurnOutcome] = {}
    with sandbox_store.lock_each(by_id) as found:
        rows = [row for row in found if row.lease_token == by_id[row.pk][0].token]
        operations = _operations(rows, [turn.operation_id for turn, _ in asked if turn.operation_id])
        active = {one.row.sandbox_id: one.row for one in operations.values() if one.row.is_active}
        # From after the wait for the locks.
        now = next((one.present for one in operations.values()), None) or clock.now()
        _read_along(rows, [one.row for one in operations.values()])
        for row in rows:
            turn, answers = by_id[row.pk]
            operation = operations.get(turn.operation_id) if turn.operation_id else None
            outcomes[row.pk] = _decide(row, turn, operation, active.get(row.pk), answers, now=now)
    return [outcomes.get(turn.sandbox_id) for turn, _ in asked]


def _operations(rows: list[Sandbox], ids: list[UUID]) -> dict[UUID, ReadOperation]:
    """Those with these ids, which may have ended, and those that are active."""
    return {one.row.pk: one for one in reading.operations(ids, [row.pk for row in rows])}


def _read_along(rows: list[Sandbox], operations: list[Operation]) -> None:
    """Read into the rows what a decision needs beside them: calls, lifecycle rules and projections."""
    read_calls(rows)
    by_policy = {one.sandbox_id for one in operations if one.source == Source.POLICY}
    if by_policy:
        read_policies([row for row in rows if row.pk in by_policy])
    creates = {one.sandbox_id for one in operations if one.action == Action.CREATE}
    projections = ConvexProjection.objects.in_bulk(creates) if creates else {}
    for row in rows:
        if row.pk in projections:
            row.projection = projections[row.pk]


def _decide(
    row: Sandbox,
    turn: Turn,
    found: ReadOperation | None,
    active: Operation | None,
    answers: tuple[Answer, ...],
    *,
    now: datetime,
) -> TurnOutcome:
    operation, on_hold = (found.row, found.on_hold) if found else (None, False)
    others = active if active is not operation else None
    decision = decide(gather(row, operation, answers, now=now, active=others, on_hold=on_hold))
    tells = _to_tell(decision, answers[-1])
    wait = 0.0 if tells else turn.wait_for(decision.step)
    if wait is not None:
        decision = _kept(decision, until=now + timedelta(seconds=_lease(decision.step)))
    write(row, operation, decision, now=now)
    if wait is None:
        sandbox_store.clear_lease(row)
        if operation is None and others is not None:
            row.fetch_due_at = None  # its own turns fetch
    else:
        row.lease_until = now + timedelta(seconds=_lease(decision.step))
    row.failures = 0
    return _outcome(row, decision, wait, tells, now=now)


def _outcome(
    row: Sandbox, decision: Decision, wait: float | None, tells: tuple[str, ...], *, now: datetime
) -> TurnOutcome:
    call = decision.step.name if isinstance(decision.step, Call) else None
    attempted = decision.operation
    return TurnOutcome(
        decision.step, Target.of(row), now, wait, tells=tells,
        new=_new(row) if call == Action.CREATE else None,
        parameters=attempted.parameters.own() if attempted is not None and call == attempted.action else {},
        search=attempted.search if attempted is not None else None,
    )  # fmt: skip


def _to_tell(decision: Decision, answer: Answer) -> tuple[str, ...]:
    if not isinstance(answer, Fetched) or answer.remote is None:
        return ()
    if any(isinstance(effect, NewOperation) for effect in decision.effects):
        return ()
    return next((effect.keys for effect in decision.effects if isinstance(effect, TellDaytona)), ())


def _lease(step: Step | None) -> float:
    """Seconds: longer than whatever comes next may take. A dead worker's leases are freed much sooner."""
    held: float = settings.DAYTONA_HOLD_TIMEOUT if isinstance(step, Call) else 0.0
    return settings.LEASE_SECONDS + held


def _kept(decision: Decision, *, until: datetime) -> Decision:
    """Nothing of it is due for anybody else while the turn goes on."""
    if decision.sandbox.fetch_due_at is not None:
        decision = replace(decision, sandbox=decision.sandbox.but(fetch_due_at=until))
    if decision.operation is not None and decision.operation.is_active:
        decision = replace(decision, operation=decision.operation.but(due_at=until))
    return decision


def _new(row: Sandbox) -> SandboxSpec:
    """The snapshot of the tier, or its resources; never both (Daytona refuses both)."""
    sized = not row.snapshot
    return SandboxSpec(
        name=row.daytona_name,
        snapshot=row.snapshot or None,
        cpu=row.cpu if sized else None,
        memory_gb=row.memory_gb if sized else None,
        disk_gb=row.disk_gb if sized else None,
        labels=labels_of(row),
        target=row.target,
        auto_stop=row.auto_stop_minutes,
        auto_archive=row.auto_archive_minutes,
        auto_delete=row.auto_delete_minutes,
    )


def put_back(turn: Turn, error: Exception) -> None:
    """An error of our own: the row is due again after a growing pause, and its operation ends after ten of them.

    Writes by UPDATEs alone, because it may be the row itself that cannot be read.
    """
    log.error("attempt_failed", sandbox_id=str(turn.sandbox_id), exc_info=error)
    with transaction.atomic():
        mine = Sandbox.objects.filter(pk=turn.sandbox_id).held(turn.token)
        failures = mine.values_list("failures", flat=True).first()
        if failures is None:
            return
        failures = min(failures + 1, 1000)
        now = clock.now()
        due = now + timedelta(
            seconds=backoff(failures - 1, first=FAILED_PAUSE, longest=LONGEST_FAILED_PAUSE, jitter=1.0)
        )
        is_over = failures >= MOST_FAILURES
        # An operation's own turns fetch; once it has ended, what Daytona made of it is still to be seen.
        fetches = turn.operation_id is None or is_over
        mine.release(turn.token, failures=failures, fetch_due_at=due if fetches else None)
        if is_over:
            _give_up(turn, error, now=now)
        else:
            Operation.objects.active().filter(pk=turn.operation_id).update(due_at=due)
    notices.tell(NoticeCode.ROWS_FAILING, f"Sandbox {turn.sandbox_id}: {type(error).__name__}: {error}")


def _give_up(turn: Turn, error: Exception, *, now: datetime) -> None:
    message = f"{type(error).__name__}: {error}"
    active = Operation.objects.active().filter(pk=turn.operation_id)
    ended = active.update(
        status=OperationStatus.FAILED, code=Code.INTERNAL_ERROR, message=message, step="", due_at=None,
        finished_at=now,
    )  # fmt: skip
    if ended:
        SandboxEvent.objects.create(
            sandbox_id=turn.sandbox_id, owner=turn.owner, operation_id=turn.operation_id, kind=EventKind.OPERATION,
            at=now, text="Failed: an error of our own", data={"status": OperationStatus.FAILED},
        )  # fmt: skip
