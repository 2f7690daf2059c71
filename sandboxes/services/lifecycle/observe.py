"""observe(): fetch a sandbox that has no operation: hints, doubts, intents not met, changes of settings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django.db.models import F

from sandboxes import clock
from sandboxes.core.decide import decide
from sandboxes.core.facts import Answer, Decision, FetchFailed, NewOperation, TellDaytona
from sandboxes.models import Sandbox
from sandboxes.providers.daytona.errors import DaytonaError
from sandboxes.providers.daytona.gateway import gateway
from sandboxes.services import record
from sandboxes.services.decisions import gather, write
from sandboxes.services.fetching import fetch
from sandboxes.services.lifecycle.tell import tell
from sandboxes.services.queue import enqueue

if TYPE_CHECKING:
    from uuid import UUID


def observe(sandbox_id: UUID, *, raises: bool = False, ended: bool = False) -> bool:
    """GET the sandbox once and record it; issue an unmet intent again; tell Daytona pending changes.

    With an operation active, that one is made due instead: its attempt fetches. Returns whether it looked. When
    Daytona does not answer it looks again later; with `raises` the DaytonaError comes through as well. `ended`:
    Daytona's events said that it was destroyed, so that a first 404 is believed.
    """
    token = record.claim(sandbox_id)
    if token is None:  # whoever holds it may be dead
        held = Sandbox.objects.filter(pk=sandbox_id, fetch_due_at__gt=F("lease_until"))
        held.update(fetch_due_at=F("lease_until"))
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
        Sandbox.objects.filter(pk=sandbox_id, lease_token=token).update(fetch_due_at=None)
        return False
    try:
        daytona = gateway()
        fetched = fetch(daytona, row)
    except DaytonaError as error:
        _decide(sandbox_id, token, FetchFailed(error.as_result()))
        if raises:
            raise
        return False
    if ended and fetched.remote is None:
        fetched = replace(fetched, confirmed=True)
    decision = _decide(sandbox_id, token, fetched)
    due = next((effect.keys for effect in decision.effects if isinstance(effect, TellDaytona)), ())
    if due and fetched.remote is not None:
        tell(daytona, sandbox_id, fetched.remote, due, token=token)
    return True


def _decide(sandbox_id: UUID, token: str, answer: Answer) -> Decision:
    with record.locked(sandbox_id, token=token) as row:
        now = clock.now()
        active = record.active_operation(row.pk)  # a request may have come during the GET
        decision = decide(gather(row, None, answer, now=now, active=active))
        write(row, None, decision, now=now)
        if any(isinstance(effect, NewOperation) for effect in decision.effects):
            row.lease_until = now  # so that the operation's first attempt need not wait for our release
    return decision
