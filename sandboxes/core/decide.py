"""decide(): what happens to a sandbox next. Pure: facts in, a decision out; nothing above it decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sandboxes.core import pending, quota
from sandboxes.core.asked import differences, observed
from sandboxes.core.backoff import backoff, by_age
from sandboxes.core.codes import Code, NoticeCode
from sandboxes.core.draft import Draft
from sandboxes.core.facts import (
    CallAnswered,
    CallFacts,
    CloseNotices,
    Decision,
    Facts,
    Fetched,
    FetchFailed,
    Limits,
    NewOperation,
    ReleaseRoom,
    Result,
    RoomSought,
    SandboxFacts,
    TellDaytona,
)
from sandboxes.core.gate import destroys
from sandboxes.core.observation import (
    apply_observation,
    mark_gone,
    meet_intent,
    refresh_status,
    tell_differences,
    unacknowledged_call,
)
from sandboxes.core.plan import Call, Done, Fail, FindRoom, LookAgain, Step, plan
from sandboxes.core.ranking import survives_a_stop
from sandboxes.core.results import MEANINGS, Meaning, ResultKind
from sandboxes.core.vocabulary import (
    ACTION_FOR,
    INTENT_OF,
    Action,
    Actor,
    ActorKind,
    CallOutcome,
    EventKind,
    Intent,
    OperationStatus,
    Source,
)

LONGEST_PAUSE = 10.0  # seconds between two attempts of a living worker; beyond that nobody looked
REFUSED_LOOK_PAUSE = 5.0  # nobody can say when a look that Daytona refuses will succeed
UNANSWERED_LOOK_PAUSE = 5.0  # of a sandbox that has no operation
STARTING_CALLS = frozenset({Action.CREATE, Action.START, Action.RECOVER})
# Which conditions an accepted call shows to be over: a suspended organisation may still stop and delete.
KEY_WORKS = (NoticeCode.DAYTONA_UNAUTHORIZED, NoticeCode.DAYTONA_NOT_CONFIGURED)
STARTS = (*KEY_WORKS, NoticeCode.ORG_SUSPENDED)


def decide(facts: Facts) -> Decision:
    """Decide the next step of an operation, or of a look at a sandbox that has none.

    Returns the step (None when nothing is left to do), the new values of the rows, and the effects.
    """
    draft = Draft.of(facts)
    match facts.answer:
        case Fetched() as fetched:
            step = _after_fetch(draft, facts, fetched)
        case FetchFailed(result):
            step = _after_failed_fetch(draft, facts, result)
        case CallAnswered(result):
            step = _after_call(draft, facts, result)
        case RoomSought(search, call):
            step = _after_search(draft, facts, search, call)
    return draft.decide(step)


# --- after a fetch


def _after_fetch(draft: Draft, facts: Facts, fetched: Fetched) -> Step | None:
    apply_observation(draft, fetched)
    if draft.operation is None:
        _after_look(draft, facts, fetched)
        return None
    if not draft.operation.is_active:
        refresh_status(draft)
        return None
    _begin_attempt(draft)
    step = _next_step(draft, facts, fetched)
    return _take(draft, facts, _within_deadline(draft, step))


def _begin_attempt(draft: Draft) -> None:
    """Mark it begun, and credit its deadline with the time that did not count since the last attempt."""
    operation = draft.operation
    assert operation is not None
    if operation.status == OperationStatus.QUEUED:
        draft.set_operation(status=OperationStatus.IN_PROGRESS, started_at=draft.now)
    since = (draft.now - (operation.attempted_at or operation.created_at)).total_seconds()
    elapsed = max(since, 0.0)
    _credit(draft, max(elapsed - LONGEST_PAUSE, 0.0) if operation.deadline_runs else elapsed)
    draft.set_operation(attempted_at=draft.now, deadline_runs=True)


def _credit(draft: Draft, seconds: float) -> None:
    """These seconds do not count against the deadline."""
    assert draft.operation is not None
    if draft.operation.deadline is not None:
        draft.set_operation(deadline=draft.operation.deadline + timedelta(seconds=seconds))


def _next_step(draft: Draft, facts: Facts, fetched: Fetched) -> Step:
    """What the plan says, but for what the observation does not prove and what may not be called."""
    row, operation = draft.sandbox, draft.operation
    assert operation is not None
    was_not_found = fetched.remote is None and not fetched.foreign and row.deleted_at is None
    if operation.action == Action.SYNC and was_not_found:
        return Done()  # it looked; a lone 404 is recorded and believed slowly
    if fetched.foreign and operation.action in (Action.CREATE, Action.START):
        return Fail(Code.NAME_TAKEN)
    awaited = unacknowledged_call(draft)
    step = plan(
        operation.action, row.seen, awaiting=awaited.name if awaited else None, recovered=_has_recovered(draft)
    )
    if isinstance(step, LookAgain) and awaited is not None and awaited.was_outage:
        step = replace(step, counts=False)
    if row.missing_since is not None and row.deleted_at is None and not isinstance(step, LookAgain):
        # What was seen before proves nothing.
        step = LookAgain(_until_sure(draft, row.missing_since), "Daytona does not find it; waiting to be sure")
    if isinstance(step, Done) and operation.action == Action.CREATE:
        step = _convex_verdict(draft, facts)
    return _before_calling(draft, facts, step.name) or step if isinstance(step, Call) else step


def _has_recovered(draft: Draft) -> bool:
    """A sandbox can be recovered twice in its life: an operation uses up one of them at most."""
    return any(call.name == Action.RECOVER and call.outcome != CallOutcome.REFUSED for call in draft.own_calls)


def _until_sure(draft: Draft, missing_since: datetime) -> float:
    """Seconds until the next look at what Daytona does not find: few looks, and one just when a second 404 would be
    believed."""
    confirm = draft.limits.missing_confirm
    age = (draft.now - missing_since).total_seconds()
    pause = by_age(age, first=draft.limits.intent_retry / 2, longest=confirm)
    return min(pause, confirm - age) if age < confirm else pause


def _convex_verdict(draft: Draft, facts: Facts) -> Step:
    """Daytona runs it: the create succeeds once Convex has answered the first push, or is silent for a minute.

    Convex has a cap of its own and may refuse the row; only while the create is active does that undo it.
    """
    if facts.convex.has_no_room:
        return Fail(Code.SANDBOX_LIMIT_REACHED, "Convex has no room for it.")
    if not facts.convex.is_on or facts.convex.has_answered:
        return Done()
    meet_intent(draft)
    runs_since = draft.sandbox.intent_met_at or draft.now
    waited = (draft.now - runs_since).total_seconds()
    return Done() if waited >= draft.limits.convex_first_push else LookAgain(0.1, "waiting for Convex")


def _before_calling(draft: Draft, facts: Facts, call: str) -> Fail | None:
    """Why this call may not be made; None when it may."""
    row, operation = draft.sandbox, draft.operation
    assert operation is not None
    if call in STARTING_CALLS and facts.on_hold:
        return Fail(Code.OWNER_ON_HOLD)
    # One that would not come back when next needed. A stop that a person has joined is no longer the evictor's.
    is_victim = operation.source == Source.EVICTION and operation.actor_kind == ActorKind.SYSTEM
    if is_victim and not survives_a_stop(row.observed_auto_delete):
        return Fail(Code.EPHEMERAL_WOULD_BE_DESTROYED)
    if refused := destroys(row, operation.action, force=operation.force):
        return Fail(refused.code)
    if operation.search is not None and operation.search.exhausted:
        return Fail(Code.CAPACITY_EXHAUSTED, operation.search.exhausted)
    refusal = _standing_refusal(draft, call)
    return Fail(Code.DAYTONA_REJECTED, refusal) if refusal else None


def _standing_refusal(draft: Draft, call: str) -> str:
    """Daytona's refusal of this very call, where a look has shown that it is still what is needed.

    A refusal for the sandbox's state stands only when it has outlived the cache that GETs come from.
    """
    last = draft.own_calls[-1] if draft.own_calls else None
    if last is None or last.name != call or not last.message or last.outcome != CallOutcome.REFUSED:
        return ""
    age = (draft.now - last.first_at).total_seconds()
    return "" if last.may_be_stale and age < draft.limits.read_cache else last.message


def _within_deadline(draft: Draft, step: Step) -> Step:
    """Past the deadline what was seen stands; otherwise the operation fails."""
    operation = draft.operation
    assert operation is not None
    if operation.deadline is None or draft.now <= operation.deadline or not isinstance(step, Call | LookAgain):
        return step
    return Fail(Code.TIMEOUT if operation.search is None else Code.CAPACITY_EXHAUSTED)


def _take(draft: Draft, facts: Facts, step: Step) -> Step | None:
    """Write down what follows from the step."""
    operation = draft.operation
    assert operation is not None
    match step:
        case Call(name) if operation.search is not None:
            return FindRoom(name)
        case Call(name):
            _record_attempt(draft, name)
            return step
        case LookAgain():
            refresh_status(draft)
            return _look_again(draft, facts, step)
        case _:
            return _end(draft, step)


# --- a call, and its answer


def _record_attempt(draft: Draft, name: str) -> None:
    """Before a mutating call: from here on it may run, whatever happens to this worker."""
    operation = draft.operation
    assert operation is not None
    last = draft.own_calls[-1] if draft.own_calls else None
    doubt = draft.later(draft.limits.in_doubt)
    if last is not None and last.name == name and last.outcome == CallOutcome.REFUSED and last is draft.calls[-1]:
        # The same once more: a condition may last for days, and is one line.
        again = replace(
            last, made_at=draft.now, outcome=CallOutcome.PENDING, times=last.times + 1, in_doubt_until=doubt
        )
        draft.set_call(last, again)
    else:
        made = CallFacts(
            operation_id=operation.id, name=name, made_at=draft.now, first_at=draft.now, in_doubt_until=doubt
        )
        draft.calls = (*draft.calls, made)
    is_first_half = operation.action == Action.ARCHIVE and name == Action.STOP
    draft.set_operation(
        step="stopping before archive" if is_first_half else f"asking Daytona to {name}", attempted_at=draft.now
    )
    refresh_status(draft)


def _after_call(draft: Draft, facts: Facts, result: Result) -> Step | None:
    """What Daytona's answer to the latest call means."""
    meaning = MEANINGS[result.kind]
    name = _record_result(draft, result, meaning)
    row = draft.sandbox
    if result.remote is not None and row.daytona_id is None:
        draft.set(daytona_id=result.remote.id, organization_id=result.remote.organization_id)
    if meaning.outcome == CallOutcome.ACCEPTED:
        draft.effects.append(CloseNotices(STARTS if name in STARTING_CALLS else KEY_WORKS))
    if meaning.notice is not None:
        draft.tell(meaning.notice, result.message)
    operation = draft.operation
    assert operation is not None
    if not operation.is_active:
        refresh_status(draft)
        return None
    if not meaning.counts:
        _credit(draft, _since_attempt(draft))
    if meaning.outcome in (CallOutcome.ACCEPTED, CallOutcome.FAILED):
        deadline = deadline_for(row, operation.action, now=draft.now, limits=draft.limits)
        draft.set_operation(deadline=deadline, attempt=0)
    if meaning.outcome != CallOutcome.REFUSED and operation.search is not None:
        draft.release_room()  # Daytona has room: it holds some calls longer than we wait
        draft.set_operation(search=None)
    if result.kind is ResultKind.COMPUTE_QUOTA_FULL and (too_small := _search_room(draft, facts, result)):
        return _end(draft, too_small)
    if meaning.fail is not None:
        return _end(draft, Fail(meaning.fail, result.message))
    refresh_status(draft)
    pause = result.retry_after or meaning.pause
    if result.kind is ResultKind.THROTTLED:
        pause = max(pause, meaning.pause)
    return _look_again(draft, facts, LookAgain(pause, meaning.why, counts=meaning.counts))


