"""Operations begin and end here, inside the transaction that holds the sandbox."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings

from sandboxes.codes import Code
from sandboxes.models import Operation, Sandbox, SandboxEvent
from sandboxes.services import record
from sandboxes.services.queue import enqueue
from sandboxes.states import INTENT_OF, Action, Actor, Intent, OperationStatus, Source

log = structlog.get_logger(__name__)


def set_intent(row: Sandbox, intent: Intent, *, actor: Actor, reason: str, now: datetime) -> None:
    """A person, or a service for them, wants this from now on."""
    changed = row.intent != intent
    row.intent = intent
    row.intent_actor_kind, row.intent_actor_id = actor.kind, actor.id
    row.intent_reason = reason[:500]
    row.intent_at = now
    row.intent_met_at = None
    if changed:
        words = f"Wanted {intent}" + (f": {reason}" if reason else "")
        record.event(row, SandboxEvent.Kind.INTENT, words, actor=actor, at=now)


def intent_as_data(row: Sandbox) -> dict[str, Any]:
    """The intent as an operation remembers it, to restore when the operation is cancelled."""
    return {
        "intent": row.intent,
        "actor_kind": row.intent_actor_kind,
        "actor_id": row.intent_actor_id,
        "reason": row.intent_reason,
        "at": row.intent_at.isoformat() if row.intent_at else None,
        "met_at": row.intent_met_at.isoformat() if row.intent_met_at else None,
    }


def restore_intent(row: Sandbox, operation: Operation, *, now: datetime) -> None:
    """Take back the intent that this operation brought."""
    data = operation.previous_intent
    if not data or INTENT_OF.get(operation.action) != row.intent:
        return
    row.intent = data["intent"]
    row.intent_actor_kind, row.intent_actor_id = data["actor_kind"], data["actor_id"]
    row.intent_reason = data["reason"]
    row.intent_at = datetime.fromisoformat(data["at"]) if data["at"] else None
    row.intent_met_at = datetime.fromisoformat(data["met_at"]) if data["met_at"] else None
    record.event(row, SandboxEvent.Kind.INTENT, f"Wanted {row.intent} again", operation=operation, at=now)


def begin(
    row: Sandbox,
    action: Action,
    *,
    actor: Actor,
    source: Source,
    now: datetime,
    reason: str = "",
    force: bool = False,
    request_id: str = "",
    caused_by: Operation | None = None,
    previous_intent: dict[str, Any] | None = None,
) -> Operation:
    """Insert the operation and its task; the caller holds the row and has ended any other active one."""
    operation = Operation(
        sandbox=row,
        action=action,
        actor_kind=actor.kind,
        actor_id=actor.id,
        reason=reason[:500],
        source=source,
        request_id=request_id[:100],
        caused_by=caused_by,
        previous_intent=previous_intent,
        force=force,
        step="queued",
        next_check_at=now,
        deadline=deadline_for(row, action, now=now),
        created_at=now,
    )
    record.append(row, operation)
    if action != Action.SYNC:  # what a look has learned has events of its own
        told = {"reason": reason} if reason and not _is_told(row, previous_intent) else {}
        record.event(
            row, SandboxEvent.Kind.OPERATION, f"{action.label} requested", operation=operation, actor=actor, at=now,
            data={"status": operation.status} | told,
        )  # fmt: skip
    record.settle(row, active=operation, now=now)
    enqueue("advance_operation", operation.pk)
    return operation


def _is_told(row: Sandbox, previous_intent: dict[str, Any] | None) -> bool:
    """Whether the change of the intent has put the reason on the timeline already."""
    return previous_intent is not None and previous_intent["intent"] != row.intent


def deadline_for(row: Sandbox, action: str, *, now: datetime) -> datetime | None:
    """When an operation has had its time; None for delete, which has as long as it takes."""
    if action == Action.DELETE:
        return None
    archived = row.observed_state in ("archived", "archiving", "restoring")
    name = "start_archived" if action == Action.START and archived else action
    return now + timedelta(seconds=settings.DEADLINES[name])


def finish(
    row: Sandbox,
    operation: Operation,
    status: OperationStatus,
    *,
    now: datetime,
    code: Code | None = None,
    message: str = "",
) -> None:
    """End the operation, and bring the sandbox's status in line with what is now true of it."""
    operation.status = status
    operation.code = code or ""
    operation.message = message
    operation.step = ""
    operation.next_check_at = None
    operation.previous_intent = None  # what has ended is not taken back
    operation.finished_at = now
    operation.save()
    words = f"{operation.get_action_display()} {status}" + (f": {code}" if code else "")
    if operation.action != Action.SYNC or status == OperationStatus.FAILED:
        record.event(
            row, SandboxEvent.Kind.OPERATION, words, operation=operation, at=now,
            data={"status": status, "code": operation.code} | ({"message": operation.message} if message else {}),
        )  # fmt: skip
    record.settle(row, active=None, now=now)
    log.info(
        "operation_ended",
        operation_id=str(operation.pk),
        sandbox_id=str(row.pk),
        action=operation.action,
        status=status,
        code=operation.code,
        seconds=round((now - operation.created_at).total_seconds(), 3),
        request_id=operation.request_id,
    )
