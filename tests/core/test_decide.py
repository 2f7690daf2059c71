"""decide(): from an answer to the next step, the deadline, the pauses and the end of an operation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core.codes import Code, NoticeCode
from sandboxes.core.decide import decide
from sandboxes.core.facts import (
    CallAnswered,
    CallFacts,
    CallResult,
    ChangeIntent,
    ConvexFacts,
    Decision,
    Fetched,
    IntentSetting,
    NewOperation,
    OpenNotice,
    OperationFacts,
    ReleaseRoom,
    SandboxFacts,
)
from sandboxes.core.parameters import Parameters
from sandboxes.core.plan import Call, Done, Fail, LookAgain
from sandboxes.core.quota import Phase, QuotaSearch
from sandboxes.core.resources import Resource
from sandboxes.core.results import ResultKind
from sandboxes.core.vocabulary import Action, Actor, CallOutcome, OperationStatus, Source, Status
from tests.core.building import NOW, OTHER, at, call, facts, fetched, operation, sandbox

if TYPE_CHECKING:
    from datetime import datetime

K = ResultKind
PENDING, UNKNOWN, REFUSED = CallOutcome.PENDING, CallOutcome.UNKNOWN, CallOutcome.REFUSED
UNMADE = sandbox("", daytona_id=None, observed_at=None, status="creating", desired_state="", intent_met_at=None)
SEARCH = QuotaSearch(message="full", lease="token", phase=Phase.FREED)
IN_VAIN = replace(SEARCH, exhausted="nothing")
NO_ROOM = Fail(Code.SANDBOX_LIMIT_REACHED, "Convex has no room for it.")


def after(answer: Any, action: str = "stop", *, of: SandboxFacts | None = None, **fields: Any) -> Decision:
    """What is decided for an operation; fields of the operation are given as `its`."""
    its = fields.pop("its", {})
    row = of or sandbox("started", intent="stopped", intent_at=at(-1), intent_met_at=None)
    return decide(facts(answer, of=row, operation=operation(action, **its), **fields))


def its(decision: Decision) -> OperationFacts:
    assert decision.operation is not None
    return decision.operation


def waits(decision: Decision) -> LookAgain:
    assert isinstance(decision.step, LookAgain)
    return decision.step


def notices(decision: Decision) -> list[NoticeCode]:
    return [one.code for one in decision.effects if isinstance(one, OpenNotice)]


# --- after a fetch


def test_a_call_is_written_before_it_is_made() -> None:
    decision = after(fetched("started"), its={"deadline_runs": False})
    assert decision.step == Call("stop")
    assert its(decision).deadline_runs
    assert [(one.name, one.outcome) for one in decision.calls] == [("stop", PENDING)]
    found = its(decision)
    assert (found.status, found.started_at, found.attempted_at) == ("in_progress", NOW, NOW)
    assert decision.sandbox.status == "stopping"


def test_what_a_call_came_to_is_decided_with_the_fetch_that_follows_it() -> None:
    """The same as one after the other, but for what the fetch alone would not have known."""
    made = call("start", outcome=CallOutcome.PENDING)
    begun = operation(Action.START, status=OperationStatus.IN_PROGRESS)
    answered, seen = CallAnswered(CallResult(ResultKind.ACCEPTED)), fetched("started")
    row = sandbox("stopped", status=Status.STARTING, intent_met_at=None)
    first = decide(facts(answered, of=row, operation=begun, calls=(made,)))
    then = decide(facts(seen, of=first.sandbox, operation=first.operation, calls=first.calls))
    both = decide(facts(seen, of=row, operation=begun, calls=(made,), earlier=(answered,)))
    assert both == replace(then, effects=(*first.effects, *then.effects))
    assert (both.step, both.calls[0].outcome) == (Done(), CallOutcome.ACCEPTED)


def test_an_operation_begins_once() -> None:
    begun = {"status": OperationStatus.IN_PROGRESS, "started_at": at(-9)}
    assert its(after(fetched("stopping"), its=begun)).started_at == at(-9)


def test_what_has_ended_meanwhile_is_only_looked_at() -> None:
    decision = after(fetched("stopped"), its={"status": OperationStatus.CANCELLED}, active="start")
    assert decision.step is None
    assert (decision.sandbox.observed_state, decision.sandbox.status) == ("stopped", "stopped")
    assert decision.sandbox.fetch_due_at is None  # the other operation looks
    assert its(decision).attempted_at is None


@pytest.mark.parametrize(
    ("fields", "credit"),
    [
        ({"attempted_at": at(-8)}, 0),
        ({"attempted_at": at(-10)}, 0),
        ({"attempted_at": at(-25)}, 15),  # nobody looked for so long
        ({"attempted_at": at(-8), "deadline_runs": False}, 8),
        ({"created_at": at(-30)}, 20),
        ({"attempted_at": at(8), "deadline_runs": False}, 0),  # a clock that was set back
    ],
)
def test_what_did_not_count_is_credited_to_the_deadline(fields: dict[str, Any], credit: float) -> None:
    found = its(after(fetched("stopping"), its=fields))
    assert found.deadline == at(299 + credit)
    assert found.attempted_at == NOW


def test_a_delete_has_no_deadline_to_credit() -> None:
    found = its(after(fetched("destroying"), "delete", its={"deadline": None, "attempted_at": at(-99)}))
    assert found.deadline is None


@pytest.mark.parametrize(
    ("state", "deadline", "search", "step"),
    [
        ("started", at(-1), None, Fail(Code.TIMEOUT)),
        ("stopping", at(-1), None, Fail(Code.TIMEOUT)),
        ("started", at(0), None, Call("stop")),
        ("stopped", at(-1), None, Done()),  # what was seen stands
        ("started", at(-1), SEARCH, Fail(Code.CAPACITY_EXHAUSTED)),
        ("started", at(-1), replace(SEARCH, resource=Resource.DISK), Fail(Code.DISK_QUOTA_FULL)),
        ("error", at(-1), None, Fail(Code.SANDBOX_ERRORED)),
    ],
)
def test_past_the_deadline(state: str, deadline: datetime, search: QuotaSearch | None, step: object) -> None:
    assert after(fetched(state), its={"deadline": deadline, "search": search}).step == step


@pytest.mark.parametrize(
    ("row", "answer", "action", "step"),
    [
        (sandbox(), Fetched(NOW), "sync", Done()),
        (sandbox(), fetched("started"), "sync", Done()),
        (UNMADE, Fetched(NOW, foreign=True), "create", Fail(Code.NAME_TAKEN)),
        (UNMADE, Fetched(NOW, foreign=True), "start", Fail(Code.NAME_TAKEN)),
        (UNMADE, Fetched(NOW, foreign=True), "delete", Done()),
        (UNMADE, Fetched(NOW), "create", Call("create")),
        (sandbox(deleted_at=at(-9)), Fetched(NOW), "start", Fail(Code.SANDBOX_GONE)),
        (sandbox(missing_since=at(-20)), fetched("started"), "stop", Call("stop")),
    ],
)
def test_the_step_after_a_fetch(row: SandboxFacts, answer: Fetched, action: str, step: object) -> None:
    assert after(answer, action, of=row).step == step


def test_a_sync_of_what_is_not_made_waits() -> None:
    assert isinstance(after(Fetched(NOW, foreign=True), "sync", of=UNMADE).step, LookAgain)


@pytest.mark.parametrize(
    ("seconds", "pause"), [(0, 2.5), (-2, 2.5), (-20, 10), (-45, 15), (-59, 1), (-60, 30), (-1000, 60)]
)
def test_what_is_not_found_is_looked_at_seldom_until_that_is_certain(seconds: float, pause: float) -> None:
    step = waits(after(Fetched(NOW), of=sandbox(missing_since=at(seconds)), jitter=0.0))
    assert (step.after, step.why, step.counts) == (pause, "Daytona does not find it; waiting to be sure", False)


def test_a_wait_for_what_daytona_does_is_no_wait_to_be_sure() -> None:
    step = waits(after(Fetched(NOW), of=sandbox("stopping", missing_since=at(-20))))
    assert step.why == "Daytona is stopping it"


@pytest.mark.parametrize(("was_outage", "counts"), [(True, False), (False, True)])
def test_an_outage_does_not_count_against_the_deadline(was_outage: bool, counts: bool) -> None:
    made = call("stop", -1, UNKNOWN, was_outage=was_outage)
    assert waits(after(fetched("started"), calls=(made,))).counts is counts
    assert its(after(fetched("started"), calls=(made,))).deadline_runs is counts


# --- what may not be called


@pytest.mark.parametrize(
    ("row", "state", "action", "fields", "code"),
    [
        (sandbox("stopped"), "stopped", "start", {"on_hold": True}, Code.OWNER_ON_HOLD),
        (sandbox("error"), "error", "recover", {"on_hold": True}, Code.OWNER_ON_HOLD),
        (sandbox(), "started", "stop", {"on_hold": True}, None),
        (sandbox(), "started", "delete", {"on_hold": True}, None),
        (sandbox(ephemeral=True), "started", "stop", {}, Code.EPHEMERAL_WOULD_BE_DESTROYED),
        (sandbox(ephemeral=True), "started", "stop", {"its": {"parameters": Parameters(force=True)}}, None),
        (sandbox(ephemeral=True), "started", "archive", {}, Code.EPHEMERAL_CANNOT_ARCHIVE),
        (sandbox(ephemeral=True), "started", "restart", {}, Code.EPHEMERAL_CANNOT_RESTART),
        (sandbox(), "started", "stop", {"its": {"search": IN_VAIN}}, Code.CAPACITY_EXHAUSTED),
    ],
)  # fmt: skip
def test_what_may_not_be_called(
    row: SandboxFacts, state: str, action: str, fields: dict[str, Any], code: Code | None
) -> None:
    answer = fetched(state, auto_delete_interval=0 if row.ephemeral else -1, recoverable=True)
    step = after(answer, action, of=row, **fields).step
    assert step.code == code if isinstance(step, Fail) else code is None


@pytest.mark.parametrize(
    ("auto_delete", "who", "source", "code"),
    [
        (30, "system", Source.EVICTION, Code.EPHEMERAL_WOULD_BE_DESTROYED),
        (None, "system", Source.EVICTION, Code.EPHEMERAL_WOULD_BE_DESTROYED),
        (-1, "system", Source.EVICTION, None),
        (3000, "owner", Source.EVICTION, None),  # a person has joined it
        (3000, "system", Source.SWEEP, None),
        (3000, "system", Source.EVICTION, Code.EPHEMERAL_WOULD_BE_DESTROYED),
    ],
)
def test_a_victim_must_survive_its_stop(
    auto_delete: int | None, who: str, source: Source, code: Code | None
) -> None:
    answer = fetched("started", auto_delete_interval=auto_delete)
    step = after(answer, its={"source": source, "actor_kind": who}).step
    assert step == (Call("stop") if code is None else Fail(code))


@pytest.mark.parametrize(
    ("state", "who", "source", "step"),
    [
        ("started", "system", Source.EVICTION, Code.CANCELLED),
        ("started", "owner", Source.EVICTION, None),  # a person has joined it
        ("started", "system", Source.SWEEP, None),
        ("stopped", "system", Source.EVICTION, None),
    ],
)
def test_nobody_is_stopped_to_be_archived_for_room(state: str, who: str, source: Source, step: Code | None) -> None:
    row = sandbox("stopped", intent="stopped")
    found = after(fetched(state), "archive", of=row, its={"source": source, "actor_kind": who}).step
    if step is None:
        assert found == Call("stop" if state == "started" else "archive")
    else:
        assert isinstance(found, Fail)
        assert found.code == step


def test_a_refusal_that_a_look_confirms_is_the_end() -> None:
    made = call("stop", -5, REFUSED, message="no")
    assert after(fetched("started"), calls=(made,)).step == Fail(Code.DAYTONA_REJECTED, "no")


# --- Convex has a word in a create


@pytest.mark.parametrize(
    ("convex", "met_at", "step"),
    [
        (ConvexFacts(), None, Done()),
        (ConvexFacts(may_refuse=True, has_answered=True), None, Done()),
        (ConvexFacts(may_refuse=True), None, None),
        (ConvexFacts(may_refuse=True), at(-59), None),
        (ConvexFacts(may_refuse=True), at(-60), Done()),
        (ConvexFacts(may_refuse=True, has_no_room=True), None, NO_ROOM),
    ],
)  # fmt: skip
def test_a_create_waits_for_the_first_push(convex: ConvexFacts, met_at: datetime | None, step: object) -> None:
    row = sandbox(intent_met_at=met_at, intent_at=at(-99))
    decision = after(fetched("started"), "create", of=row, convex=convex)
    if step is None:
        assert (waits(decision).why, waits(decision).after) == ("waiting for Convex", 0.1)
        assert decision.sandbox.intent_met_at == (met_at or NOW)
    else:
        assert decision.step == step


def test_what_convex_has_no_room_for_is_deleted() -> None:
    convex = ConvexFacts(may_refuse=True, has_no_room=True)
    decision = after(fetched("started"), "create", of=sandbox(intent_met_at=None), convex=convex)
    assert (its(decision).status, its(decision).code) == ("failed", Code.SANDBOX_LIMIT_REACHED)
    new = next(one for one in decision.effects if isinstance(one, NewOperation))
    assert (new.action, new.actor, new.source) == (Action.DELETE, Actor.system("convex"), Source.SWEEP)
    assert decision.sandbox.intent == "deleted"
    assert not isinstance(after(fetched("started"), "start", convex=convex, of=sandbox()).step, Fail)


# --- the end


def setting(intent: str) -> IntentSetting:
    return IntentSetting(intent=intent, actor_kind="owner", actor_id="bob", reason="r", at=at(-99), met_at=at(-90))


def test_a_success_meets_the_intent() -> None:
    decision = after(fetched("stopped", started=at(-2)))  # it began before the same was asked for again
    assert (its(decision).status, its(decision).finished_at, its(decision).due_at) == ("succeeded", NOW, None)
    assert (decision.sandbox.intent_met_at, decision.sandbox.status) == (NOW, "stopped")
    other = after(fetched("stopped", started=at(-2)), "sync")
    assert other.sandbox.intent_met_at is None


def test_a_delete_ends_what_is_not_there() -> None:
    assert after(Fetched(NOW), "delete", of=UNMADE).sandbox.deleted_at == NOW
    assert after(fetched("stopped")).sandbox.deleted_at is None


@pytest.mark.parametrize(
    ("calls", "previous", "intent"),
    [
        ((), setting("running"), "running"),  # nothing was asked of Daytona: as if it had not been requested
        ((call("stop", -9),), setting("running"), "stopped"),
        ((call("stop", -9, operation_id=OTHER),), setting("running"), "running"),
        ((), None, "stopped"),
    ],
)
def test_a_failure_takes_back_the_intent_of_what_was_not_called(
    calls: tuple[CallFacts, ...], previous: IntentSetting | None, intent: str
) -> None:
    decision = after(fetched("error", error_reason="broken"), calls=calls, its={"previous_intent": previous})
    assert (its(decision).status, its(decision).code) == ("failed", Code.SANDBOX_ERRORED)
    assert its(decision).message == "broken"
    assert decision.sandbox.intent == intent
    assert len([one for one in decision.effects if isinstance(one, ChangeIntent)]) == (intent == "running")


def test_an_intent_that_somebody_else_has_changed_is_not_taken_back() -> None:
    row = sandbox(intent="archived", intent_met_at=None)
    decision = after(fetched("error"), of=row, its={"previous_intent": setting("running")})
    assert decision.sandbox.intent == "archived"


@pytest.mark.parametrize(
    ("action", "state", "code"),
    [("start", "build_failed", Code.SANDBOX_UNRECOVERABLE), ("stop", "destroying", None)],
)
def test_daytonas_words_are_kept_where_it_is_in_error(action: str, state: str, code: Code | None) -> None:
    found = its(after(fetched(state, error_reason="broken"), action))
    assert (found.code, found.message) == ((code, "broken") if code else ("", ""))
    gone = its(after(fetched("destroying", error_reason="broken", desired_state="destroyed"), "start"))
    assert (gone.code, gone.message) == (Code.SANDBOX_GONE, "")


def test_a_create_that_made_nothing_leaves_a_tombstone() -> None:
    decision = after(Fetched(NOW, foreign=True), "create", of=UNMADE)
    assert (its(decision).code, decision.sandbox.deleted_at) == (Code.NAME_TAKEN, NOW)
    assert (decision.sandbox.intent, decision.sandbox.intent_actor_id) == ("deleted", "create")
    assert decision.sandbox.status == "gone"
    doubted = after(Fetched(NOW, foreign=True), "create", of=UNMADE, calls=(call("create", -9, UNKNOWN),))
    assert doubted.sandbox.intent_met_at is None  # a late one is looked for, and deleted
    made = after(fetched("error"), "create", of=sandbox())
    assert made.sandbox.deleted_at is None


def test_a_search_for_room_ends_with_its_operation() -> None:
    decision = after(fetched("stopped"), its={"search": SEARCH})
    assert ReleaseRoom(SEARCH) in decision.effects
    assert its(decision).search == replace(SEARCH, lease="")


# --- pauses


@pytest.mark.parametrize(
    ("attempt", "jitter", "pause"),
    [(0, 1.0, 1.0), (0, 0.0, 1.0), (31, 1.0, 1.265625), (47, 0.0, 1.423828125), (400, 1.0, 10.0)],
)
def test_a_state_that_does_not_move_is_looked_at_less_and_less(attempt: int, jitter: float, pause: float) -> None:
    decision = after(fetched("stopping"), its={"attempt": attempt}, jitter=jitter)
    assert decision.sandbox.status == "stopping"
    found = its(decision)
    assert (found.attempt, found.due_at) == (attempt + 1, at(pause))
    assert (found.step, found.attempted_at, found.deadline_runs) == ("Daytona is stopping it", NOW, False)