def _since_attempt(draft: Draft) -> float:
    assert draft.operation is not None
    since = draft.operation.attempted_at or draft.operation.created_at
    return max((draft.now - since).total_seconds(), 0.0)


def _record_result(draft: Draft, result: Result, meaning: Meaning) -> str:
    """A definite answer ends the doubt of this call, though not that of an earlier one. Returns its name."""
    made = draft.own_calls[-1]
    message = result.message if meaning.is_rejection or meaning.outcome == CallOutcome.FAILED else ""
    answered = replace(
        made,
        outcome=meaning.outcome,
        message=message,
        may_be_stale=meaning.may_be_stale,
        was_outage=meaning.outcome == CallOutcome.UNKNOWN and not meaning.counts,
        in_doubt_until=made.in_doubt_until if meaning.outcome == CallOutcome.UNKNOWN else None,
    )
    is_repeated = made.times > 1 and made.message == message and meaning.outcome == CallOutcome.REFUSED
    if made.times > 1 and not is_repeated:
        # Those before it were refused alike, and stay as they are.
        draft.set_call(made, replace(made, outcome=CallOutcome.REFUSED, times=made.times - 1, in_doubt_until=None))
        draft.calls = (*draft.calls, replace(answered, id=None, first_at=made.made_at, times=1))
    else:
        draft.set_call(made, answered)
    if not is_repeated:
        words = message or (result.message if result.kind is ResultKind.COMPUTE_QUOTA_FULL else "")
        draft.event(EventKind.CALL, f"{made.name}: {meaning.outcome}", {"words": words} if words else {})
    return made.name


