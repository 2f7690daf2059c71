"""Changes that are no transition: name, intervals, labels, protection. Daytona is told of them later (tell.py)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from django.conf import settings

from sandboxes import clock
from sandboxes.core import pending
from sandboxes.core.asked import NAME_LABEL, Value, drift, lost_labels
from sandboxes.core.codes import Code, Refused, invalid
from sandboxes.core.intervals import checked, is_made_ephemeral
from sandboxes.core.labels import merged
from sandboxes.core.vocabulary import Actor, ActorKind, AuditAction, EventKind, Intent, Status
from sandboxes.models import Sandbox
from sandboxes.services import audit, lookup, sandbox_store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID


class Intervals(TypedDict, total=False):
    """Minutes; None: nobody asks for a value any more, and Daytona's stands."""

    auto_stop: int | None
    auto_archive: int | None
    auto_delete: int | None


def rename(sandbox_id: UUID, name: str, *, actor: Actor) -> Sandbox:
    """Give it another name here, in Convex, and in Daytona's label (Daytona's own name never changes).

    Raises:
        Refused: SANDBOX_NOT_FOUND, SANDBOX_GONE, INVALID_REQUEST.
    """
    clean = name.strip()
    if not 1 <= len(clean) <= 200:
        raise invalid("name", "A name has 1 to 200 characters.")
    with lookup.locked(sandbox_id, actor=actor) as row:
        _check(row)
        if clean != row.name:
            sandbox_store.event(row, EventKind.RENAMED, _renamed(row, clean), actor=actor)
            audit.write(
                AuditAction.RENAMED, actor=actor, about=row, before={"name": row.name}, after={"name": clean}
            )
            row.name = clean
            _tell_daytona(row, {NAME_LABEL: clean})
    return row


def set_intervals(sandbox_id: UUID, *, actor: Actor, **asked: Unpack[Intervals]) -> Sandbox:
    """Ask for intervals; what is not named, or was asked for already, stays as it is.

    Raises:
        Refused: SANDBOX_NOT_FOUND, SANDBOX_GONE, INVALID_REQUEST (negative, longer than Daytona keeps it; an
            auto-delete of 0 makes a sandbox ephemeral, which only a create may do).
    """
    with lookup.locked(sandbox_id, actor=actor) as row:
        _check(row)
        given: Mapping[str, Any] = asked
        new = {name: minutes for name, minutes in given.items() if minutes != getattr(row, f"{name}_minutes")}
        changes = {name: _checked(row, name, minutes) for name, minutes in new.items()}
        before = {name: getattr(row, f"{name}_minutes") for name in changes}
        for name, minutes in changes.items():
            setattr(row, f"{name}_minutes", minutes)
        if changes:
            audit.write(AuditAction.SETTINGS, actor=actor, about=row, before=before, after=changes)
            _changed(row, "Intervals changed", actor=actor, data=changes)
            _tell_daytona(row, changes)
    return row


def _checked(row: Sandbox, name: str, minutes: int | None) -> int | None:
    if name == "auto_delete" and is_made_ephemeral(row):
        raise invalid("auto_delete_minutes", "The auto-delete of an ephemeral sandbox cannot be changed.")
    return None if minutes is None else checked(name, minutes)


def set_labels(sandbox_id: UUID, changes: Mapping[str, str | None] | None, *, actor: Actor) -> Sandbox:
    """Merge these into its labels as JSON Merge Patch has it: None takes one away, or all.

    Raises:
        Refused: SANDBOX_NOT_FOUND, SANDBOX_GONE, INVALID_REQUEST (a name or value that cannot be, too many).
    """
    with lookup.locked(sandbox_id, actor=actor) as row:
        _check(row)
        before = row.user_labels
        after = merged(before, dict.fromkeys(before) if changes is None else changes)
        if after != before:
            audit.write(
                AuditAction.SETTINGS, actor=actor, about=row, before={"labels": before}, after={"labels": after}
            )
            moved = {
                name: after.get(name, "") for name in {**before, **after} if before.get(name) != after.get(name)
            }
            row.user_labels = after
            _changed(row, "Labels changed", actor=actor, data=moved)
            _tell_daytona(row, moved)
    return row


