"""A fetch of a sandbox that has no operation: what is on its way to Daytona, and an intent that is not met."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes.core import pending
from sandboxes.core.actions import ACTION_FOR, INTENT_OF
from sandboxes.core.asked import INTERVALS, differences, holds, lost_labels
from sandboxes.core.facts import Facts, Fetched, NewOperation, SandboxFacts, TellDaytona
from sandboxes.core.gate import destroys
from sandboxes.core.observation import refresh_status, tell_differences, unacknowledged_call
from sandboxes.core.parameters import AS_BY_DEFAULT, Parameters
from sandboxes.core.pending import Pending
from sandboxes.core.plan import Call, plan
from sandboxes.core.vocabulary import Action, Actor, Intent, OperationStatus, Source

if TYPE_CHECKING:
    from datetime import datetime

    from sandboxes.core.draft import Draft


def decide_without_operation(draft: Draft, facts: Facts, fetched: Fetched) -> None:
    """Compare what is on its way to Daytona, and issue an intent that is not met again."""
    if fetched.remote is not None:
        _read_back(draft, fetched)
    refresh_status(draft)
    if draft.active is None and _is_to_be_kept(draft, facts):
        last = facts.last_request
        parameters = last.parameters if last is not None else AS_BY_DEFAULT
        draft.effects.append(keep_intent(draft.sandbox, parameters=parameters))


def keep_intent(row: SandboxFacts, *, parameters: Parameters) -> NewOperation:
    """The action of an intent that is not met yet, once more, in the system's name.

    A create whose delete was taken back before either was called goes on first.
    """
    is_unmade = row.daytona_id is None and row.intent != Intent.DELETED
    return NewOperation(
        action=Action.CREATE if is_unmade else ACTION_FOR[row.intent],
        actor=Actor.system("intent"),
        source=Source.SWEEP,
        reason=f"{row.intent_actor_kind}:{row.intent_actor_id} wants it {row.intent}",
        parameters=parameters,
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
    step = plan(action, row.seen, unacknowledged=awaited.name if awaited else None)
    if not isinstance(step, Call) or destroys(row, action, force=last is not None and last.parameters.force):
        return False
    return action != Action.START or _start_had_succeeded(facts)


def _start_had_succeeded(facts: Facts) -> bool:
    last = facts.last_request
    if last is None or last.status != OperationStatus.SUCCEEDED:
        return False
    return INTENT_OF.get(last.action) == Intent.RUNNING


def _read_back(draft: Draft, fetched: Fetched) -> None:
    """Compare what is on its way with what was just seen, and tell Daytona what is due."""
    before = pending.from_data(draft.sandbox.pending_changes)
    after = _still_pending(draft, before, seen=fetched.started)
    if after != before:
        draft.set(pending_changes=pending.as_data(after))
    tell_differences(
        draft, [one for one in differences(draft.sandbox) if one.key in before and one.key not in after]
    )
    due = [key for key, one in after.items() if not one.told_at and (one.due_at or draft.now) <= draft.now]
    if due:
        draft.effects.append(TellDaytona(tuple(due)))


def _still_pending(draft: Draft, before: dict[str, Pending], *, seen: datetime) -> dict[str, Pending]:
    """What Daytona does not show yet, and the labels that it has to be told together with one of them."""
    row, cache = draft.sandbox, draft.limits.read_cache
    after = {
        key: kept
        for key, one in before.items()
        if (kept := one.after_fetch(holds=holds(row, key, one.value), seen=seen, read_cache=cache))
    }
    if any(key not in INTERVALS and not one.told_at for key, one in after.items()):
        # Daytona replaces all labels at once: those that somebody took away go with the others.
        after |= {key: Pending(value=value) for key, value in lost_labels(row).items() if key not in before}
    return after
