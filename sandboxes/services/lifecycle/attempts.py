"""A turn on one sandbox: fetch, decide, call, until it has to wait. Any worker may take it, twice or never.

With an operation active it moves that one on; without, it looks at hints, doubts, intents that are not met and
changes of settings. What is decided, and written, is in `turns.py` and `core`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import structlog
from django.db.models import F, OuterRef, Subquery

from project import tracing
from sandboxes import clock
from sandboxes.core.facts import Answer, CallAnswered, CallResult, Fetched, FetchFailed, RoomSought
from sandboxes.core.plan import Call, FindRoom
from sandboxes.core.results import ResultKind
from sandboxes.core.vocabulary import Action
from sandboxes.models import Operation, Sandbox
from sandboxes.providers import blocking
from sandboxes.providers.daytona.errors import DaytonaError
from sandboxes.providers.daytona.gateway import gateway
from sandboxes.services import quota_search, sandbox_store
from sandboxes.services.fetching import Absence, absence_of, fetch
from sandboxes.services.lifecycle import turns
from sandboxes.services.lifecycle.tell import due_of, record_told, tell
from sandboxes.services.wake import wake

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sandboxes.core.facts import RemoteSandbox
    from sandboxes.core.quota import QuotaSearch
    from sandboxes.services.lifecycle.turns import Turn, TurnOutcome

log = structlog.get_logger(__name__)
T = TypeVar("T")
# A call that is sent later than that after it was written down may be another worker's by now.
SEND_WITHIN = 5.0  # seconds


class Database(Protocol):
    """Runs a function that uses the database, off the event loop."""

    async def __call__(self, function: Callable[..., T], /, *arguments: Any) -> T: ...


class Decider(Protocol):
    """Decides what the answers of a turn mean, alone or together with those of others."""

    async def __call__(self, turn: Turn, answers: tuple[Answer, ...], /) -> TurnOutcome | None: ...


async def run(
    turn: Turn, *, database: Database, decide: Decider, raises: bool = False, ended: bool = False
) -> bool:
    """Take the turn to its end. Returns whether Daytona answered the last fetch. An error of our own puts it back.

    With `raises` the DaytonaError of a fetch that failed comes through, after it was recorded. `ended`: Daytona's
    events said that the sandbox was destroyed, so that a first 404 is believed.
    """
    known = {"operation_id": str(turn.operation_id)} if turn.operation_id else {}
    about = {"sandbox_id": str(turn.sandbox_id), "owner": turn.owner, "request_id": turn.request_id, **known}
    with structlog.contextvars.bound_contextvars(**about), tracing.operation(turn.request_id, about):
        try:
            return await _run(_Run(turn, database, decide), raises=raises, ended=ended)
        except sandbox_store.LostLease:
            turn.is_over = True
            log.info("lease_lost")
            return False
        except DaytonaError:
            raise
        except Exception as error:  # not due again at once, or it would spin
            turn.is_over = True
            await database(turns.put_back, turn, error)
            return False
        finally:
            if not turn.is_over:
                await asyncio.shield(database(turns.release, turn))


class _Run:
    def __init__(self, turn: Turn, database: Database, decide: Decider) -> None:
        self.turn, self.database, self._decide = turn, database, decide

    async def decide(self, *answers: Answer) -> TurnOutcome:
        outcome = await self._decide(self.turn, answers)
        if outcome is None:
            raise sandbox_store.LostLease
        self.turn.follow(outcome)
        return outcome

    async def fetch(self, *, ended: bool) -> Fetched:
        """What Daytona shows. Of what nobody has asked it to make, that is nothing: it is not asked either.

        A name is ours alone. Where somebody has taken it all the same, the create is refused, and then it is asked.
        """
        if self.turn.is_unsent:
            self.turn.is_unsent = False
            return Fetched(self.turn.now())
        found = await fetch(gateway(), self.turn.target, started=self.turn.now(), absence=self.absence)
        return replace(found, confirmed=True) if ended and found.remote is None else found

    async def absence(self) -> Absence:
        return await self.database(_absence, self.turn.sandbox_id)


async def _run(run: _Run, *, raises: bool, ended: bool) -> bool:
    """Fetch and decide again and again, and make what calls are decided."""
    turn = run.turn
    accepted: tuple[CallAnswered, ...] = ()
    while True:
        failure: DaytonaError | None = None
        answer: Fetched | FetchFailed
        try:
            answer = await run.fetch(ended=ended)
        except DaytonaError as error:
            answer, failure = FetchFailed(error.as_result()), error
        outcome = await run.decide(*accepted, answer)
        accepted = ()
        if failure is not None and raises:
            raise failure
        if isinstance(outcome.step, FindRoom):
            assert outcome.search is not None
            search = await run.database(_search_step, turn, outcome.search)
            outcome = await run.decide(RoomSought(search, outcome.step.name))
        if isinstance(outcome.step, Call):
            accepted = await _call(run, outcome, outcome.step.name)
        elif outcome.tells and isinstance(answer, Fetched) and answer.remote is not None:
            await _tell_settings(run, outcome, answer.remote)
        if turn.is_over:
            return failure is None
        await asyncio.sleep(turn.wait)


async def _tell_settings(run: _Run, outcome: TurnOutcome, remote: RemoteSandbox) -> None:
    """Tell Daytona the settings that it does not have yet, which ends the turn."""
    turn = run.turn
    due = await run.database(due_of, turn.sandbox_id, outcome.tells)
    told = await tell(gateway(), remote, due, now=turn.now)
    await run.database(record_told, turn.sandbox_id, due, told, turn.token)
    turn.is_over = True


async def _call(run: _Run, outcome: TurnOutcome, name: str) -> tuple[CallAnswered, ...]:
    """Make the call that was written down, and write down what it came to.

    What is fetched at once anyway is returned instead, to be written together with that fetch; but for a create,
    whose answer has the id that all else goes by, and a delete, which others wait for in a full quota.
    """
    turn, began = run.turn, clock.monotonic()
    if began - turn.known_at > SEND_WITHIN:
        result = CallResult(ResultKind.NOT_SENT, message=f"{name}: this worker was held up")
    else:
        result = await _execute(name, outcome)
    turn.ends += clock.monotonic() - began  # Daytona holds some calls: the fetch that shows their effect comes next
    if result.kind is ResultKind.ACCEPTED and name not in (Action.CREATE, Action.DELETE):
        return (CallAnswered(result),)
    await run.decide(CallAnswered(result))
    return ()


async def _execute(name: str, outcome: TurnOutcome) -> CallResult:
    try:
        daytona = gateway()
        if name == Action.CREATE:
            assert outcome.new is not None
            remote = await daytona.create(outcome.new)
        else:
            assert outcome.target.daytona_id is not None
            remote = await daytona.change(name, outcome.target.daytona_id, outcome.parameters)
    except DaytonaError as error:
        return error.as_result()
    return CallResult(ResultKind.ACCEPTED, remote=remote)


def _absence(sandbox_id: UUID) -> Absence:
    return absence_of(Sandbox.objects.get(pk=sandbox_id))


def _search_step(turn: Turn, search: QuotaSearch) -> QuotaSearch:
    operation = Operation.objects.select_related("sandbox").get(sandbox=turn.sandbox_id, pk=turn.operation_id or "")
    return quota_search.step(gateway(), operation.sandbox, operation, search)


# --- one at a time, for callers that are not async


def attempt(operation_id: UUID) -> bool:
    """Move the operation on until it has to wait longer than ATTEMPT_SECONDS.

    Returns whether there was anything to do: False for an operation that has ended, or whose sandbox another
    worker is busy with.
    """
    active = Operation.objects.active().filter(pk=operation_id)
    taken = turns.claim(active.values_list("sandbox_id", flat=True))
    if not taken:
        _come_back(operation_id)
        return False
    run_here(taken[0])
    return True


def observe(sandbox_id: UUID, *, raises: bool = False, ended: bool = False) -> bool:
    """Fetch the sandbox once and record it. Returns whether Daytona answered.

    With an operation active, that one is made due instead: its own turns fetch. `raises`, `ended`: see `run`.
    """
    taken = turns.claim([sandbox_id])
    if not taken:  # whoever holds it may be dead
        held = Sandbox.objects.filter(pk=sandbox_id, fetch_due_at__gt=F("lease_until"))
        held.update(fetch_due_at=F("lease_until"))
        return False
    if taken[0].operation_id is not None:
        turns.release(taken[0])
        wake()
        return False
    return run_here(taken[0], raises=raises, ended=ended)


def run_here(turn: Turn, *, raises: bool = False, ended: bool = False) -> bool:
    """Take this turn to its end; the database's part of it runs in the calling thread."""

    async def start(database: Database) -> bool:
        async def decide(turn: Turn, answers: tuple[Answer, ...]) -> TurnOutcome | None:
            (outcome,) = await database(turns.decide_together, [(turn, answers)])
            return outcome

        return await run(turn, database=database, decide=decide, raises=raises, ended=ended)

    return blocking.run_with_caller(start)


def _come_back(operation_id: UUID) -> None:
    """Whoever holds the sandbox may be dead: it is tried again as soon as the lease is over, not later."""
    later = Operation.objects.active().filter(pk=operation_id, due_at__gt=F("sandbox__lease_until"))
    until = Sandbox.objects.filter(pk=OuterRef("sandbox_id")).values("lease_until")
    later.update(due_at=Subquery(until))
