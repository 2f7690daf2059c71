"""Locking sandboxes and writing them back: the row lock, the lease, the timeline, what follows for Convex.

Whoever changes a Sandbox or its operations does it inside `lock_sandbox`, so that nothing of it is forgotten.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from project.readable import cut
from sandboxes import clock
from sandboxes.core.shown import shown_of
from sandboxes.core.vocabulary import EventKind
from sandboxes.models import ConvexProjection, DaytonaCall, IntentChange, Operation, Sandbox, SandboxEvent, reading
from sandboxes.models.bulk import insert_each, update_each
from sandboxes.models.sandbox import WORKING_FIELDS
from sandboxes.services import notices
from sandboxes.services.facts import FOR_STAFF, changed_facts, facts_of
from sandboxes.services.rows import in_chunks, one
from sandboxes.services.wake import wake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from django.db.models import Model, QuerySet

    from sandboxes.core.codes import NoticeCode
    from sandboxes.models.scope import SandboxRows

CHUNK = 500
READ_BY_ALL = frozenset(EventKind.for_programs())
# What no copy of a sandbox shows: it moves with every fetch and every claim.
UNSHOWN = WORKING_FIELDS | {"observed_at", "last_activity_at"}


class LostLease(Exception):
    """The row is gone, or another worker has taken the sandbox over: nothing may be written."""


class Batch:
    """What is written of many locked sandboxes together: rows to insert, fields to update, and notices."""

    def __init__(self) -> None:
        self.inserted: list[Model] = []
        self.notices: dict[NoticeCode, str | None] = {}
        self.wakes = False
        self._updated: dict[tuple[type[Model], Any], tuple[Model, set[str]]] = {}

    def update(self, row: Model, fields: Iterable[str]) -> None:
        _, names = self._updated.setdefault((type(row), row.pk), (row, set()))
        names.update(fields)

    def write(self) -> None:
        self._insert(IntentChange)  # before what names it
        self._save(Operation)  # one that ends makes room for the next: a sandbox has one that is active
        self._save(DaytonaCall)
        self._insert(Operation)
        insert_each([row for row in self.inserted if isinstance(row, DaytonaCall)])
        if self.wakes:
            wake()

    def _insert(self, kind: type[Model]) -> None:
        kind._default_manager.bulk_create([row for row in self.inserted if isinstance(row, kind)])

    def _save(self, kind: type[Model]) -> None:
        changed = [pair for (of, _), pair in self._updated.items() if of is kind]
        update_each([row for row, _ in changed], {name for _, names in changed for name in names})


def claim(sandbox_id: UUID) -> str | None:
    """Take the sandbox's lease; None while another worker has it."""
    return Sandbox.objects.filter(pk=sandbox_id).claim(settings.LEASE_SECONDS)


def clear_lease(row: Sandbox) -> None:
    """Give the lease back with what is written of the locked row anyway."""
    row.lease_token, row.lease_until = "", None


def release(sandbox_id: UUID, token: str) -> None:
    Sandbox.objects.filter(pk=sandbox_id).release(token)


@contextmanager
def lock_sandbox(which: UUID | SandboxRows, *, token: str | None = None) -> Iterator[Sandbox]:
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
        before = values(row)
        row.lines = []
        yield row
        _project([row] if _shows_other(row, before) else [])
        if changed := changes(row, since=before):
            row.save(update_fields=changed)
        SandboxEvent.objects.bulk_create(_told(row, since=before, now=clock.now))


@contextmanager
def lock_sandboxes(rows: QuerySet[Sandbox]) -> Iterator[list[Sandbox]]:
    """The same for many, in a few statements. Those that somebody else holds now are left out."""
    free = rows.select_for_update(of=("self",), skip_locked=True, no_key=True).select_related("owner")
    with _written_together(lambda: list(free.order_by("pk"))) as found:
        yield found


@contextmanager
def lock_each(ids: Iterable[UUID]) -> Iterator[list[Sandbox]]:
    """The same for those of a worker, which are waited for."""
    with _written_together(lambda: reading.lock(list(ids))) as found:
        yield found


@contextmanager
def _written_together(lock: Callable[[], list[Sandbox]]) -> Iterator[list[Sandbox]]:
    """One transaction that begins with these locks; what the block changed of their rows is saved at its end."""
    batch = Batch()
    with transaction.atomic():
        found = lock()
        before = {row.pk: values(row) for row in found}
        for row in found:
            row.batch, row.lines = batch, []
        yield found
        _project([row for row in found if _shows_other(row, before[row.pk])])
        _save_together({row: changes(row, since=before[row.pk]) for row in found})
        batch.write()
        now = cache(clock.now)  # asked once for all
        insert_each([one for row in found for one in _told(row, since=before[row.pk], now=now)])
    # Each is one row for everybody: nobody holds it until a transaction of many ends.
    _notify(batch.notices)


def _save_together(changed: dict[Sandbox, list[str]]) -> None:
    """`updated_at` moves with whatever is a change, as `Sandbox.save` has it."""
    _update({row: names for row, names in changed.items() if WORKING_FIELDS.issuperset(names)})
    _update({row: names for row, names in changed.items() if not WORKING_FIELDS.issuperset(names)}, "updated_at")


def _update(changed: dict[Sandbox, list[str]], *now: str) -> None:
    written = {row: names for row, names in changed.items() if names}
    update_each(list(written), {name for names in written.values() for name in names}, now=now)


