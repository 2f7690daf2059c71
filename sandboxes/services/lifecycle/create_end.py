"""How a create ends: with Convex's answer to the first push, or without leaving anything behind."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from sandboxes import planner
from sandboxes.codes import Code
from sandboxes.models import Operation, Sandbox
from sandboxes.services import record
from sandboxes.services.lifecycle.begin import begin, finish, set_intent
from sandboxes.states import Action, Actor, Intent, OperationStatus, Source


def convex_verdict(row: Sandbox, operation: Operation, *, now: datetime) -> planner.Step:
    """Daytona runs it: the create succeeds once Convex has answered the first push, or is silent for a minute.

    Convex has a cap of its own and may refuse the row; only while the create is active does that undo it.
    """
    if row.projection.refusal == Code.SANDBOX_LIMIT_REACHED:
        return planner.Fail(Code.SANDBOX_LIMIT_REACHED)
    if not settings.CONVEX_URL or row.projection.pushed_generation > 0:
        return planner.Done()
    since = operation.progress.get("runs_since")
    if since is None:
        operation.progress = {**operation.progress, "runs_since": now.isoformat()}
        return planner.Wait(0.1, "waiting for Convex")
    waited = (now - datetime.fromisoformat(since)).total_seconds()
    if waited >= settings.CONVEX_FIRST_PUSH_SECONDS:
        return planner.Done()
    return planner.Wait(0.1, "waiting for Convex")


def undo_create(row: Sandbox, operation: Operation, *, now: datetime) -> None:
    """Convex has no room for it: the create fails, and a delete follows, as durable as any other."""
    code = Code.SANDBOX_LIMIT_REACHED
    finish(row, operation, OperationStatus.FAILED, now=now, code=code, message="Convex has no room for it.")
    actor = Actor.system("convex")
    set_intent(row, Intent.DELETED, actor=actor, reason="Convex has no room for it", now=now)
    begin(
        row, Action.DELETE, actor=actor, source=Source.SWEEP, now=now, reason="Convex has no room for it",
        caused_by=operation,
    )  # fmt: skip


def end_failed_create(row: Sandbox, operation: Operation, code: Code, message: str, *, now: datetime) -> None:
    """Nothing was made: the row becomes a tombstone and its place under the cap is free.

    A call with an unknown outcome may still make it: the intent is `deleted`, and is not met before that call
    is settled, so a late sandbox is looked for by name and deleted.
    """
    set_intent(row, Intent.DELETED, actor=Actor.system("create"), reason=f"The create failed: {code}", now=now)
    record.gone(row, now=now, during=operation)
    finish(row, operation, OperationStatus.FAILED, now=now, code=code, message=message)
