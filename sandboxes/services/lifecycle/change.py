"""Changes that are no transition: name, intervals, protection. Labels and intervals reach Daytona later."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sandboxes import clock
from sandboxes.codes import Code, Refused, invalid
from sandboxes.gateways.daytona import DaytonaGateway, RemoteSandbox
from sandboxes.gateways.daytona_errors import DaytonaError
from sandboxes.models import Sandbox, SandboxEvent
from sandboxes.services import record
from sandboxes.services.lifecycle import call
from sandboxes.services.lifecycle.find import check, not_found
from sandboxes.services.queue import enqueue
from sandboxes.states import Actor, Status

INTERVALS = ("auto_stop", "auto_archive", "auto_delete")
MAX_MINUTES = 525_600  # a year


def rename(sandbox_id: UUID, name: str, *, actor: Actor) -> Sandbox:
    """Give it another name here, in Convex, and in Daytona's label (Daytona's own name never changes).

    Raises:
        Refused: SANDBOX_NOT_FOUND, SANDBOX_GONE, INVALID_REQUEST.
    """
    clean = name.strip()
    if not 1 <= len(clean) <= 200:
        raise invalid("name", "A name has 1 to 200 characters.")
    try:
        with record.locked(sandbox_id) as row:
            _check(row, actor)
            if clean != row.name:
                record.event(row, SandboxEvent.Kind.RENAMED, _renamed(row, clean), actor=actor)
                row.name = clean
                _tell_daytona(row, {"harness_name": clean})
    except record.LostLease:
        raise not_found(sandbox_id) from None
    return row


def set_intervals(
    sandbox_id: UUID,
    *,
    actor: Actor,
    auto_stop: int | None = None,
    auto_archive: int | None = None,
    auto_delete: int | None = None,
) -> Sandbox:
    """Set the intervals, in minutes; None leaves one as it is.

    Raises:
        Refused: SANDBOX_NOT_FOUND, SANDBOX_GONE, INVALID_REQUEST (negative stop or archive, more than a year;
            an auto-delete of 0 makes a sandbox ephemeral, which only a create may do).
    """
    wanted = {"auto_stop": auto_stop, "auto_archive": auto_archive, "auto_delete": auto_delete}
    changes = {name: minutes for name, minutes in wanted.items() if minutes is not None}
    _validate(changes)
    try:
        with record.locked(sandbox_id) as row:
            _check(row, actor)
            if row.ephemeral and "auto_delete" in changes:
                raise invalid("auto_delete_minutes", "The auto-delete of an ephemeral sandbox cannot be changed.")
            for name, minutes in changes.items():
                setattr(row, f"{name}_minutes", minutes)
            if changes:
                _changed(row, "Intervals changed", actor=actor, data=changes)
                _tell_daytona(row, changes)
    except record.LostLease:
        raise not_found(sandbox_id) from None
    return row


def _validate(changes: dict[str, int]) -> None:
    for name in ("auto_stop", "auto_archive"):
        if changes.get(name, 0) < 0:
            raise invalid(f"{name}_minutes", f"{name} is a number of minutes, 0 or more.")
    if changes.get("auto_delete", -1) == 0 or changes.get("auto_delete", -1) < -1:
        raise invalid("auto_delete_minutes", "auto_delete is -1 (never) or a number of minutes above 0.")
    for name, minutes in changes.items():
        if minutes > MAX_MINUTES:
            raise invalid(f"{name}_minutes", f"{name} is at most {MAX_MINUTES} minutes, a year.")


def protect(sandbox_id: UUID, *, actor: Actor, until: datetime | None, reason: str = "") -> Sandbox:
    """Keep it from being evicted until then; None lifts the protection.

    Raises:
        Refused: SANDBOX_NOT_FOUND, SANDBOX_GONE.
    """
    try:
        with record.locked(sandbox_id) as row:
            _check(row, actor)
            row.protected_until, row.protected_reason = until, reason[:500] if until else ""
            words = f"Protected until {until:%Y-%m-%d %H:%M} UTC" if until else "No longer protected"
            _changed(row, words, actor=actor, data={"reason": reason} if reason else {})
    except record.LostLease:
        raise not_found(sandbox_id) from None
    return row


def _check(row: Sandbox, actor: Actor) -> None:
    check(actor, row)
    if row.status == Status.GONE:
        raise Refused(Code.SANDBOX_GONE, f"“{row.display_name}” no longer exists in Daytona.")


def _renamed(row: Sandbox, name: str) -> str:
    return f"Renamed from “{row.name}” to “{name}”" if row.name_known else f"Named “{name}”"


def _changed(row: Sandbox, words: str, *, actor: Actor, data: Mapping[str, Any] | None = None) -> None:
    record.event(row, SandboxEvent.Kind.CHANGE, words, actor=actor, data=dict(data or {}))


def _tell_daytona(row: Sandbox, changes: Mapping[str, Any]) -> None:
    row.pending_changes = {**row.pending_changes, **changes}
    row.observe_after = clock.now()
    enqueue("observe_sandbox", row.pk)


def apply_pending(daytona: DaytonaGateway, row: Sandbox, remote: RemoteSandbox, *, token: str) -> None:
    """Tell Daytona the pending changes. Labels are merged into what the GET just showed: its PUT replaces all."""
    changes = dict(row.pending_changes)
    labels = {name: value for name, value in changes.items() if name not in INTERVALS}
    try:
        if labels and any(remote.labels.get(name) != value for name, value in labels.items()):
            daytona.replace_labels(remote.id, {**remote.labels, **labels})
        for name in INTERVALS:
            if name in changes:
                getattr(daytona, f"set_{name}")(remote.id, changes[name])
    except DaytonaError as error:
        pause = max(call.meaning(error).pause, 5)
        Sandbox.objects.filter(pk=row.pk, lease_token=token).update(
            observe_after=clock.now() + timedelta(seconds=pause)
        )
        return
    with record.locked(row.pk, token=token) as now_row:
        # What was changed again meanwhile stays pending.
        left = {k: v for k, v in now_row.pending_changes.items() if changes.get(k) != v}
        now_row.pending_changes = left
        record.settle(now_row, active=record.active_operation(row.pk), now=clock.now())
