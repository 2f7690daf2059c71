"""Writing a sandbox back: the row lock, the lease, the observation, the status, the timeline.

Whoever changes a Sandbox or its Operations does it inside `locked`, so status and projection cannot be forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Model, QuerySet

from project.readable import cut
from sandboxes import clock
from sandboxes.codes import NoticeCode
from sandboxes.gateways.daytona import RemoteSandbox
from sandboxes.models import ConvexProjection, Operation, Sandbox, SandboxEvent
from sandboxes.models.scope import SandboxRows
from sandboxes.services import notices, pending
from sandboxes.services.asked import Difference, differences
from sandboxes.services.facts import changed_facts, facts_of
from sandboxes.services.queue import enqueue
from sandboxes.services.rows import one
from sandboxes.shown import shown_of
from sandboxes.states import ACTIVE, MOVING, STATUS_OF_STATE, Intent, is_met, status_of


class LostLease(Exception):
    """The row is gone, or another worker has taken the sandbox over: nothing may be written."""


def claim(sandbox_id: UUID) -> str | None:
    """Take the sandbox's lease; None while another worker has it."""
    return Sandbox.objects.filter(pk=sandbox_id).claim(settings.LEASE_SECONDS)


def claim_for(operation_id: UUID) -> str | None:
    """Take the lease of this operation's sandbox; None as well when the operation has ended."""
    active = Operation.objects.filter(pk=operation_id, status__in=ACTIVE)
    return Sandbox.objects.filter(pk__in=active.values("sandbox_id")).claim(settings.LEASE_SECONDS)


def let_go(row: Sandbox) -> None:
    """Give the lease back with what is written of the locked row anyway."""
    row.lease_token, row.lease_until = "", None


def release(sandbox_id: UUID, token: str) -> None:
    Sandbox.objects.filter(pk=sandbox_id).release(token)


@contextmanager
def locked(which: UUID | SandboxRows, *, token: str | None = None) -> Iterator[Sandbox]:
    """One transaction in which nobody else writes this sandbox; what the block changed is saved at its end.

    With `token`, raises LostLease when the lease is no longer that one; a worker seldom asks for the owner. On
    SQLite the transaction itself is the lock (it begins IMMEDIATE).
    """
    with transaction.atomic():
        found = Sandbox.objects.filter(pk=which) if isinstance(which, UUID) else which
        # No key changes: whoever inserts an event or a projection of this sandbox need not wait.
        rows = found.select_for_update(of=("self",), no_key=True)
        row = one(rows.select_related("owner") if token is None else rows.held(token))
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
        operations = [added for row in found for added in row.appended or () if added._state.adding]
        Operation.objects.bulk_create(operations)  # before the events that name them
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


def append(sandbox: Sandbox, operation: Operation) -> None:
    """Insert an operation of this sandbox: now, or together with those of the others that are locked."""
    if sandbox.appended is None:
        operation.save(force_insert=True)
    else:
        sandbox.appended.append(operation)


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
    return one(Operation.objects.filter(sandbox_id=sandbox_id, status__in=ACTIVE))


def settle(row: Sandbox, *, active: Operation | None, now: datetime) -> None:
    """Bring the status, and whether the intent is met, in line with observation and active operation."""
    status = status_of(
        seen=row.seen,
        action=active.action if active else None,
        called=active.has_called if active else False,
        last=row.status,
    )
    if status != row.status:
        row.status = status
        row.status_changed_at = now
    if not _is_from_before(row):
        meet_intent(row, now=now)
    _look_again(row, active=active, now=now)


def meet_intent(row: Sandbox, *, now: datetime) -> None:
    """The intent is met where the observation agrees with it and no call of ours may still run late."""
    if row.intent_met_at is None and row.unsettled_until is None and is_met(intent=row.intent, seen=row.seen):
        row.intent_met_at = now


def _is_from_before(row: Sandbox) -> bool:
    """Whether the observation began before this was wanted, so that it proves nothing."""
    return bool(row.deleted_at is None and row.observed_at and row.intent_at and row.observed_at < row.intent_at)


def _look_again(row: Sandbox, *, active: Operation | None, now: datetime) -> None:
    """An intent not met, a move not ended, or a doubt about existence is looked at again, with growing pauses.

    What is gone is looked at only while a call of ours may still bring it about.
    """
    is_gone = row.deleted_at is not None
    if active is not None or (is_gone and row.unsettled_until is None):
        row.observe_after = None  # its ticks observe; there is nothing to see
        return
    told = None if is_gone else pending.due_at(row, now=now)
    row.observe_after = min(filter(None, (told, _doubt_due(row, now=now))), default=None)


