"""decide(): what happens to a sandbox next. Pure: facts in, a decision out; nothing above it decides."""

from __future__ import annotations

from datetime import datetime, timedelta

from sandboxes.core import quota
from sandboxes.core.actions import INTENT_OF, STARTING
from sandboxes.core.backoff import backoff
from sandboxes.core.calls import record_attempt, record_result
from sandboxes.core.codes import Code, NoticeCode
from sandboxes.core.draft import Draft
from sandboxes.core.facts import (
    Answer,
    CallAnswered,
    CallResult,
    CloseNotices,
    Decision,
    Facts,
    Fetched,
    FetchFailed,
    Limits,
    NewOperation,
    ReleaseRoom,
    RoomSought,
    SandboxFacts,
)
from sandboxes.core.next_step import may_not_call, next_step
from sandboxes.core.observation import (
    apply_observation,
    mark_gone,
    meet_intent,
    refresh_status,
)
from sandboxes.core.plan import Call, Done, Fail, FindRoom, LookAgain, Step
from sandboxes.core.resources import QUOTAS, Resource
from sandboxes.core.results import MEANINGS, Meaning, ResultKind
from sandboxes.core.vocabulary import (
    Action,
    Actor,
    CallOutcome,
    Intent,
    OperationStatus,
    Source,
)
from sandboxes.core.without_operation import decide_without_operation

LONGEST_PAUSE = 10.0  # seconds between two attempts of a living worker; beyond that nobody attempted
REFUSED_FETCH_PAUSE = 5.0  # nobody can say when a fetch that Daytona refuses will succeed
UNANSWERED_FETCH_PAUSE = 5.0  # of a sandbox that has no operation
# Which conditions an accepted call shows to be over: a suspended organisation may still stop and delete.
KEY_WORKS = (NoticeCode.DAYTONA_UNAUTHORIZED, NoticeCode.DAYTONA_NOT_CONFIGURED)
STARTS = (*KEY_WORKS, NoticeCode.ORG_SUSPENDED)


def decide(facts: Facts) -> Decision:
    """Decide the next step of an operation, or of a fetch of a sandbox that has none.

    Returns the step (None when nothing is left to do), the new values of the rows, and the effects.
    """
    draft = Draft.of(facts)
    for answer in facts.earlier:
        _after(draft, facts, answer)
    return draft.decide(_after(draft, facts, facts.answer))


def _after(draft: Draft, facts: Facts, answer: Answer) -> Step | None:
    match answer:
        case Fetched():
            return _after_fetch(draft, facts, answer)
        case FetchFailed(result):
            return _after_failed_fetch(draft, facts, result)
        case CallAnswered(result):
            return _after_call(draft, facts, result)
        case RoomSought(search, call):
            return _after_search(draft, facts, search, call)


# --- after a fetch


def _after_fetch(draft: Draft, facts: Facts, fetched: Fetched) -> Step | None:
    apply_observation(draft, fetched)
    if draft.operation is None:
        decide_without_operation(draft, facts, fetched)
        return None
    if not draft.operation.is_active:
        refresh_status(draft)
        return None
    _begin_attempt(draft)
    step = next_step(draft, facts, fetched)
    return _take(draft, facts, _within_deadline(draft, step))


def _begin_attempt(draft: Draft) -> None:
    """Mark it begun, and credit its deadline with the time that did not count since the last attempt."""
    operation = draft.attempted
    if operation.status == OperationStatus.QUEUED:
        draft.set_operation(status=OperationStatus.IN_PROGRESS, started_at=draft.now)
    since = (draft.now - (operation.attempted_at or operation.created_at)).total_seconds()
    elapsed = max(since, 0.0)
    _credit(draft, max(elapsed - LONGEST_PAUSE, 0.0) if operation.deadline_runs else elapsed)
    draft.set_operation(attempted_at=draft.now, deadline_runs=True)


def _credit(draft: Draft, seconds: float) -> None:
    """These seconds do not count against the deadline."""
    if draft.attempted.deadline is not None:
        draft.set_operation(deadline=draft.attempted.deadline + timedelta(seconds=seconds))


def _within_deadline(draft: Draft, step: Step) -> Step:
    """Past the deadline what was seen stands; otherwise the operation fails."""
    operation = draft.attempted
    if operation.deadline is None or draft.now <= operation.deadline or not isinstance(step, Call | LookAgain):
        return step
    return Fail(Code.TIMEOUT if operation.search is None else QUOTAS[operation.search.resource].full)


