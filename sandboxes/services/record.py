"""Writing a sandbox back: the row lock, the lease, the observation, the status, the timeline.

Whoever changes a Sandbox or its Operations does it inside `locked`, so status and projection cannot be forgotten.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from project.readable import cut
from sandboxes import clock
from sandboxes.core.shown import shown_of
from sandboxes.models import ConvexProjection, IntentChange, Operation, Sandbox, SandboxEvent
from sandboxes.services.facts import changed_facts, facts_of
from sandboxes.services.queue import enqueue
from sandboxes.services.rows import one

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from django.db.models import Model, QuerySet

    from sandboxes.models.scope import SandboxRows


class LostLease(Exception):
    """The row is gone, or another worker has taken the sandbox over: nothing may be written."""


def claim(sandbox_id: UUID) -> str | None:
    """Take the sandbox's lease; None while another worker has it."""
    return Sandbox.objects.filter(pk=sandbox_id).claim(settings.LEASE_SECONDS)


def claim_for(operation_id: UUID) -> str | None:
    """Take the lease of this operation's sandbox; None as well when the operation has ended."""
    active = Operation.objects.active().filter(pk=operation_id)
    return Sandbox.objects.filter(pk__in=active.values("sandbox_id")).claim(settings.LEASE_SECONDS)


def let_go(row: Sandbox) -> None:
    """Give the lease back with what is written of the locked row anyway."""
    row.lease_token, row.lease_until = "", None


def release(sandbox_id: UUID, token: str) -> None:
    Sandbox.objects.filter(pk=sandbox_id).release(token)


@contextmanager
def locked(which: UUID | SandboxRows, *, token: str | None = None) -> Iterator[Sandbox]:
    """One transaction in which nobody else writes this sandbox; what the block changed is saved at its end.

    With `token`, raises LostLease when the lease is no longer that one. On
    SQLite the transaction itself is the lock (it begins IMMEDIATE).
    """
    with transaction.atomic():
        found = Sandbox.objects.filter(pk=which) if isinstance(which, UUID) else which
        # No key changes: whoever inserts an event or a projection of this sandbox need not wait.
        rows = found.select_related("owner").select_for_update(of=("self",), no_key=True)
        row = one(rows if token is None else rows.held(token))
        if row is None:
            raise LostLease(str(which))
        before, before_shown = values(row), shown_of(row)
        with telling(row, since=facts_of(row)):
            yield row
            _project([row] if shown_of(row) != before_shown else [])
            if changed := changes(row, since=before):
                row.save(update_fields=changed)


@contextmanager
def locked_together(rows: QuerySet[Sandbox]) -> Iterator[list[Sandbox]]:
    """The same for many, in a few statements; those that somebody else holds now are left out."""
    with transaction.atomic():
        free = rows.select_for_update(of=("self",), skip_locked=True, no_key=True).select_related("owner")
        found = list(free.order_by("pk"))
        before = {row.pk: (values(row), shown_of(row), facts_of(row)) for row in found}
        for row in found:
            row.appended, row.lines = [], []
        yield found
        _project([row for row in found if shown_of(row) != before[row.pk][1]])
        _save_together(
            {row: {name: getattr(row, name) for name in changes(row, since=before[row.pk][0])} for row in found}
        )
        appended = [added for row in found for added in row.appended or () if added._state.adding]
        # Each before what names it.
        IntentChange.objects.bulk_create(added for added in appended if isinstance(added, IntentChange))
        Operation.objects.bulk_create(added for added in appended if isinstance(added, Operation))
        SandboxEvent.objects.bulk_create(one for row in found for one in _told(row, since=before[row.pk][2]))


def _save_together(changed: dict[Sandbox, dict[str, Any]]) -> None:
    """One UPDATE for all rows that get the same values: what is asked of many mostly changes them alike."""
    alike: list[tuple[dict[str, Any], list[UUID]]] = []
    for row, new in changed.items():
        ids = next((ids for values_, ids in alike if values_ == new), None)
        if ids is None:
            alike.append((new, ids := []))
        ids.append(row.pk)
    for new, ids in alike:
        if new:
            Sandbox.objects.filter(pk__in=ids).update(**new)


def append(sandbox: Sandbox, row: Operation | IntentChange) -> None:
    """Insert a row of this sandbox: now, or together with those of the others that are locked."""
    if sandbox.appended is None:
        row.save(force_insert=True)
    else:
        sandbox.appended.append(row)


@contextmanager
def telling(row: Sandbox, *, since: dict[str, Any]) -> Iterator[None]:
    """Write the events of the block together, the first with what has changed of the sandbox `since` then.

    A change that no event tells of gets one of its own: who follows the feed hears of every change.
    """
    row.lines = []
    yield
    SandboxEvent.objects.bulk_create(_told(row, since=since))


def _told(row: Sandbox, *, since: dict[str, Any]) -> list[SandboxEvent]:
    """The events of a block that has ended."""
    lines, row.lines = row.lines or [], None
    if changed := changed_facts(row, since=since):
        lines = lines or [line(row, SandboxEvent.Kind.CHANGE, _in_words(changed), at=clock.now())]
        lines[0].changes = changed
    return lines


def _in_words(changed: dict[str, Any]) -> str:
    return f"Now {changed['status']}" if "status" in changed else f"Changed: {', '.join(changed)}"


def values(row: Model) -> dict[str, Any]:
    """All that is stored of a row, by field."""
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def changes(row: Model, *, since: dict[str, Any]) -> list[str]:
    """The fields that no longer have the values from before."""
    return [name for name, value in values(row).items() if value != since[name]]


def _project(changed: list[Sandbox]) -> None:
    """Have Convex told of sandboxes that have something else to show than before."""
    if not changed:
        return
    rows = ConvexProjection.objects.filter(pk__in=[row.pk for row in changed])
    (rows.in_order() if len(changed) > 1 else rows).make_due()
    if settings.CONVEX_URL:
        for row in changed:
            enqueue("push_sandbox", row.pk)


def active_operation(sandbox_id: UUID) -> Operation | None:
    return one(Operation.objects.active().select_related("intent_change").filter(sandbox_id=sandbox_id))


def event(
    sandbox: Sandbox,
    kind: str,
    text: str,
    *,
    operation: Operation | None = None,
    actor: object = "",
    data: dict[str, Any] | None = None,
    at: datetime | None = None,
) -> None:
    """Append one line to the sandbox's timeline, with those of the block that holds it (see `telling`)."""
    made = line(sandbox, kind, text, operation=operation, actor=actor, data=data, at=at or clock.now())
    if sandbox.lines is None:
        made.save(force_insert=True)
    else:
        sandbox.lines.append(made)


def line(
    sandbox: Sandbox,
    kind: str,
    text: str,
    *,
    at: datetime,
    operation: Operation | None = None,
    actor: object = "",
    data: dict[str, Any] | None = None,
) -> SandboxEvent:
    """An event that is not written yet."""
    return SandboxEvent(
        sandbox=sandbox,
        owner=sandbox.owner_id,
        operation=operation,
        kind=kind,
        at=at,
        text=cut(text, 500),
        actor=str(actor),
        data=data or {},
    )