def _doubt_due(row: Sandbox, *, now: datetime) -> datetime | None:
    """When to look again at what is not as it is wanted, or not certain."""
    if row.missing_since is not None and row.deleted_at is None:
        sure = row.missing_since + timedelta(seconds=settings.MISSING_CONFIRM_SECONDS)
        return max(sure, now + timedelta(seconds=settings.INTENT_RETRY_SECONDS))
    if row.intent_met_at is None:
        return min(_later(now, since=row.intent_at or row.created_at), _settled_from(row, now=now))
    if row.status in MOVING:
        return _later(now, since=row.status_changed_at or row.created_at)
    return None


def _settled_from(row: Sandbox, *, now: datetime) -> datetime:
    """When a look tells how a call that may run late has ended."""
    if row.unsettled_until is None:
        return datetime.max.replace(tzinfo=UTC)
    return max(row.unsettled_until, now + timedelta(seconds=settings.INTENT_RETRY_SECONDS))


def _later(now: datetime, *, since: datetime) -> datetime:
    shortest = float(settings.INTENT_RETRY_SECONDS)
    pause = min(max(shortest, (now - since).total_seconds() / 2), shortest * 120)
    return now + timedelta(seconds=pause)


def observed(
    row: Sandbox, remote: RemoteSandbox, *, started: datetime, now: datetime, during: Operation | None = None
) -> bool:
    """Record what a GET said, if it started later than the stored observation. Returns whether it did.

    `during`: the operation that was active, and will have brought about what is seen.
    """
    if row.observed_at is not None and started <= row.observed_at:
        return False
    before = (row.observed_state, row.desired_state, row.error_reason)
    differed = differences(row)
    copy_observation(row, remote)
    row.observed_at = started
    row.missing_since = None
    if remote.state == "destroyed":
        gone(row, now=now, during=during)
    elif row.deleted_at is not None:
        _revive(row, now=now)
    if row.observed_state not in STATUS_OF_STATE:
        notices.tell(
            NoticeCode.UNKNOWN_STATE, f"Daytona says “{row.observed_state}” of “{row.display_name}” ({row.pk})."
        )
    if (row.observed_state, row.desired_state, row.error_reason) != before:
        words = f"Daytona says {remote.state}" + (f": {remote.error_reason}" if remote.error_reason else "")
        event(
            row,
            SandboxEvent.Kind.OBSERVATION,
            words,
            operation=during,
            at=now,
            data={"before": before[0], "desired": remote.desired_state},
        )
    tell_differences(row, [one for one in differences(row) if one not in differed and not one.pending], now=now)
    return True


def tell_differences(row: Sandbox, found: list[Difference], *, now: datetime) -> None:
    """Put settings that Daytona has come to hold otherwise on the timeline, in one line."""
    if found:
        event(row, SandboxEvent.Kind.CHANGE, "; ".join(map(str, found)), at=now)


def copy_observation(row: Sandbox, remote: RemoteSandbox) -> None:
    """Take over what Daytona holds; the times and the timeline are the caller's."""
    row.daytona_id = row.daytona_id or remote.id
    row.organization_id = remote.organization_id or row.organization_id
    row.observed_state = remote.state
    row.desired_state = remote.desired_state or ""
    row.error_reason = remote.error_reason or ""
    row.recoverable = remote.recoverable
    row.observed_auto_stop = remote.auto_stop_interval
    row.observed_auto_archive = remote.auto_archive_interval
    row.observed_auto_delete = remote.auto_delete_interval
    row.last_activity_at = remote.last_activity_at or row.last_activity_at
    row.cpu, row.memory_gb, row.disk_gb = (
        row.cpu if remote.cpu is None else remote.cpu,
        row.memory_gb if remote.memory_gb is None else remote.memory_gb,
        row.disk_gb if remote.disk_gb is None else remote.disk_gb,
    )
    row.target = remote.target or row.target
    row.sandbox_class = remote.sandbox_class or row.sandbox_class
    row.snapshot = remote.snapshot or row.snapshot
    row.labels = dict(remote.labels)
    row.ephemeral = remote.auto_delete_interval == 0 if remote.auto_delete_interval is not None else row.ephemeral


def gone(row: Sandbox, *, now: datetime, during: Operation | None = None) -> None:
    """It no longer exists: the row becomes a tombstone."""
    if row.deleted_at is None:
        row.deleted_at = now
        event(row, SandboxEvent.Kind.GONE, "It no longer exists in Daytona", operation=during, at=now)


def _revive(row: Sandbox, *, now: datetime) -> None:
    """It was believed gone and is there: it lives again, or is deleted again if that is the intent."""
    row.deleted_at = None
    ConvexProjection.objects.filter(pk=row.pk).update(withdrawn=False)
    if row.intent == Intent.DELETED:
        row.intent_met_at = None
    event(row, SandboxEvent.Kind.RETURNED, "It was believed gone and is there again", at=now)


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
