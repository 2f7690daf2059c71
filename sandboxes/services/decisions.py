"""Facts from rows, and decisions into rows: the only way in which a decision is written."""

from __future__ import annotations

import random
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings

from sandboxes.core.actions import ACTION_FOR, parameters_of
from sandboxes.core.codes import Code
from sandboxes.core.decide import deadline_for
from sandboxes.core.draft import Draft
from sandboxes.core.facts import (
    AddEvent,
    Answer,
    CallFacts,
    ChangeIntent,
    CloseNotices,
    ConvexFacts,
    Decision,
    Facts,
    LastRequest,
    Limits,
    NewOperation,
    OpenNotice,
    OperationFacts,
    ReleaseRoom,
    SandboxFacts,
)
from sandboxes.core.observation import refresh_status
from sandboxes.core.quota import QuotaSearch
from sandboxes.core.resources import Resource
from sandboxes.core.vocabulary import Action, EventKind, Source
from sandboxes.models import ConvexProjection, DaytonaCall, IntentChange, Operation, Sandbox, reading
from sandboxes.models import Policy as PolicyRow
from sandboxes.providers.convex.gateway import gateway
from sandboxes.services import leases, sandbox_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from sandboxes.core.facts import Effect
    from sandboxes.core.parameters import Parameters
    from sandboxes.core.policies import Policy

log = structlog.get_logger(__name__)

SANDBOX_FIELDS = tuple(field.name for field in fields(SandboxFacts))
CALL_FIELDS = tuple(field.name for field in fields(CallFacts))
CHANGING_CALL_FIELDS = tuple(name for name in CALL_FIELDS if name not in ("id", "operation_id"))
COMPUTE_ALONE, BOTH = frozenset({Resource.COMPUTE}), frozenset(Resource)
# Written as they are; the others have a form of their own in the row.
OPERATION_FIELDS = tuple(
    field.name for field in fields(OperationFacts) if field.name not in ("parameters", "search", "previous_intent")
)


def limits() -> Limits:
    """The settings that decisions depend on."""
    return Limits(
        read_cache=settings.READ_CACHE_SECONDS,
        in_doubt=settings.IN_DOUBT_SECONDS,
        missing_confirm=settings.MISSING_CONFIRM_SECONDS,
        intent_retry=settings.INTENT_RETRY_SECONDS,
        retry_base=settings.RETRY_BASE_SECONDS,
        convex_first_push=settings.CONVEX_FIRST_PUSH_SECONDS,
        deadlines=settings.DEADLINES,
        room_for=BOTH if settings.EVICTION_DISK_SCOPE != "off" else COMPUTE_ALONE,
    )


def sandbox_facts(row: Sandbox) -> SandboxFacts:
    return SandboxFacts(**{name: getattr(row, name) for name in SANDBOX_FIELDS})


def operation_facts(row: Operation) -> OperationFacts:
    change = row.intent_change
    return OperationFacts(
        **{name: getattr(row, name) for name in OPERATION_FIELDS},
        parameters=parameters_of(row.action, row.parameters),
        search=QuotaSearch.from_data(row.search) if row.search else None,
        previous_intent=change.before if change else None,
    )


def call_facts(row: DaytonaCall) -> CallFacts:
    return CallFacts(**{name: getattr(row, name) for name in CALL_FIELDS})


def calls_of(row: Sandbox) -> tuple[CallFacts, ...]:
    """The calls of a sandbox that may matter, oldest first; read once for each time that the row is read."""
    if row.known_calls is None:
        read_calls([row])
    return tuple(row.known_calls or ())


def read_calls(rows: Iterable[Sandbox]) -> None:
    """Read the calls that may matter of many sandboxes in one query."""
    by_id = {row.pk: row for row in rows}
    for row in by_id.values():
        row.known_calls = []
    for call in reading.calls(list(by_id)):
        by_id[call.sandbox_id].known_calls.append(call_facts(call))  # type: ignore[union-attr]


def policy_of(row: Sandbox) -> Policy:
    """The lifecycle rules that hold for it; read once for each time that the row is read."""
    if row.known_policy is None:
        read_policies([row])
    policy: Policy = row.known_policy
    return policy


def read_policies(rows: Iterable[Sandbox]) -> None:
    """Read the lifecycle rules of many sandboxes in one query."""
    by_id = {row.pk: row for row in rows}
    for pk, policy in PolicyRow.objects.in_force(by_id.values()).items():
        by_id[pk].known_policy = policy