def reapply(sandbox_id: UUID, *, actor: Actor) -> Sandbox:
    """Tell Daytona again what was asked for, where it holds something else.

    Raises:
        Refused: SANDBOX_NOT_FOUND, SANDBOX_GONE.
    """
    with lookup.locked(sandbox_id, actor=actor) as row:
        _check(row)
        differing = {one.key: one.asked for one in drift(row) if one.key}
        if differing:
            audit.write(AuditAction.SETTINGS, actor=actor, about=row, after=differing)
            _changed(row, "Daytona is told again what was asked for", actor=actor, data=differing)
            _tell_daytona(row, differing)
    return row


def put_labels_back(sandbox_id: UUID, *, actor: Actor) -> None:
    """Tell Daytona our labels again where somebody took them away; what else it holds otherwise stays.

    Raises:
        Refused: SANDBOX_NOT_FOUND, when it was pruned meanwhile.
    """
    with lookup.locked(sandbox_id, actor=actor) as row:
        if lost := lost_labels(row):
            _changed(row, "Daytona is told its labels again", actor=actor, data=lost)
            _tell_daytona(row, lost)


def protect(sandbox_id: UUID, *, actor: Actor, until: datetime | None, reason: str = "") -> Sandbox:
    """Keep it from being evicted until then; None lifts the protection. The time that holds changes nothing.

    Raises:
        Refused: SANDBOX_NOT_FOUND, SANDBOX_GONE, INVALID_REQUEST (a past time; but for staff, one more than
            PROTECT_MAX_DAYS ahead).
    """
    with lookup.locked(sandbox_id, actor=actor) as row:
        _check(row)
        kept = reason[:500] if until else ""
        if until == row.protected_until and kept in ("", row.protected_reason):
            return row
        if until is not None and until != row.protected_until:
            _check_end(until, actor)
        before = {"protected_until": row.protected_until}
        row.protected_until, row.protected_reason = until, kept
        row.policy_due_at = clock.now()
        after = {"protected_until": until}
        audit.write(AuditAction.PROTECTION, actor=actor, about=row, reason=reason, before=before, after=after)
        text = f"Protected until {until:%Y-%m-%d %H:%M} UTC" if until else "No longer protected"
        _changed(row, text, actor=actor, data={"reason": reason} if reason else {})
    return row


def forget(sandbox_id: UUID, *, actor: Actor, reason: str) -> Sandbox:
    """Count a sandbox whose delete does not end against its owner's limit no more; the delete goes on.

    Raises:
        Refused: SANDBOX_NOT_FOUND, INVALID_REQUEST (its delete is not stuck).
    """
    with lookup.locked(sandbox_id, actor=actor) as row:
        if row.intent != Intent.DELETED or not Sandbox.objects.stuck(clock.now()).filter(pk=row.pk).exists():
            raise Refused(Code.INVALID_REQUEST, f"The delete of “{row.display_name}” is not stuck.")
        if row.forgotten_at is None:
            row.forgotten_at = clock.now()
            audit.write(AuditAction.FORGOTTEN, actor=actor, about=row, reason=reason)
            _changed(row, "No longer counted against the owner's limit", actor=actor, data={"reason": reason})
    return row


def _check_end(until: datetime, actor: Actor) -> None:
    now = clock.now()
    if until <= now:
        raise invalid("protected_until", "It is in the past. Send a time to come, or null to lift the protection.")
    longest = timedelta(days=settings.PROTECT_MAX_DAYS)
    if actor.kind not in (ActorKind.STAFF, ActorKind.SYSTEM) and until > now + longest:
        days = settings.PROTECT_MAX_DAYS
        raise invalid("protected_until", f"At most {days:g} days ahead. Staff can protect it for longer.")


def _check(row: Sandbox) -> None:
    if row.status == Status.GONE:
        raise Refused(Code.SANDBOX_GONE, f"“{row.display_name}” no longer exists in Daytona.")


def _renamed(row: Sandbox, name: str) -> str:
    return f"Renamed from “{row.name}” to “{name}”" if row.name_known else f"Named “{name}”"


def _changed(row: Sandbox, text: str, *, actor: Actor, data: Mapping[str, Any] | None = None) -> None:
    sandbox_store.event(row, EventKind.CHANGE, text, actor=actor, data=dict(data or {}))


def _tell_daytona(row: Sandbox, changes: Mapping[str, Value | None]) -> None:
    row.pending_changes = pending.ask(row.pending_changes, changes, read_cache=settings.READ_CACHE_SECONDS)
    row.fetch_due_at = clock.now()
    sandbox_store.wake_workers(row)
