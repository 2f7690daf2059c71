"""Why Daytona shows another state, as far as what it showed before can tell. Pure: no query, no call."""

from __future__ import annotations

from datetime import datetime, timedelta

from sandboxes.causes import Cause
from sandboxes.gateways.daytona import RemoteSandbox
from sandboxes.models import Operation, Sandbox
from sandboxes.states import MOVING, STATUS_OF_STATE, Action, Source

# What each of our calls can bring about.
STARTING = {"starting", "restoring", "resuming", "pulling_snapshot", "started", "error"}
EFFECTS: dict[str, set[str]] = {
    "create": STARTING | {"unknown", "creating", "pending_build", "building_snapshot", "build_failed"},
    "start": STARTING,
    "recover": STARTING | {"stopped", "archived"},
    "stop": {"stopping", "stopped", "error"},
    "archive": {"archiving", "archived", "error"},
    "delete": {"destroying", "destroyed"},
}
LONGEST_EFFECT = timedelta(minutes=5)
# Daytona looks for what is idle every 10 s, stores a keep-alive up to 10 s late, and a stop takes its time.
EARLIEST, LATEST = timedelta(seconds=-10), timedelta(seconds=120)
IN_WORDS = {
    Cause.AUTO_STOP: ", by its auto-stop",
    Cause.EVICTION: ", to make room",
    Cause.OUTSIDE: ", not asked for here",
}


def cause_of_change(row: Sandbox, remote: RemoteSandbox, *, started: datetime, during: Operation | None) -> Cause:
    """Of what a GET that began at `started` shows, before the row takes it over.

    A stop counts as the auto-stop's only where it came when that was due after the last use that we know of: one
    by hand, or one after a use that only Daytona saw, is somebody's there.
    """
    if during is not None and during.action != Action.SYNC and during.has_called:
        return Cause.EVICTION if during.source == Source.EVICTION else Cause.OPERATION
    if _is_of_our_call(row, remote, started=started):
        return Cause.SYSTEM if during is None else Cause.OPERATION
    return Cause.AUTO_STOP if _is_auto_stop(row, remote) else Cause.OUTSIDE


def _is_of_our_call(row: Sandbox, remote: RemoteSandbox, *, started: datetime) -> bool:
    """Whether our latest call explains it: this is the first look since, or goes on with what the call began."""
    call = row.last_call
    if not call or call["outcome"] == "refused" or remote.state not in EFFECTS.get(call["name"], ()):
        return False
    at = datetime.fromisoformat(call["at"])
    goes_on = STATUS_OF_STATE.get(row.observed_state) in MOVING and started - at <= LONGEST_EFFECT
    return row.observed_at is None or row.observed_at <= at or goes_on


def _is_auto_stop(row: Sandbox, remote: RemoteSandbox) -> bool:
    """Daytona counts the change of state as activity: that tells when it stopped."""
    used = max(filter(None, (row.last_activity_at, row.touch_forwarded_at)), default=None)
    stopped = remote.last_activity_at if remote.state in ("stopping", "stopped") else None
    if not row.observed_auto_stop or used is None or stopped is None:
        return False
    late = stopped - used - timedelta(minutes=row.observed_auto_stop)
    return EARLIEST <= late <= LATEST
