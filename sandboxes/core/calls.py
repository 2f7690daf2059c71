"""What is written of a call to Daytona: before it is made, after it was answered, and what that means later."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandboxes.core.facts import CallFacts, CallResult
from sandboxes.core.observation import refresh_status
from sandboxes.core.results import MEANINGS
from sandboxes.core.vocabulary import Action, CallOutcome, EventKind

if TYPE_CHECKING:
    from sandboxes.core.draft import Draft


def record_attempt(draft: Draft, name: str) -> None:
    """Before a mutating call: from here on it may run, whatever happens to this worker."""
    operation = draft.attempted
    last = draft.own_calls[-1] if draft.own_calls else None
    doubt = draft.later(draft.limits.in_doubt)
    if last is not None and last.name == name and last.outcome == CallOutcome.REFUSED and last is draft.calls[-1]:
        # The same once more: a condition may last for days, and is one line.
        repeated = replace(
            last, made_at=draft.now, outcome=CallOutcome.PENDING, times=last.times + 1, in_doubt_until=doubt
        )
        draft.set_call(last, repeated)
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


def record_result(draft: Draft, result: CallResult) -> str:
    """A definite answer ends the doubt of this call, though not that of an earlier one. Returns its name."""
    made, meaning = draft.own_calls[-1], MEANINGS[result.kind]
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
        shown = result.message if meaning.lacks is not None else message
        draft.event(EventKind.CALL, f"{made.name}: {meaning.outcome}", _said(result, shown))
    return made.name


def _said(result: CallResult, message: str) -> dict[str, Any]:
    said: dict[str, Any] = {"daytona_message": message} if message else {}
    return said if result.limit is None else said | {"quota": {result.resource: result.limit}}


def has_recovered(draft: Draft) -> bool:
    """A sandbox can be recovered twice in its life: an operation uses up one of them at most."""
    return any(call.name == Action.RECOVER and call.outcome != CallOutcome.REFUSED for call in draft.own_calls)


def has_stopped(draft: Draft) -> bool:
    """Whether the operation is past its stop: a fetch has shown that, or it has called what follows a stop."""
    return any(
        call.effect_seen_at is not None if call.name == Action.STOP else call.outcome != CallOutcome.REFUSED
        for call in draft.own_calls
    )


def standing_refusal(draft: Draft, call: str) -> str:
    """Daytona's refusal of this very call, where a fetch has shown that it is still what is needed.

    A refusal for the sandbox's state stands only when it has outlived the cache that GETs come from.
    """
    last = draft.own_calls[-1] if draft.own_calls else None
    if last is None or last.name != call or not last.message or last.outcome != CallOutcome.REFUSED:
        return ""
    age = (draft.now - last.first_at).total_seconds()
    return "" if last.may_be_stale and age < draft.limits.read_cache else last.message
