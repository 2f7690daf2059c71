"""request() and cancel(): one transaction each, no remote call. The newest request of a person wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes import clock
from sandboxes.core import intents
from sandboxes.core.actions import INTENT_OF, joins, parameters_of
from sandboxes.core.codes import Code, Refused
from sandboxes.core.facts import NewOperation
from sandboxes.core.parameters import AS_BY_DEFAULT, Parameters
from sandboxes.core.vocabulary import Action, Actor, EventKind, Intent, OperationStatus, Source, Status
from sandboxes.models import IntentChange, Operation, Sandbox
from sandboxes.services import lookup, operation_budget, sandbox_store
from sandboxes.services.decisions import create_operation, refresh
from sandboxes.services.lifecycle.allowed import allowed_actions, refusal
from sandboxes.services.operations import close_operation, keep_intent, revert_intent, set_intent

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from uuid import UUID


def request(
    sandbox_id: UUID | str,
    action: Action,
    *,
    actor: Actor,
    source: Source,
    reason: str = "",
    parameters: Parameters = AS_BY_DEFAULT,
    request_id: str = "",
    gate: Callable[[Sandbox], None] | None = None,
) -> Operation:
    """Ask for an action: the intent changes at once, the operation follows it. The id is ours or Daytona's.

    The same action already active is joined (a double click is one operation); another one is superseded.
    `gate` may refuse as well, by what nobody else can change
    meanwhile.

    Raises:
        Refused: what the row alone can say no to, and OPERATION_BUDGET_SPENT; the intent is left alone then.
    """
    asked = NewOperation(
        action=action, actor=actor, source=source, reason=reason, parameters=parameters, request_id=request_id
    )
    return ask(sandbox_id, asked, gate=gate)


def ask(sandbox_id: UUID | str, asked: NewOperation, *, gate: Callable[[Sandbox], None] | None = None) -> Operation:
    """What `request` does, for one of several sandboxes of which the same is asked."""
    with lookup.locked(sandbox_id, actor=asked.actor) as row:
        if gate is not None:
            gate(row)
        now = clock.now()
        active = sandbox_store.active_operation(row.pk)
        refuse(row, asked, active=active)
        if begins(asked, active=active):
            operation_budget.spend(row.owner_id, asked.actor, asked.action, now=now)
        return carry_out(row, asked, active=active, now=now)


def refuse(row: Sandbox, asked: NewOperation, *, active: Operation | None) -> None:
    """Refuse what the locked row alone can say no to.

    Raises:
        Refused: with what may be asked instead.
    """
    error = intents.superseded(row, asked)
    error = error or refusal(
        row, asked.action, active=active, on_hold=row.owner.on_hold, force=asked.parameters.force
    )
    if error is None:
        return
    error.extra |= {
        "current_status": row.status,
        "intent": row.intent,
        "allowed_actions": allowed_actions(row, active=active, on_hold=row.owner.on_hold),
    }
    if active is not None:
        error.extra["blocking_operation"] = str(active.pk)
    raise error


def begins(asked: NewOperation, *, active: Operation | None) -> bool:
    """Whether it becomes an operation of its own; else the active one answers it."""
    return active is None or not _is_joined(asked, active)


def _is_joined(asked: NewOperation, active: Operation) -> bool:
    """Whether it becomes part of the active operation, which does all of what is asked."""
    said = parameters_of(active.action, active.parameters)
    return joins(asked.action, active.action) and asked.parameters.own() in ({}, said.own())


def carry_out(row: Sandbox, asked: NewOperation, *, active: Operation | None, now: datetime) -> Operation:
    """Write down what was asked, on the locked row that does not refuse it."""
    is_joined = active is not None and _is_joined(asked, active)
    change: IntentChange | None = None
    if is_joined and _is_wanted_already(row, asked):
        row.policies_from = now  # the latest wish is this one, though it changes nothing
    elif asked.action in INTENT_OF:
        change = set_intent(row, INTENT_OF[asked.action], actor=asked.actor, reason=asked.reason, now=now)
    if active is not None and is_joined:
        active.intent_change = active.intent_change or change
        return _join(row, active, asked, now=now)
    if active is not None:
        _supersede(row, active, by=asked.action, now=now)
    operation = create_operation(row, asked, now=now, intent_change=change)
    if row.status == Status.GONE:  # there is nothing to delete but our word that it is wanted
        close_operation(row, operation, OperationStatus.SUCCEEDED, now=now)
    return operation


def _is_wanted_already(row: Sandbox, asked: NewOperation) -> bool:
    """Whether the row says all of it, and is still to be brought about: asking again changes nothing."""
    wanted = (row.intent, row.intent_actor_kind, row.intent_actor_id, row.intent_reason)
    asks = (INTENT_OF.get(asked.action), asked.actor.kind, asked.actor.id, asked.reason[:500])
    return row.intent_met_at is None and wanted == asks


def _join(row: Sandbox, active: Operation, asked: NewOperation, *, now: datetime) -> Operation:
    """The same wish again. An evictor's stop that a person asks for too is that person's from now on; who only
    looks takes nothing over."""
    _make_due(row, active, now=now)
    if asked.action == Action.SYNC:
        active.save(update_fields=["due_at"])
        return active
    active.actor_kind, active.actor_id = asked.actor.kind, asked.actor.id
    active.reason = asked.reason[:500] or active.reason
    said = parameters_of(active.action, active.parameters)
    active.parameters = said.joined_by(asked.parameters).as_data()
    active.save(update_fields=["actor_kind", "actor_id", "reason", "parameters", "due_at", "intent_change"])
    refresh(row, active=active, now=now)
    return active


def _make_due(row: Sandbox, active: Operation, *, now: datetime) -> None:
    """Let the operation look now, unless it waits for Daytona to find the sandbox: asking faster shows nothing."""
    if row.missing_since is None:
        active.due_at = now
        sandbox_store.wake_workers(row)


def _supersede(row: Sandbox, active: Operation, *, by: Action, now: datetime) -> None:
    close_operation(
        row,
        active,
        OperationStatus.CANCELLED,
        now=now,
        code=Code.SUPERSEDED,
        message=f"A later {by} took its place.",
    )


def cancel(operation_id: UUID, *, actor: Actor, reason: str = "", request_id: str = "") -> Operation:
    """Take a request back, if nothing was asked of Daytona yet; cancelling a create is a delete.

    Raises:
        Refused: OPERATION_NOT_FOUND, OPERATION_FINISHED, OPERATION_NOT_CANCELLABLE, and OWNER_ON_HOLD where it
            would let it run again.
    """
    operation = lookup.find_operation(operation_id, actor=actor)
    if operation.action == Action.CREATE and operation.is_active:
        return request(
            operation.sandbox_id, Action.DELETE, actor=actor, source=Source(operation.source),
            reason=reason or "The create was cancelled.", request_id=request_id,
        )  # fmt: skip
    with lookup.locked(operation.sandbox_id, actor=actor) as row:
        operation.refresh_from_db()
        if not operation.is_active:
            raise Refused(Code.OPERATION_FINISHED, f"It has {operation.status}.")
        if operation.calls.exists():
            raise Refused(Code.OPERATION_NOT_CANCELLABLE, f"Daytona was already asked: {operation.step}.")
        before = operation.intent_change.from_intent if operation.intent_change else None
        if row.owner.on_hold and before == Intent.RUNNING != row.intent:
            raise Refused(Code.OWNER_ON_HOLD, f"The owner of “{row.display_name}” is on hold.")
        cancel_operation(row, operation, actor=actor, reason=reason, now=clock.now())
    return operation


def cancel_operation(row: Sandbox, operation: Operation, *, actor: Actor, reason: str, now: datetime) -> None:
    """Cancel it, restore the intent from before, and go on with that one if it was neither met nor answered yet."""
    revert_intent(row, operation, now=now)
    sandbox_store.event(
        row, EventKind.OPERATION, "Cancel requested", operation=operation, actor=actor, at=now,
        data={"reason": reason} if reason else {},
    )  # fmt: skip
    if operation.source == Source.POLICY:  # who takes it back wants the sandbox as it is for as long again
        row.policies_from = row.policy_due_at = now
    brought_an_intent = operation.intent_change is not None
    close_operation(row, operation, OperationStatus.CANCELLED, now=now, code=Code.CANCELLED, message=reason)
    is_unmet = row.intent_met_at is None and row.deleted_at is None
    if is_unmet and brought_an_intent and not _start_failed_before(row, operation):
        keep_intent(row, now=now, caused_by=operation)


def _start_failed_before(row: Sandbox, operation: Operation) -> bool:
    """The failure was the answer to whoever wanted it to run, and the start is theirs to repeat."""
    others = Operation.objects.filter(sandbox=row).exclude(pk=operation.pk).exclude(action=Action.SYNC)
    latest = others.order_by("-created_at").first()
    return (
        latest is not None
        and latest.status == OperationStatus.FAILED
        and INTENT_OF[latest.action] == row.intent == Intent.RUNNING
    )