def deadline_for(row: SandboxFacts, action: str, *, now: datetime, limits: Limits) -> datetime | None:
    """When an operation has had its time; None for delete, which has as long as it takes."""
    if action == Action.DELETE:
        return None
    was_archived = row.observed_state in ("archived", "archiving", "restoring")
    name = "start_archived" if action == Action.START and was_archived else action
    return now + timedelta(seconds=limits.deadlines[name])


def _after_failed_fetch(draft: Draft, facts: Facts, result: Result) -> Step | None:
    """Daytona could not be asked: nothing is known, and whoever looks waits."""
    meaning = MEANINGS[result.kind]
    pause = result.retry_after or meaning.pause
    step = LookAgain(pause, meaning.why, counts=False, may_be_sooner=False)
    if meaning.is_rejection:
        draft.tell(NoticeCode.UNKNOWN_ANSWER, f"Daytona refuses to show a sandbox: {result.message}")
        step = LookAgain(REFUSED_LOOK_PAUSE, "Daytona refuses to show it; waiting", may_be_sooner=False)
    elif meaning.notice is not None:
        draft.tell(meaning.notice, result.message)
    if draft.operation is None:
        draft.set(observe_after=draft.later(max(step.after, UNANSWERED_LOOK_PAUSE)))
        return None
    if not draft.operation.is_active:
        return None
    _credit(draft, _since_attempt(draft))
    return _look_again(draft, facts, step)