def is_uncertain(row: Sandbox, active: Operation | None) -> bool:
    """Whether a call of ours is in doubt, or the active operation has made one that may change what is seen."""
    if hasattr(row, "in_doubt") and (active is None or hasattr(active, "has_called")):  # read with the row
        return row.in_doubt or (active is not None and active.has_called)
    calls = calls_of(row)
    of_active = active is not None and any(call.operation_id == active.pk for call in calls)
    return of_active or any(call.in_doubt_until is not None and call.effect_seen_at is None for call in calls)


def gather(
    row: Sandbox,
    operation: Operation | None,
    answers: Sequence[Answer],
    *,
    now: datetime,
    on_hold: bool,
    active: Operation | None = None,
) -> Facts:
    """All that a decision about the locked row may depend on.

    `active`: the active operation, where that is not the one that is attempted. `on_hold`: its owner is.
    """
    is_create = operation is not None and operation.action == Action.CREATE
    return Facts(
        sandbox=sandbox_facts(row),
        operation=operation_facts(operation) if operation else None,
        active=active.action if active else None,
        calls=calls_of(row),
        on_hold=on_hold,
        policy=policy_of(row) if operation is not None and operation.source == Source.POLICY else {},
        convex=_convex_facts(row) if is_create else ConvexFacts(),
        last_request=_last_request(row) if operation is None and active is None else None,
        earlier=tuple(answers[:-1]),
        answer=answers[-1],
        now=now,
        limits=limits(),
        jitter=random.random(),
    )


def _convex_facts(row: Sandbox) -> ConvexFacts:
    convex = gateway()  # our own functions have no cap
    return ConvexFacts(
        may_refuse=bool(settings.CONVEX_URL) and not (convex is not None and convex.had_own_functions),
        has_answered=row.projection.pushed_generation > 0,
        has_no_room=row.projection.refusal == Code.SANDBOX_LIMIT_REACHED,
    )


def _last_request(row: Sandbox) -> LastRequest | None:
    """Only an intent that is not met may be issued again."""
    if row.intent_met_at is not None:
        return None
    latest = Operation.objects.filter(sandbox=row).exclude(action=Action.SYNC).order_by("-created_at").first()
    if latest is None:
        return None
    return LastRequest(action=latest.action, status=latest.status, parameters=last_said(row))


def last_said(row: Sandbox) -> Parameters:
    """What was said with the latest request for what is wanted."""
    action = ACTION_FOR[row.intent]
    latest = Operation.objects.filter(sandbox=row, action=action).order_by("-created_at")
    return parameters_of(action, latest.values_list("parameters", flat=True).first() or {})


def draft_of(row: Sandbox, operation: Operation | None, *, now: datetime) -> Draft:
    """A draft of changes of the locked row and its operation."""
    return Draft(
        sandbox_facts(row), now=now, limits=limits(), calls=calls_of(row),
        operation=operation_facts(operation) if operation else None,
    )  # fmt: skip


@contextmanager
def drafting(row: Sandbox, operation: Operation | None, *, now: datetime) -> Iterator[Draft]:
    """The same, written at the end of the block."""
    draft = draft_of(row, operation, now=now)
    yield draft
    write(row, operation, draft.decide(None), now=now)


def refresh(row: Sandbox, *, active: Operation | None, now: datetime) -> None:
    """Bring the status, whether the intent is met, and the next look in line with what is known."""
    with drafting(row, active, now=now) as draft:
        refresh_status(draft)


def write(row: Sandbox, operation: Operation | None, decision: Decision, *, now: datetime) -> IntentChange | None:
    """Put a decision into the locked rows; the sandbox is saved by whoever holds its lock.

    Returns the change of the intent, if it is one.
    """
    was_active = operation is not None and operation.is_active
    _write_sandbox(row, decision.sandbox)
    if operation is not None and decision.operation is not None:
        _write_operation(row, operation, decision.operation)
    _write_calls(row, decision.calls)
    changes = [_carry_out(effect, row, operation, now=now) for effect in decision.effects]
    if operation is not None and was_active and not operation.is_active:
        _log_end(row, operation, now=now)
    return next(filter(None, changes), None)