def _take(draft: Draft, facts: Facts, step: Step) -> Step | None:
    """Write down what follows from the step."""
    operation = draft.attempted
    match step:
        case Call(name) if operation.search is not None:
            return FindRoom(name)
        case Call(name):
            record_attempt(draft, name)
            return step
        case LookAgain():
            refresh_status(draft)
            return _look_again(draft, facts, step)
        case _:
            return _end(draft, step)


# --- a call, and its answer


def _after_call(draft: Draft, facts: Facts, result: CallResult) -> Step | None:
    """What Daytona's answer to the latest call means."""
    meaning = MEANINGS[result.kind]
    _note_answer(draft, result, meaning)
    operation = draft.attempted
    if not operation.is_active:
        refresh_status(draft)
        return None
    if not meaning.counts:
        _credit(draft, _since_attempt(draft))
    if meaning.outcome in (CallOutcome.ACCEPTED, CallOutcome.FAILED):
        deadline = deadline_for(draft.sandbox, operation.action, now=draft.now, limits=draft.limits)
        draft.set_operation(deadline=deadline, attempt=0)
    if meaning.outcome != CallOutcome.REFUSED and operation.search is not None:
        draft.release_room()  # Daytona has room: it holds some calls longer than we wait
        draft.set_operation(search=None)
    fail = Fail(meaning.fail, result.message) if meaning.fail is not None else None
    if meaning.lacks is not None and meaning.lacks in draft.limits.room_for:
        fail = _search_room(draft, facts, result, meaning.lacks)
    if fail is not None:
        return _end(draft, fail)
    refresh_status(draft)
    return _look_again(draft, facts, LookAgain(_pause(result, meaning), meaning.why, counts=meaning.counts))


def _note_answer(draft: Draft, result: CallResult, meaning: Meaning) -> None:
    """Write down what the call came to, for this operation and for the whole installation."""
    name = record_result(draft, result)
    if result.remote is not None and draft.sandbox.daytona_id is None:
        draft.set(daytona_id=result.remote.id, organization_id=result.remote.organization_id)
    if meaning.outcome == CallOutcome.ACCEPTED:
        draft.effects.append(CloseNotices(STARTS if name in STARTING else KEY_WORKS))
    if meaning.notice is not None:
        draft.tell(meaning.notice, result.message)


def _pause(result: CallResult, meaning: Meaning) -> float:
    """Seconds: as long as Daytona says. A throttle that says 0 is not asked again in the same moment."""
    pause = result.retry_after or meaning.pause
    return max(pause, meaning.pause) if result.kind is ResultKind.THROTTLED else pause


def _since_attempt(draft: Draft) -> float:
    since = draft.attempted.attempted_at or draft.attempted.created_at
    return max((draft.now - since).total_seconds(), 0.0)


def deadline_for(row: SandboxFacts, action: str, *, now: datetime, limits: Limits) -> datetime | None:
    """When an operation has had its time; None for delete, which has as long as it takes."""
    if action == Action.DELETE:
        return None
    was_archived = row.observed_state in ("archived", "archiving", "restoring")
    starts = action in (Action.START, Action.RESTART)
    name = "start_archived" if starts and was_archived else action
    return now + timedelta(seconds=limits.deadlines[name])


def _after_failed_fetch(draft: Draft, facts: Facts, result: CallResult) -> Step | None:
    """Daytona could not be asked: nothing is known, and whoever asks waits."""
    meaning = MEANINGS[result.kind]
    step = LookAgain(_pause(result, meaning), meaning.why, counts=False, may_be_sooner=False)
    if meaning.is_rejection:
        draft.tell(NoticeCode.UNKNOWN_ANSWER, f"Daytona refuses to show a sandbox: {result.message}")
        step = LookAgain(REFUSED_FETCH_PAUSE, "Daytona refuses to show it; waiting", may_be_sooner=False)
    elif meaning.notice is not None:
        draft.tell(meaning.notice, result.message)
    if draft.operation is None:
        draft.set(fetch_due_at=draft.later(max(step.after, UNANSWERED_FETCH_PAUSE)))
        return None
    if not draft.operation.is_active:
        return None
    _credit(draft, _since_attempt(draft))
    return _look_again(draft, facts, step)


# --- room in a full quota


