"""observe(): look at a sandbox that has no operation: hints, doubts, intents not met, changes of labels."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F

from sandboxes import clock, planner
from sandboxes.gateways.daytona import gateway
from sandboxes.gateways.daytona_errors import DaytonaError
from sandboxes.models import Operation, Sandbox
from sandboxes.services import record
from sandboxes.services.lifecycle import call
from sandboxes.services.lifecycle.look import Look, look, note
from sandboxes.services.lifecycle.request import keep_intent, was_forced
from sandboxes.services.lifecycle.rules import destroys
from sandboxes.services.lifecycle.tell import read_back, tell
from sandboxes.services.pending import Pending
from sandboxes.services.queue import enqueue
from sandboxes.states import ACTION_FOR, Action, Intent, OperationStatus


def observe(sandbox_id: UUID, *, raises: bool = False, ended: bool = False) -> bool:
    """GET the sandbox once and record it; issue an unmet intent again; tell Daytona pending changes.

    With an operation active, that one is made due instead: its tick observes. Returns whether it looked. When
    Daytona does not answer it looks again later; with `raises` the DaytonaError comes through as well. `ended`:
    Daytona's events said that it was destroyed, so that a first 404 is believed.
    """
    token = record.claim(sandbox_id)
    if token is None:  # whoever holds it may be dead
        held = Sandbox.objects.filter(pk=sandbox_id, observe_after__gt=F("lease_until"))
        held.update(observe_after=F("lease_until"))
        return False
    try:
        return _observe(sandbox_id, token, raises=raises, ended=ended)
    except record.LostLease:
        return False
    finally:
        record.release(sandbox_id, token)


def _observe(sandbox_id: UUID, token: str, *, raises: bool, ended: bool) -> bool:
    row = Sandbox.objects.get(pk=sandbox_id)
    active = record.active_operation(sandbox_id)
    if active is not None:
        enqueue("advance_operation", active.pk)
        Sandbox.objects.filter(pk=sandbox_id, lease_token=token).update(observe_after=None)
        return False
    daytona = gateway()
    try:
        seen = look(daytona, row)
    except DaytonaError as error:
        _postpone(sandbox_id, token, call.unseen(error).pause)
        if raises:
            raise
        return False
    if ended and seen.remote is None:
        seen = replace(seen, confirmed=True)
    due = _record(sandbox_id, token, seen)
    if due and seen.remote is not None:
        tell(daytona, sandbox_id, seen.remote, due, token=token)
    return True


def _postpone(sandbox_id: UUID, token: str, seconds: float) -> None:
    with record.locked(sandbox_id, token=token) as row:
        row.observe_after = clock.now() + timedelta(seconds=max(seconds, 5))


def _record(sandbox_id: UUID, token: str, seen: Look) -> dict[str, Pending]:
    """Write down what was seen. Returns the settings that Daytona is to be told now."""
    with record.locked(sandbox_id, token=token) as row:
        now = clock.now()
        active = record.active_operation(row.pk)  # a request may have come during the GET
        note(row, seen, now=now, during=active)
        due = read_back(row, seen, now=now) if seen.remote is not None else {}
        record.settle(row, active=active, now=now)
        if active is None and _is_to_be_kept(row, now=now):
            row.lease_until = now  # so that the operation's first tick need not wait for our release
            keep_intent(row, now=now)
        return due


def _is_to_be_kept(row: Sandbox, *, now: datetime) -> bool:
    """Whether the intent is to be issued again: not met, and an operation could do something about it.

    A stop, archive or delete that failed or was lost is. A start is only where it had succeeded and a call of
    ours that ran late undid it: one that failed was answered, and is the person's to repeat. Nothing that would
    destroy it is.
    """
    if row.intent_met_at is not None or row.deleted_at is not None or row.daytona_id is None:
        return False
    action = ACTION_FOR[Intent(row.intent)]
    step = planner.plan(action, row.seen, planner.Calls(awaiting=call.awaiting(row, now=now)))
    if not isinstance(step, planner.Call) or destroys(row, action, force=was_forced(row, action)):
        return False
    return action != Action.START or _start_had_succeeded(row)


def _start_had_succeeded(row: Sandbox) -> bool:
    latest = Operation.objects.filter(sandbox=row).exclude(action=Action.SYNC).order_by("-created_at").first()
    return (
        latest is not None
        and latest.action in (Action.CREATE, Action.START, Action.RECOVER)
        and latest.status == OperationStatus.SUCCEEDED
    )
