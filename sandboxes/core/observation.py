"""What a fetch proves, and what is true of a sandbox then: its observation, status, intent and next fetch."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sandboxes.core import pending
from sandboxes.core.actions import CALLS, MOVING, brings_about
from sandboxes.core.asked import Difference, differences
from sandboxes.core.backoff import by_age
from sandboxes.core.codes import NoticeCode
from sandboxes.core.observed_causes import IN_WORDS, cause_of_change
from sandboxes.core.states import STATES, is_met, status_of
from sandboxes.core.vocabulary import Action, CallOutcome, EventKind, Intent, Status

if TYPE_CHECKING:
    from sandboxes.core.draft import Draft
    from sandboxes.core.facts import CallFacts, Fetched, RemoteSandbox, SandboxFacts

# What a GET shows for certain within the time in which it may come from Daytona's cache: a call that was answered,
# or may be at work. One without an answer is believed to have been lost after half of that.
CERTAIN = (CallOutcome.ACCEPTED, CallOutcome.FAILED)


def apply_observation(draft: Draft, fetched: Fetched) -> None:
    """Take over what was fetched, if it is newer than what is stored, and what it tells of our calls."""
    _apply(draft, fetched)
    draft.fetched_at = max(filter(None, (draft.fetched_at, fetched.started)))
    draft.calls = tuple(_after_fetch(draft, call, fetched) for call in draft.calls)


def _apply(draft: Draft, fetched: Fetched) -> None:
    row = draft.sandbox
    if fetched.remote is not None:
        _observed(draft, fetched.remote, started=fetched.started)
    elif row.daytona_id is None or row.deleted_at is not None:
        return
    elif fetched.confirmed or _was_ending(draft):
        mark_gone(draft)
    elif row.missing_since is None:
        draft.set(missing_since=fetched.started)
        draft.event(EventKind.OBSERVATION, "Daytona did not find it; not believed yet", of_operation=False)


def _observed(draft: Draft, remote: RemoteSandbox, *, started: datetime) -> None:
    row = draft.sandbox
    if row.observed_at is not None and started <= row.observed_at:
        return
    differed = differences(row)
    cause = cause_of_change(draft, remote, started=started)
    draft.sandbox = with_observation(row, remote, started=started).but(observed_at=started, missing_since=None)
    if remote.state == "destroyed":
        mark_gone(draft)
    elif row.deleted_at is not None:
        _revive(draft)
    if remote.state not in STATES:
        text = f"Daytona says “{remote.state}” of “{draft.sandbox.display_name}” ({row.id})."
        draft.tell(NoticeCode.UNKNOWN_STATE, text)
    after = draft.sandbox
    if (after.observed_state, after.desired_state, after.error_reason) != (
        row.observed_state, row.desired_state, row.error_reason,
    ):  # fmt: skip
        why = IN_WORDS.get(cause, "") if row.observed_state else ""
        text = f"Daytona says {remote.state}{why}" + (f": {remote.error_reason}" if remote.error_reason else "")
        data = {"before": row.observed_state, "desired": remote.desired_state, "cause": cause}
        draft.event(EventKind.OBSERVATION, text, data)
    tell_differences(draft, [one for one in differences(after) if one not in differed and not one.pending])


def tell_differences(draft: Draft, found: list[Difference]) -> None:
    """Put settings that Daytona has come to hold otherwise on the timeline, in one line."""
    if found:
        draft.event(EventKind.CHANGE, "; ".join(map(str, found)), of_operation=False)


def with_observation(row: SandboxFacts, remote: RemoteSandbox, *, started: datetime) -> SandboxFacts:
    """The sandbox with what Daytona holds; the other times and the timeline are the caller's."""
    return row.but(
        daytona_id=row.daytona_id or remote.id,
        organization_id=remote.organization_id or row.organization_id,
        observed_state=remote.state,
        desired_state=remote.desired_state or "",
        error_reason=remote.error_reason or "",
        recoverable=remote.recoverable,
        observed_auto_stop=remote.auto_stop_interval,
        observed_auto_archive=remote.auto_archive_interval,
        observed_auto_delete=remote.auto_delete_interval,
        last_activity_at=_used_at(row, remote, started=started),
        cpu=row.cpu if remote.cpu is None else remote.cpu,
        memory_gb=row.memory_gb if remote.memory_gb is None else remote.memory_gb,
        disk_gb=row.disk_gb if remote.disk_gb is None else remote.disk_gb,
        target=remote.target or row.target,
        sandbox_class=remote.sandbox_class or row.sandbox_class,
        snapshot=remote.snapshot or row.snapshot,
        labels=dict(remote.labels),
        ephemeral=row.ephemeral if remote.auto_delete_interval is None else remote.auto_delete_interval == 0,
    )