def _search_room(draft: Draft, facts: Facts, result: CallResult, resource: Resource) -> Fail | None:
    """The quota is full: begin the search for room, or go on with it. Returns why it is in vain."""
    search = draft.attempted.search
    if result.limit is not None and result.limit < _need(draft, result.resource):
        return Fail(Code.QUOTA_TOO_SMALL, result.message)
    if search is not None and search.resource is resource:
        draft.set_operation(search=search.refused(result.message, now=draft.now))
        return None
    draft.release_room()  # of the other resource, of which there is enough now
    search = quota.begin(result.message, now=draft.now, jitter=facts.jitter, resource=resource)
    draft.set_operation(search=search, deadline=draft.later(draft.limits.deadlines[QUOTAS[resource].waits]))
    return None


def _need(draft: Draft, resource: str) -> int:
    """What was refused is at least one: in a region without any GPU nobody's stop helps."""
    row = draft.sandbox
    return max({"CPU": row.cpu, "memory": row.memory_gb, "disk": row.disk_gb}.get(resource, 1), 1)


def _after_search(draft: Draft, facts: Facts, search: quota.QuotaSearch, call: str) -> Step | None:
    """After the search for room, which took its time: whether the call may be made now."""
    operation = draft.attempted
    if not operation.is_active:
        draft.effects.append(ReleaseRoom(search))
        refresh_status(draft)
        return None
    draft.set_operation(search=search)
    if refused := may_not_call(draft, facts, call):
        return _end(draft, refused)
    if search.forbids_call(now=draft.now):
        refresh_status(draft)
        return _look_again(draft, facts, LookAgain(0.3, QUOTAS[search.resource].why, counts=True))
    record_attempt(draft, call)
    return Call(call)


# --- waiting and ending


def _look_again(draft: Draft, facts: Facts, step: LookAgain) -> LookAgain:
    """Schedule the next attempt: a state that does not move is fetched less and less."""
    operation = draft.attempted
    attempt = operation.attempt + 1
    pause = backoff(
        attempt // 8, first=draft.limits.retry_base, longest=LONGEST_PAUSE, factor=1.5, jitter=facts.jitter
    )
    draft.set_operation(
        attempt=attempt,
        step=step.why,
        due_at=draft.later(max(step.after, pause)),
        attempted_at=draft.now,
        deadline_runs=step.counts,
    )
    return step


def _end(draft: Draft, step: Step) -> Step:
    """The operation ends: with what was seen, or with a code."""
    operation = draft.attempted
    if isinstance(step, Done):
        if operation.action == Action.DELETE:
            mark_gone(draft)
        if INTENT_OF.get(operation.action) == draft.sandbox.intent:
            meet_intent(draft)  # also to who asked for the same again during the fetch
        _close(draft, OperationStatus.SUCCEEDED)
        return step
    assert isinstance(step, Fail)
    message = step.message or _message(draft, step.code)
    if step.code == Code.SANDBOX_LIMIT_REACHED:
        _undo_create(draft, message)
    elif operation.action == Action.CREATE and draft.sandbox.daytona_id is None:
        _end_failed_create(draft, step.code, message)
    else:
        if not draft.own_calls:
            draft.revert_intent()
        status = OperationStatus.CANCELLED if step.code == Code.NO_LONGER_DUE else OperationStatus.FAILED
        _close(draft, status, code=step.code, message=message)
    return step


def _message(draft: Draft, code: Code) -> str:
    """Daytona's words for staff: of the error that the sandbox is in."""
    return draft.sandbox.error_reason if code in (Code.SANDBOX_ERRORED, Code.SANDBOX_UNRECOVERABLE) else ""


def _close(draft: Draft, status: OperationStatus, *, code: Code | None = None, message: str = "") -> None:
    draft.close_operation(status, code=code, message=message)
    refresh_status(draft)


def _undo_create(draft: Draft, message: str) -> None:
    """Convex has no room for it: the create fails, and a delete follows, as durable as any other."""
    _close(draft, OperationStatus.FAILED, code=Code.SANDBOX_LIMIT_REACHED, message=message)
    actor, reason = Actor.system("convex"), "Convex has no room for it"
    draft.set_intent(Intent.DELETED, actor=actor, reason=reason)
    draft.effects.append(NewOperation(action=Action.DELETE, actor=actor, source=Source.SWEEP, reason=reason))


def _end_failed_create(draft: Draft, code: Code, message: str) -> None:
    """Nothing was made: the row becomes a tombstone and its place under the cap is free.

    A call in doubt may still make it: the intent is `deleted`, and is not met before that call is settled, so a
    late sandbox is looked for by name and deleted.
    """
    draft.set_intent(Intent.DELETED, actor=Actor.system("create"), reason=f"The create failed: {code}")
    mark_gone(draft)
    _close(draft, OperationStatus.FAILED, code=code, message=message)