def count_policies_anew(rows: QuerySet[Sandbox]) -> None:
    """Have no lifecycle policy count from before now: what was before says nothing of whether they are wanted.

    In chunks, and in the order in which whoever locks many locks them.
    """
    now = clock.now()
    for chunk in in_chunks(rows.filter(deleted_at=None).only("pk"), CHUNK):
        with transaction.atomic():
            locked = Sandbox.objects.filter(pk__in=[row.pk for row in chunk]).order_by("pk")
            ids = list(locked.select_for_update(no_key=True).values_list("pk", flat=True))
            Sandbox.objects.filter(pk__in=ids).update(policies_from=now, policy_due_at=now)


def append(sandbox: Sandbox, row: Model) -> None:
    """Insert a row of this sandbox: now, or together with those of the others that are locked."""
    if sandbox.batch is None:
        row.save(force_insert=True)
    else:
        sandbox.batch.inserted.append(row)


def save(sandbox: Sandbox, row: Model, fields: Iterable[str]) -> None:
    """Write these fields of a row of this sandbox: now, or together with those of the others that are locked."""
    if sandbox.batch is None:
        row.save(update_fields=fields)
    elif not row._state.adding:  # what is not inserted yet will be as it is then
        sandbox.batch.update(row, fields)


def wake_workers(sandbox: Sandbox) -> None:
    """Tell workers that something of this sandbox is due now: once for all that are locked together."""
    if sandbox.batch is None:
        wake()
    else:
        sandbox.batch.wakes = True


def notify(sandbox: Sandbox, codes: Mapping[NoticeCode, str | None]) -> None:
    """Open these notices with the text, or close those without one: now, or after what many write together."""
    if sandbox.batch is None:
        _notify(codes)
    else:
        sandbox.batch.notices.update(codes)


def _notify(codes: Mapping[NoticeCode, str | None]) -> None:
    if over := [code for code, text in codes.items() if text is None]:
        notices.close(*over)
    for code, text in codes.items():
        if text is not None:
            notices.tell(code, text)


@contextmanager
def telling(row: Sandbox, *, since: dict[str, Any]) -> Iterator[None]:
    """Write the events of the block together, one with the facts that are not as they were `since` then."""
    row.lines = []
    yield
    SandboxEvent.objects.bulk_create(_with_changes(row, changed_facts(row, since=since), now=clock.now))


def _told(row: Sandbox, *, since: dict[str, Any], now: Callable[[], datetime]) -> list[SandboxEvent]:
    """The events of a block that has ended, one of them with what has changed of the sandbox since then.

    A change that no event tells of gets one of its own: who follows the feed hears of every change.
    """
    if _is_as_before(row, since):
        lines, row.lines = row.lines or [], None
        return lines
    return _with_changes(row, changed_facts(row, since=facts_of(_as_before(row, since))), now=now)


def _with_changes(row: Sandbox, changed: dict[str, Any], *, now: Callable[[], datetime]) -> list[SandboxEvent]:
    lines, row.lines = row.lines or [], None
    if changed:
        read_by_all = changed.keys() - FOR_STAFF
        # Not with a line that only staff read: who else follows the feed would miss it.
        told = next((one for one in lines if not read_by_all or one.kind in READ_BY_ALL), None)
        if told is None:
            told = line(row, EventKind.CHANGE, _in_words(changed), at=now())
            lines = [*lines, told]
        told.changes = changed
    return lines


def _shows_other(row: Sandbox, before: dict[str, Any]) -> bool:
    """Whether there is something else to show in Convex than before."""
    return not _is_as_before(row, before) and shown_of(row) != shown_of(_as_before(row, before))


def _is_as_before(row: Sandbox, before: dict[str, Any]) -> bool:
    """Whether nothing but the columns of our own work has changed, as with nearly every fetch."""
    return UNSHOWN.issuperset(changes(row, since=before))


def _as_before(row: Sandbox, before: dict[str, Any]) -> Sandbox:
    was = Sandbox.__new__(Sandbox)
    was.__dict__ = row.__dict__ | before
    return was


def _in_words(changed: dict[str, Any]) -> str:
    return f"Now {changed['status']}" if "status" in changed else f"Changed: {', '.join(changed)}"


def values(row: Model) -> dict[str, Any]:
    """All that is stored of a row, by field."""
    now = row.__dict__
    return {name: now[name] for name in _columns(type(row))}


def changes(row: Model, *, since: dict[str, Any]) -> list[str]:
    """The fields that no longer have the values from before."""
    now = row.__dict__
    return [name for name, value in since.items() if now[name] is not value and now[name] != value]


@cache
def _columns(model: type[Model]) -> tuple[str, ...]:
    return tuple(field.attname for field in model._meta.concrete_fields)


def _project(changed: list[Sandbox]) -> None:
    """Have Convex told of sandboxes that have something else to show than before."""
    if not changed:
        return
    rows = ConvexProjection.objects.filter(pk__in=[row.pk for row in changed])
    (rows.in_order() if len(changed) > 1 else rows).make_due()
    if settings.CONVEX_URL:
        wake_workers(changed[0])


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
        sandbox_id=sandbox.pk,
        owner=sandbox.owner_id,
        operation_id=operation.pk if operation is not None else None,
        kind=kind,
        at=at,
        text=cut(text, 500),
        actor=str(actor),
        data=data or {},
    )
