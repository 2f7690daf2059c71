"""The next step of an operation after a fetch: the plan's, as far as it is proved, and may be called for. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sandboxes.core.actions import STARTING
from sandboxes.core.backoff import by_age
from sandboxes.core.calls import has_recovered, has_stopped, standing_refusal
from sandboxes.core.codes import Code
from sandboxes.core.gate import destroys
from sandboxes.core.observation import meet_intent, unacknowledged_call
from sandboxes.core.plan import Call, Done, Fail, LookAgain, Step, plan
from sandboxes.core.policies import is_withdrawn
from sandboxes.core.ranking import survives_a_stop
from sandboxes.core.resources import QUOTAS
from sandboxes.core.states import PlanRow, row_of
from sandboxes.core.vocabulary import Action, ActorKind, Source

if TYPE_CHECKING:
    from datetime import datetime

    from sandboxes.core.draft import Draft
    from sandboxes.core.facts import Facts, Fetched


def next_step(draft: Draft, facts: Facts, fetched: Fetched) -> Step:
    """What the plan says, but for what the observation does not prove and what may not be called."""
    row, operation = draft.sandbox, draft.attempted
    was_not_found = fetched.remote is None and not fetched.foreign and row.deleted_at is None
    if operation.action == Action.SYNC and was_not_found:
        return Done()  # it fetched; a lone 404 is recorded and believed slowly
    if fetched.foreign and operation.action in (Action.CREATE, Action.START):
        return Fail(Code.NAME_TAKEN)
    step = _as_planned(draft)
    if row.missing_since is not None and row.deleted_at is None and not isinstance(step, LookAgain):
        # What was seen before proves nothing.
        step = LookAgain(_until_sure(draft, row.missing_since), "Daytona does not find it; waiting to be sure")
    if isinstance(step, Done) and operation.action == Action.CREATE:
        step = _convex_verdict(draft, facts)
    return may_not_call(draft, facts, step.name) or step if isinstance(step, Call) else step


def _as_planned(draft: Draft) -> Step:
    """The plan's row and column, by what was seen and what our own calls may have changed since."""
    row, operation, awaited = draft.sandbox, draft.attempted, unacknowledged_call(draft)
    step = plan(
        operation.action, row.seen, unacknowledged=awaited.name if awaited else None,
        recovered=has_recovered(draft), stopped=has_stopped(draft),
    )  # fmt: skip
    if isinstance(step, Call) and operation.parameters.are_shown_by(row):
        return Done()
    if isinstance(step, LookAgain) and awaited is not None and awaited.was_outage:
        return replace(step, counts=False)
    return step


def _until_sure(draft: Draft, missing_since: datetime) -> float:
    """Seconds until the next fetch of what Daytona does not find; one is just when a 404 would be believed."""
    confirm = draft.limits.missing_confirm
    age = (draft.now - missing_since).total_seconds()
    pause = by_age(age, first=draft.limits.intent_retry / 2, longest=confirm)
    return min(pause, confirm - age) if age < confirm else pause


def _convex_verdict(draft: Draft, facts: Facts) -> Step:
    """Daytona runs it: the create has succeeded, and Convex is told beside it.

    Where Convex has a cap of its own and may refuse the row, it succeeds once Convex has answered the first push,
    or is silent for a minute: only while the create is active does a refusal undo it.
    """
    if facts.convex.has_no_room:
        return Fail(Code.SANDBOX_LIMIT_REACHED, "Convex has no room for it.")
    if not facts.convex.may_refuse or facts.convex.has_answered:
        return Done()
    meet_intent(draft)
    runs_since = draft.sandbox.intent_met_at or draft.now
    waited = (draft.now - runs_since).total_seconds()
    return Done() if waited >= draft.limits.convex_first_push else LookAgain(0.1, "waiting for Convex")


def may_not_call(draft: Draft, facts: Facts, call: str) -> Fail | None:
    """Why this call may not be made; None when it may."""
    operation = draft.attempted
    if operation.action in STARTING and facts.on_hold:
        return Fail(Code.OWNER_ON_HOLD)
    is_ours = operation.actor_kind == ActorKind.SYSTEM  # one that a person has joined is that person's
    if is_ours and operation.source == Source.POLICY and is_withdrawn(draft, facts):
        return Fail(Code.NO_LONGER_DUE)
    if is_ours and operation.source == Source.EVICTION and (spared := _spares_victim(draft)):
        return spared
    if refused := destroys(draft.sandbox, operation.action, force=operation.parameters.force):
        return Fail(refused.code)
    if operation.search is not None and operation.search.exhausted:
        return Fail(QUOTAS[operation.search.resource].full, operation.search.exhausted)
    refusal = standing_refusal(draft, call)
    return Fail(Code.DAYTONA_REJECTED, refusal) if refusal else None


def _spares_victim(draft: Draft) -> Fail | None:
    """Who makes room must come back when it is next needed, and who is used by now need not make any."""
    row = draft.sandbox
    if not survives_a_stop(row.observed_auto_delete):
        return Fail(Code.EPHEMERAL_WOULD_BE_DESTROYED)
    if draft.attempted.action == Action.ARCHIVE and row_of(row.seen) is PlanRow.STARTED:
        return Fail(Code.CANCELLED, "Somebody started it: it is not archived for room.")
    return None
