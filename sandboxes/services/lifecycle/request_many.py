"""request_many(): one action for many sandboxes, in a few statements however many they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError, connection

from sandboxes import clock
from sandboxes.core.codes import Refused
from sandboxes.core.facts import NewOperation
from sandboxes.core.parameters import AS_BY_DEFAULT, Parameters
from sandboxes.models import Operation, Sandbox
from sandboxes.services import lookup, operation_budget, sandbox_store
from sandboxes.services.decisions import read_calls
from sandboxes.services.lifecycle.request import ask, begins, carry_out, refuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID

    from sandboxes.core.vocabulary import Action, Actor, Source

RequestResult = Operation | Exception


def request_many(
    ids: Sequence[str],
    action: Action,
    *,
    actor: Actor,
    source: Source,
    reason: str = "",
    parameters: Parameters = AS_BY_DEFAULT,
    request_id: str = "",
    asked_at: datetime | None = None,
) -> dict[str, RequestResult]:
    """Ask as `request` does, for each on its own: a refusal, or an error, is that sandbox's alone. `asked_at`: when
    it was asked for, if that is a while ago.

    Returns what became of each, by the id that was sent; of several ids of one sandbox, by the first.
    """
    asked = NewOperation(
        action=action, actor=actor, source=source, reason=reason, parameters=parameters,
        request_id=request_id, asked_at=asked_at,
    )  # fmt: skip
    found = lookup.resolve(ids, actor=actor)
    rows = {pk: which for which, pk in reversed(found.items()) if pk is not None}
    outcomes = _all_at_once(list(rows), asked)
    outcomes |= _waiting_for_each([pk for pk in rows if pk not in outcomes], asked)
    return {
        which: lookup.not_found(which) if pk is None else outcomes[pk]
        for which, pk in found.items()
        if pk is None or rows[pk] == which
    }


def _all_at_once(ids: list[UUID], asked: NewOperation) -> dict[UUID, RequestResult]:
    """What became of those that nobody else holds now. Where one breaks the statement, each has its own."""
    try:
        return _together(ids, asked)
    except Exception as error:
        if len(ids) == 1:
            return {ids[0]: _after(error)}
        _after(error)
    outcomes: dict[UUID, RequestResult] = {}
    for pk in ids:
        outcomes |= _all_at_once([pk], asked)
    return outcomes


def _together(ids: list[UUID], asked: NewOperation) -> dict[UUID, RequestResult]:
    with sandbox_store.lock_sandboxes(Sandbox.objects.visible_to(asked.actor).filter(pk__in=ids)) as rows:
        now = clock.now()
        active = _active_of(rows)
        read_calls(rows)
        outcomes = _refused(rows, asked, active=active, now=now)
        for row in rows:
            if row.pk not in outcomes:
                outcomes[row.pk] = carry_out(row, asked, active=active.get(row.pk), now=now)
    return outcomes


def _refused(
    rows: list[Sandbox], asked: NewOperation, *, active: dict[UUID, Operation], now: datetime
) -> dict[UUID, RequestResult]:
    """Those whose row says no, and those that are beyond their owner's budget."""
    refused: dict[UUID, RequestResult] = {}
    to_begin: dict[str, list[UUID]] = {}
    for row in rows:
        try:
            refuse(row, asked, active=active.get(row.pk))
        except Refused as error:
            refused[row.pk] = error
        else:
            if begins(asked, active=active.get(row.pk)):
                to_begin.setdefault(row.owner_id, []).append(row.pk)
    for owner_id, ids in sorted(to_begin.items()):  # in order, so that no two wait for each other
        granted = operation_budget.grant(owner_id, len(ids), asked.actor, asked.action, now=now)
        refused |= {pk: operation_budget.spent(now) for pk in ids[granted:]}
    return refused


def _active_of(rows: Iterable[Sandbox]) -> dict[UUID, Operation]:
    found = Operation.objects.active().select_related("intent_change").filter(sandbox__in=[row.pk for row in rows])
    return {operation.sandbox_id: operation for operation in found}


def _waiting_for_each(ids: list[UUID], asked: NewOperation) -> dict[UUID, RequestResult]:
    """Those that somebody else held, one after the other; once one was waited for in vain, no other is."""
    outcomes: dict[UUID, RequestResult] = {}
    in_vain: Exception | None = None
    for pk in ids:
        try:
            outcomes[pk] = in_vain or ask(pk, asked)
        except Exception as error:
            outcomes[pk] = _after(error)
            if isinstance(error, OperationalError | InterfaceError):
                in_vain = error
    return outcomes


def _after(error: Exception) -> Exception:
    """The next one needs a connection that works."""
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()
    return error