# --- room in a full quota


def _search_room(draft: Draft, facts: Facts, result: Result) -> Fail | None:
    """The quota is full: begin the search for room, or go on with it. Returns why it is in vain."""
    operation = draft.operation
    assert operation is not None
    if result.limit is not None and result.limit < _need(draft, result.resource):
        return Fail(Code.QUOTA_TOO_SMALL, result.message)
    if operation.search is None:
        search = quota.begin(result.message, now=draft.now, jitter=facts.jitter)
        draft.set_operation(search=search, deadline=draft.later(draft.limits.deadlines["capacity"]))
    else:
        draft.set_operation(search=operation.search.refused(result.message, now=draft.now))
    return None


def _need(draft: Draft, resource: str) -> int:
    """What was refused is at least one: in a region without any GPU nobody's stop helps."""
    row = draft.sandbox
    return max({"CPU": row.cpu, "memory": row.memory_gb}.get(resource, 1), 1)


def _after_search(draft: Draft, facts: Facts, search: quota.QuotaSearch, call: str) -> Step | None:
    """After the search for room, which took its time: whether the call may be made now."""
    operation = draft.operation
    assert operation is not None
    if not operation.is_active:
        draft.effects.append(ReleaseRoom(search))
        refresh_status(draft)
        return None
    draft.set_operation(search=search)
    if refused := _before_calling(draft, facts, call):
        return _end(draft, refused)
    if search.forbids_call(now=draft.now):
        refresh_status(draft)
        return _look_again(draft, facts, LookAgain(0.3, "waiting for capacity", counts=True))
    _record_attempt(draft, call)
    return Call(call)