def _used_at(row: SandboxFacts, remote: RemoteSandbox, *, started: datetime) -> datetime | None:
    """Daytona's clock of use. It counts each change of state, so only what runs is believed; and its clock may be
    ahead of ours."""
    runs = remote.state in STATES and STATES[remote.state].status == Status.RUNNING
    if remote.last_activity_at is None or not (runs or row.last_activity_at is None):
        return row.last_activity_at
    return min(remote.last_activity_at, started)


def mark_gone(draft: Draft) -> None:
    """It no longer exists: the row becomes a tombstone, and is shown as gone, as nothing else ever is."""
    if draft.sandbox.deleted_at is None:
        draft.set(
            deleted_at=draft.now, status=Status.GONE, status_changed_at=draft.now, policy_due_at=None,
        )  # fmt: skip
        draft.event(EventKind.GONE, "It no longer exists in Daytona")


def _revive(draft: Draft) -> None:
    """It was believed gone and is there: it lives again, or is deleted again if that is the intent.

    What was taken for the effect of our DELETE was none: it is waited for again.
    """
    draft.set(deleted_at=None)
    status = Status.CREATING if draft.sandbox.seen is None else status_of(draft.sandbox.seen, last=Status.CREATING)
    draft.set(status=status, status_changed_at=draft.now, policies_from=draft.now, policy_due_at=draft.now)
    draft.calls = tuple(
        replace(call, effect_seen_at=None) if call.name == Action.DELETE else call for call in draft.calls
    )
    if draft.sandbox.intent == Intent.DELETED:
        draft.set(intent_met_at=None)
    draft.event(EventKind.RETURNED, "It was believed gone and is there again", of_operation=False)


def _was_ending(draft: Draft) -> bool:
    """After our DELETE was accepted, or Daytona showed it ending, the first 404 is the end."""
    last = draft.calls[-1] if draft.calls else None
    was_deleted = last is not None and last.name == Action.DELETE and last.outcome == CallOutcome.ACCEPTED
    return was_deleted or draft.sandbox.desired_state == "destroyed"


def may_have_ended(row: SandboxFacts, calls: tuple[CallFacts, ...]) -> bool:
    """Whether our latest call was a DELETE, or the stop of an ephemeral sandbox, that may have been carried out."""
    names = (Action.DELETE, Action.STOP) if row.ephemeral else (Action.DELETE,)
    return bool(calls) and calls[-1].name in names and calls[-1].outcome != CallOutcome.REFUSED


def unacknowledged_call(draft: Draft) -> CallFacts | None:
    """The latest call, by whichever operation, whose effect no fetch can have shown yet.

    Daytona answers a GET from a cache of up to 10 s (READ_CACHE_SECONDS).
    """
    seen, fetched_at = draft.sandbox.seen, draft.fetched_at
    call = next((call for call in reversed(draft.calls) if call.outcome != CallOutcome.REFUSED), None)
    if call is None or call.effect_seen_at is not None or (seen is not None and seen.is_ending):
        return None
    if fetched_at is None or fetched_at <= call.made_at:
        return call
    shows_from = draft.limits.read_cache * (1.0 if call.outcome in CERTAIN else 0.5)
    is_late = (fetched_at - call.made_at).total_seconds() >= shows_from
    is_from_before = call.name == Action.CREATE if seen is None else seen.state in CALLS[call.name].before
    return call if is_from_before and not is_late else None


def _after_fetch(draft: Draft, call: CallFacts, fetched: Fetched) -> CallFacts:
    """The call, with its effect seen, or out of doubt because the fetch began when it could not run any more.

    An effect that a later call explains as well proves nothing of the earlier one. Whoever made a call that is
    still pending may have died: it is in doubt no longer than any other. The effect of a call without an answer may
    be somebody else's: it excuses nothing any more, and may still run, against what is wanted by then.
    """
    row = draft.sandbox
    if call.outcome == CallOutcome.REFUSED:
        return call
    is_told = fetched.remote is not None or row.deleted_at is not None
    if call.in_doubt_until is not None and is_told and call.in_doubt_until <= fetched.started:
        call = replace(call, in_doubt_until=None)
    if call.effect_seen_at is not None or call.outcome == CallOutcome.PENDING:
        return call
    is_shown = fetched.started > call.made_at and _shows_effect(row, call.name) and not _is_explained(draft, call)
    return replace(call, effect_seen_at=fetched.started) if is_shown else call