def _carry_out(effect: Effect, row: Sandbox, operation: Operation | None, *, now: datetime) -> IntentChange | None:
    """Write one effect of a decision. Returns the change of the intent, if it is one."""
    match effect:
        case AddEvent():
            sandbox_store.event(
                row, effect.kind, effect.text, operation=operation if effect.of_operation else None,
                actor=effect.actor, data=dict(effect.data), at=now,
            )  # fmt: skip
        case OpenNotice(code, text):
            sandbox_store.notify(row, {code: text})
        case CloseNotices(codes):
            sandbox_store.notify(row, dict.fromkeys(codes))
        case ChangeIntent():
            change = IntentChange.of(row, effect)
            sandbox_store.append(row, change)
            return change
        case NewOperation():
            create_operation(row, effect, now=now, caused_by=operation)
        case ReleaseRoom(search):
            leases.release(leases.HeldLease(search.lease_name, search.lease))
    return None


def _write_sandbox(row: Sandbox, new: SandboxFacts) -> None:
    was_gone = row.deleted_at is not None
    for name in SANDBOX_FIELDS:
        value = getattr(new, name)
        if getattr(row, name) is not value:
            setattr(row, name, value)
    if was_gone and row.deleted_at is None:
        ConvexProjection.objects.filter(pk=row.pk).update(withdrawn=False)


def _write_operation(sandbox: Sandbox, row: Operation, new: OperationFacts) -> None:
    before = sandbox_store.values(row)
    for name in OPERATION_FIELDS:
        setattr(row, name, getattr(new, name))
    row.search = new.search.as_data() if new.search else None
    if changed := sandbox_store.changes(row, since=before):
        sandbox_store.save(sandbox, row, changed)


def _write_calls(row: Sandbox, calls: tuple[CallFacts, ...]) -> None:
    known = row.known_calls or []
    before = {call.id: call for call in known}
    written = []
    for call in calls:
        if call.id is None and any(call is one for one in known):  # inserted at the end of the block
            written.append(call)
        elif call.id is None:
            values: dict[str, Any] = {name: getattr(call, name) for name in CALL_FIELDS if name != "id"}
            made = DaytonaCall(sandbox=row, **values)
            sandbox_store.append(row, made)
            written.append(replace(call, id=made.pk))
        else:
            if before.get(call.id) != call:
                changed = DaytonaCall(sandbox=row, **{name: getattr(call, name) for name in CALL_FIELDS})
                changed._state.adding = False
                sandbox_store.save(row, changed, CHANGING_CALL_FIELDS)
            written.append(call)
    row.known_calls = written


def _log_end(row: Sandbox, operation: Operation, *, now: datetime) -> None:
    log.info(
        "operation_ended",
        operation_id=str(operation.pk),
        sandbox_id=str(row.pk),
        owner=row.owner_id,
        action=operation.action,
        status=operation.status,
        code=operation.code,
        seconds=round((now - operation.created_at).total_seconds(), 3),
        request_id=operation.request_id,
    )


def create_operation(
    row: Sandbox,
    new: NewOperation,
    *,
    now: datetime,
    caused_by: Operation | None = None,
    intent_change: IntentChange | None = None,
) -> Operation:
    """Insert the operation; the caller holds the row and has closed any other active one.

    `intent_change`: what it changed of the intent, which is taken back with it.
    """
    operation = Operation(
        sandbox=row, owner=row.owner_id, action=new.action, actor_kind=new.actor.kind, actor_id=new.actor.id,
        reason=new.reason[:500], source=new.source, request_id=new.request_id[:100], caused_by=caused_by,
        intent_change=intent_change, parameters=new.parameters.as_data(), step="queued", due_at=now, created_at=now,
        deadline=deadline_for(sandbox_facts(row), new.action, now=now, limits=limits()),
    )  # fmt: skip
    sandbox_store.append(row, operation)
    if new.action != Action.SYNC:  # what a fetch has learned has events of its own
        _tell_of(operation, row, new)
    refresh(row, active=operation, now=now)
    sandbox_store.wake_workers(row)
    return operation


def _tell_of(operation: Operation, row: Sandbox, new: NewOperation) -> None:
    """The event of a request, with its reason unless a change of the intent tells it."""
    change = operation.intent_change
    is_told = change is not None and change.from_intent != row.intent
    reason = {"reason": new.reason} if new.reason and not is_told else {}
    sandbox_store.event(
        row, EventKind.OPERATION, f"{new.action.label} requested", operation=operation, actor=new.actor,
        at=operation.created_at, data={"status": operation.status} | reason,
    )  # fmt: skip