# --- waiting and ending


def _look_again(draft: Draft, facts: Facts, step: LookAgain) -> LookAgain:
    """Schedule the next attempt: a state that does not move is looked at less and less."""
    operation = draft.operation
    assert operation is not None
    attempt = operation.attempt + 1
    pause = backoff(
        attempt // 8, first=draft.limits.retry_base, longest=LONGEST_PAUSE, factor=1.5, jitter=facts.jitter
    )
    draft.set_operation(
        attempt=attempt,
        step=step.why[:200],
        next_check_at=draft.later(max(step.after, pause)),
        attempted_at=draft.now,
        deadline_runs=step.counts,
    )
    return step


def _end(draft: Draft, step: Step) -> Step:
    """The operation ends: with what was seen, or with a code."""
    operation = draft.operation
    assert operation is not None
    if isinstance(step, Done):
        if operation.action == Action.DELETE:
            mark_gone(draft)
        if INTENT_OF.get(operation.action) == draft.sandbox.intent:
            meet_intent(draft)  # also to who asked for the same again during the look
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
        _close(draft, OperationStatus.FAILED, code=step.code, message=message)
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


# --- a look at a sandbox that has no operation


def _after_look(draft: Draft, facts: Facts, fetched: Fetched) -> None:
    """Compare what is on its way to Daytona, and issue an intent that is not met again."""
    if fetched.remote is not None:
        _read_back(draft, fetched)
    refresh_status(draft)
    if draft.active is None and _is_to_be_kept(draft, facts):
        forced = facts.last_request is not None and facts.last_request.forced
        draft.effects.append(keep_intent(draft.sandbox, forced=forced))


def keep_intent(row: SandboxFacts, *, forced: bool) -> NewOperation:
    """The action of an intent that is not met yet, once more, in the system's name.

    A create whose delete was taken back before either was called goes on first.
    """
    is_unmade = row.daytona_id is None and row.intent != Intent.DELETED
    return NewOperation(
        action=Action.CREATE if is_unmade else ACTION_FOR[row.intent],
        actor=Actor.system("intent"),
        source=Source.SWEEP,
        reason=f"{row.intent_actor_kind}:{row.intent_actor_id} wants it {row.intent}",
        force=forced,
    )


def _is_to_be_kept(draft: Draft, facts: Facts) -> bool:
    """Whether the intent is to be issued again: not met, and an operation could do something about it.

    A stop, archive or delete that failed or was lost is. A start is only where it had succeeded and a call of
    ours that ran late undid it: one that failed was answered, and is the person's to repeat. Nothing that would
    destroy it is.
    """
    row, last = draft.sandbox, facts.last_request
    if row.intent_met_at is not None or row.deleted_at is not None or row.daytona_id is None:
        return False
    action = ACTION_FOR[row.intent]
    awaited = unacknowledged_call(draft)
    step = plan(action, row.seen, awaiting=awaited.name if awaited else None)
    if not isinstance(step, Call) or destroys(row, action, force=last is not None and last.forced):
        return False
    return action != Action.START or _start_had_succeeded(facts)


def _start_had_succeeded(facts: Facts) -> bool:
    last = facts.last_request
    if last is None or last.status != OperationStatus.SUCCEEDED:
        return False
    return INTENT_OF.get(last.action) == Intent.RUNNING


def _read_back(draft: Draft, fetched: Fetched) -> None:
    """Compare what is on its way with what was just seen, and tell Daytona what is due."""
    row, cache = draft.sandbox, draft.limits.read_cache
    before = pending.from_data(row.pending_changes)
    after = {
        key: kept
        for key, one in before.items()
        if (kept := one.after_look(holds=observed(row, key) == one.value, seen=fetched.started, read_cache=cache))
    }
    if after != before:
        draft.set(pending_changes=pending.as_data(after))
    tell_differences(
        draft, [one for one in differences(draft.sandbox) if one.key in before and one.key not in after]
    )
    due = [key for key, one in after.items() if not one.told_at and (one.due_at or draft.now) <= draft.now]
    if due:
        draft.effects.append(TellDaytona(tuple(due)))