def _is_explained(draft: Draft, call: CallFacts) -> bool:
    """Whether a later call may have brought about what is seen."""
    later = (other for other in draft.calls if other.made_at > call.made_at)
    return any(other.outcome != CallOutcome.REFUSED and _shows_effect(draft.sandbox, other.name) for other in later)


def _shows_effect(row: SandboxFacts, call: str) -> bool:
    if row.deleted_at is not None:
        return call == Action.DELETE
    return row.missing_since is None and row.observed_state in CALLS[call].effects


def doubt_against_intent(row: SandboxFacts, calls: tuple[CallFacts, ...]) -> datetime | None:
    """Until when a call in doubt may still bring about something else than what is wanted; None without any."""
    against = [call.in_doubt_until for call in calls if not brings_about(call.name, row.intent)]
    return max((until for until in against if until is not None), default=None)


def refresh_status(draft: Draft) -> None:
    """Bring the status, whether the intent is met, and the next fetch in line with what is known."""
    status = _status(draft)
    if status != draft.sandbox.status:
        draft.set(status=status, status_changed_at=draft.now)
        if status not in MOVING:
            draft.set(policy_due_at=draft.now)
    if not _is_from_before_intent(draft.sandbox):
        meet_intent(draft)
    draft.set(fetch_due_at=_next_fetch(draft))


def _status(draft: Draft) -> str:
    """What people see: what Daytona was last asked by whichever operation, else what it says."""
    row, seen, active = draft.sandbox, draft.sandbox.seen, draft.active
    if seen is not None and seen.missing:
        return Status.GONE
    if active in CALLS and (seen is None or _has_called(draft)):
        return CALLS[active].shown
    if _has_called(draft):
        return CALLS[draft.own_calls[-1].name].shown
    if seen is None:
        return row.status
    call = unacknowledged_call(draft)
    return CALLS[call.name].shown if call is not None else status_of(seen, last=row.status)


def _has_called(draft: Draft) -> bool:
    """Whether the active operation has made a call; one that follows an operation that has ended has not."""
    return draft.operation is not None and draft.operation.is_active and bool(draft.own_calls)


def meet_intent(draft: Draft) -> None:
    """The intent is met where the observation agrees with it, and no call may undo that: one in doubt, or one whose
    effect is still to be seen."""
    row = draft.sandbox
    is_shown = row.intent_met_at is None and is_met(intent=row.intent, seen=row.seen)
    if not is_shown or doubt_against_intent(row, draft.calls) is not None:
        return
    awaited = unacknowledged_call(draft)
    if awaited is None or brings_about(awaited.name, row.intent):
        draft.set(intent_met_at=draft.now)


def _is_from_before_intent(row: SandboxFacts) -> bool:
    """Whether the observation began before this was wanted, so that it proves nothing."""
    return bool(row.deleted_at is None and row.observed_at and row.intent_at and row.observed_at < row.intent_at)


def _next_fetch(draft: Draft) -> datetime | None:
    """An intent not met, a move not ended, or a doubt about existence is fetched again, with growing pauses.

    What is gone is fetched only while a call of ours may still bring it about.
    """
    row = draft.sandbox
    is_gone = row.deleted_at is not None
    doubt = doubt_against_intent(row, draft.calls)
    if draft.active is not None or (is_gone and doubt is None):
        return None  # its operation fetches; or there is nothing to see
    change_due = None if is_gone else pending.due_at(row.pending_changes, now=draft.now)
    return min(filter(None, (change_due, _doubt_due(draft, doubt))), default=None)


def _doubt_due(draft: Draft, doubt: datetime | None) -> datetime | None:
    """When to fetch again what is not as it is wanted, or in doubt."""
    row, limits = draft.sandbox, draft.limits
    soon = draft.later(limits.intent_retry)
    if row.missing_since is not None and row.deleted_at is None:
        return max(row.missing_since + timedelta(seconds=limits.missing_confirm), soon)
    if row.intent_met_at is None:
        certain = datetime.max.replace(tzinfo=UTC) if doubt is None else max(doubt, soon)
        return min(_later(draft, since=row.intent_at or row.created_at), certain)
    if row.status in MOVING:
        return _later(draft, since=row.status_changed_at or row.created_at)
    return None


def _later(draft: Draft, *, since: datetime) -> datetime:
    shortest = draft.limits.intent_retry
    age = (draft.now - since).total_seconds()
    return draft.later(by_age(age, first=shortest, longest=shortest * 120))
