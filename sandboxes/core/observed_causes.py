"""Why Daytona shows another state, as far as what it showed before can tell."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sandboxes.core.actions import CALLS, MOVING
from sandboxes.core.causes import Cause
from sandboxes.core.states import ERROR_STATES, STATES
from sandboxes.core.vocabulary import Action, CallOutcome, Source

if TYPE_CHECKING:
    from sandboxes.core.draft import Draft
    from sandboxes.core.facts import RemoteSandbox

LONGEST_EFFECT = timedelta(minutes=5)
# Daytona looks for what is idle every 10 s, stores a keep-alive up to 10 s late, and a stop takes its time.
EARLIEST, LATEST = timedelta(seconds=-10), timedelta(seconds=120)
# What a recovery leaves where it is asked not to start, or does not get so far.
RECOVERED = frozenset({"stopped", "archived"})
OF_SOURCE: dict[str, Cause] = {Source.EVICTION: Cause.EVICTION, Source.POLICY: Cause.POLICY}
IN_WORDS = {
    Cause.AUTO_STOP: ", by its auto-stop",
    Cause.EVICTION: ", to make room",
    Cause.POLICY: ", by a lifecycle policy",
    Cause.OUTSIDE: ", not asked for here",
}


def cause_of_change(draft: Draft, remote: RemoteSandbox, *, started: datetime) -> Cause:
    """The cause of what a GET that began at `started` shows, before the sandbox takes it over.

    A stop counts as the auto-stop's only where it came when that was due after the last use that we know of: one
    by hand, or one after a use that only Daytona saw, is somebody's there.
    """
    operation = draft.operation
    if operation is not None and operation.action != Action.SYNC and draft.own_calls:
        return OF_SOURCE.get(operation.source, Cause.OPERATION)
    if _is_of_our_call(draft, remote, started=started):
        return Cause.SYSTEM if operation is None else Cause.OPERATION
    return Cause.AUTO_STOP if _is_auto_stop(draft, remote) else Cause.OUTSIDE


def _is_of_our_call(draft: Draft, remote: RemoteSandbox, *, started: datetime) -> bool:
    """Whether our latest call explains it: this is the first fetch since, or goes on with what the call began."""
    row, call = draft.sandbox, draft.calls[-1] if draft.calls else None
    if call is None or call.outcome == CallOutcome.REFUSED or not _may_lead_to(call.name, remote.state):
        return False
    was_moving = row.observed_state in STATES and STATES[row.observed_state].status in MOVING
    goes_on = was_moving and started - call.made_at <= LONGEST_EFFECT
    return row.observed_at is None or row.observed_at <= call.made_at or goes_on


def _may_lead_to(call: str, state: str) -> bool:
    """Whether a call can end in this state; but for a delete each of them may also fail."""
    ends = CALLS[call].effects | (RECOVERED if call == Action.RECOVER else frozenset())
    return state in ends or (call != Action.DELETE and state in ERROR_STATES)


def _is_auto_stop(draft: Draft, remote: RemoteSandbox) -> bool:
    """Daytona counts the change of state as activity: that tells when it stopped."""
    row = draft.sandbox
    used = max(filter(None, (row.last_activity_at, row.touch_forwarded_at)), default=None)
    stopped = remote.last_activity_at if remote.state in ("stopping", "stopped") else None
    if not row.observed_auto_stop or used is None or stopped is None:
        return False
    late = stopped - used - timedelta(minutes=row.observed_auto_stop)
    return EARLIEST <= late <= LATEST
