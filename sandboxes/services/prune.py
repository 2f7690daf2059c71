"""Retention: what is old and done with goes, in batches; each kind of row has its own setting."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.db.models import Model, Q, QuerySet, TextField
from django.db.models.functions import Cast

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Actor, AuditAction, EventKind, PolicyScope
from sandboxes.models import (
    AuditEntry,
    ConvexProjection,
    DaytonaCall,
    Delivery,
    IdempotencyAnswer,
    Job,
    JobItem,
    Notice,
    Operation,
    Orphan,
    Owner,
    Policy,
    Sandbox,
    SandboxEvent,
    Sweep,
    UsageHour,
)
from sandboxes.services import audit, feed, projection
from sandboxes.services.rows import in_chunks

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 500
ERASED = "(erased)"


def prune(*, dry_run: bool = False, beat: Callable[[], None] = lambda: None) -> dict[str, int]:
    """Delete what is older than its retention; returns how many rows of each kind (dry run: would go).

    `beat` is called between batches and may raise to end it there.
    """
    now = clock.now()
    if not dry_run:
        _withdraw_tombstones(now, beat)
        feed.expire(now - timedelta(days=settings.RETENTION_DAYS["events"]))
    return {name: _count(rows) if dry_run else _delete(rows, beat) for name, rows in expired(now).items()}


def expired(now: datetime) -> dict[str, QuerySet[Any]]:
    """The rows past their retention, by the name of its setting in RETENTION_DAYS."""

    def before(name: str) -> datetime:
        return now - timedelta(days=settings.RETENTION_DAYS[name])

    return {
        "tombstones": _settled_tombstones(before("tombstones")),
        "operations": Operation.objects.filter(finished_at__lt=before("operations")).ended(),
        "events": SandboxEvent.objects.filter(at__lt=before("events")),
        "deliveries": Delivery.objects.filter(died_at__lt=before("deliveries")),
        "idempotency": IdempotencyAnswer.objects.filter(created_at__lt=before("idempotency")),
        "notices": Notice.objects.filter(closed_at__lt=before("notices")),
        "jobs": Job.objects.filter(finished_at__lt=before("jobs")),
        "sweeps": Sweep.objects.filter(started_at__lt=before("sweeps")),
        "usage": UsageHour.objects.filter(hour__lt=before("usage")),
        "audit": AuditEntry.objects.filter(keep_until__lt=now),
    }


def _settled_tombstones(before: datetime) -> QuerySet[Sandbox]:
    """Gone for long, no longer shown by Convex, nothing to wait for; their timeline goes with them."""
    gone = Sandbox.objects.idle().filter(deleted_at__lt=before, projection__resend_at=None)
    in_doubt = DaytonaCall.objects.in_doubt().filter(in_doubt_until__gte=before)
    settled = gone.exclude(pk__in=in_doubt.values("sandbox"))
    return settled.filter(projection__known=False) if projection.is_used() else settled


def _withdraw_tombstones(now: datetime, beat: Callable[[], None]) -> None:
    """A row that Convex still shows would be known to nobody: it is taken off first, and ours goes next time."""
    if not projection.is_used():
        return
    before = now - timedelta(days=settings.RETENTION_DAYS["tombstones"])
    shown = ConvexProjection.objects.filter(sandbox__deleted_at__lt=before, known=True, withdrawn=False)
    for rows in in_chunks(shown.only("pk"), BATCH):
        beat()
        ConvexProjection.objects.filter(pk__in=[row.pk for row in rows]).withdraw()


def _count(rows: QuerySet[Any]) -> int:
    return rows.count()


def _delete(rows: QuerySet[Any], beat: Callable[[], None]) -> int:
    """Batch by batch, so that no lock is held for long. Returns the rows themselves, not what went with them."""
    model: type[Model] = rows.model
    total = 0
    while batch := list(rows.order_by().values_list("pk", flat=True)[:BATCH]):
        beat()
        with transaction.atomic():
            if model is Sandbox:
                # Locked before what hangs on them, as whoever changes a sandbox does it.
                doomed = Sandbox.objects.filter(pk__in=batch).order_by("pk").select_for_update()
                feed.tell_removed(doomed, EventKind.PRUNED)
            model._default_manager.filter(pk__in=batch).delete()
        total += len(batch)
    return total


def erase_owner(owner_id: str, *, actor: Actor, dry_run: bool = False) -> dict[str, int]:
    """Erase an owner whose sandboxes are all gone: rows, timelines, kept answers, and their name elsewhere.

    The audit log, which nobody may change, keeps what was done about them until it is outdated.

    Returns how many rows of each kind went, or in a dry run would go.

    Raises:
        Refused: INVALID_REQUEST when there is no such owner, a sandbox of theirs is not gone, or Convex has
            still to be told that one is.
    """
    theirs = Sandbox.objects.filter(owner_id=owner_id)
    if not dry_run and projection.is_used() and not theirs.filter(deleted_at=None).exists():
        ConvexProjection.objects.filter(sandbox__in=theirs, known=True).withdraw()
    with transaction.atomic():
        # Locks the owner, as a create does: none can begin meanwhile.
        if Owner.objects.filter(pk=owner_id).update(updated_at=clock.now()) != 1:
            raise Refused(Code.INVALID_REQUEST, f"There is no owner {owner_id!r}.")
        _refuse_while_needed(theirs)
        rows: dict[str, QuerySet[Any]] = {
            "operations": Operation.objects.filter(sandbox__in=theirs),
            "events": SandboxEvent.objects.filter(owner=owner_id),
            "idempotency": _answers(owner_id, theirs),
            "orphans": Orphan.objects.filter(Q(owner=owner_id) | Q(adopt_for=owner_id)),
            "job_items": JobItem.objects.filter(owner=owner_id),
            "policies": _policies(owner_id, theirs),
            "sandboxes": theirs,
            "sweeps": Sweep.objects.filter(owner=owner_id),
            "usage": UsageHour.objects.filter(owner=owner_id),
            "owners": Owner.objects.filter(pk=owner_id),
        }
        counts = {name: found.count() for name, found in rows.items()}
        counts["mentions"] = _unmention(owner_id, dry_run=dry_run) + _unmention_in_notices(
            owner_id, theirs, dry_run=dry_run
        )
        if not dry_run:
            feed.tell_removed(theirs.order_by("pk").select_for_update(), EventKind.ERASED)
            for found in rows.values():
                found.delete()
            audit.write(AuditAction.OWNER_ERASED, actor=actor, name="an owner", after=counts)
    return counts


def _policies(owner_id: str, theirs: QuerySet[Sandbox]) -> QuerySet[Policy]:
    ids = [str(pk) for pk in theirs.values_list("pk", flat=True)]
    of_owner = Q(scope=PolicyScope.OWNER, subject=owner_id)
    return Policy.objects.filter(of_owner | Q(scope=PolicyScope.SANDBOX, subject__in=ids))


def _answers(owner_id: str, theirs: QuerySet[Sandbox]) -> QuerySet[IdempotencyAnswer]:
    """What they were answered themselves, and what programs and staff were that acted for them."""
    names = [*_spellings(owner_id), *map(str, theirs.values_list("pk", flat=True))]
    kept = IdempotencyAnswer.objects.exclude(principal__startswith="owner:").values_list("pk", "body")
    about = [pk for pk, body in kept.iterator(BATCH) if any(name in body for name in names)]
    return IdempotencyAnswer.objects.filter(Q(principal=f"owner:{owner_id}") | Q(owner=owner_id) | Q(pk__in=about))


def _spellings(owner_id: str) -> set[str]:
    """As JSON writes it: SQLite's with escapes, PostgreSQL's and the API's without."""
    return {json.dumps(owner_id), json.dumps(owner_id, ensure_ascii=False)}


def _unmention_in_notices(owner_id: str, theirs: QuerySet[Sandbox], *, dry_run: bool) -> int:
    ids = theirs.values_list("pk", "daytona_id")
    names = [repr(owner_id), *(str(one) for pair in ids for one in pair if one)]
    messages = Notice.objects.values_list("pk", "message")
    mentioning = [pk for pk, message in messages if any(name in message for name in names)]
    if not dry_run:
        Notice.objects.filter(pk__in=mentioning).update(message=ERASED)
    return len(mentioning)


def _refuse_while_needed(theirs: QuerySet[Sandbox]) -> None:
    living = theirs.filter(deleted_at=None).count()
    if living:
        raise Refused(Code.INVALID_REQUEST, f"{living} of their sandboxes are not gone: delete them first.")
    waiting = theirs.count() - theirs.filter(pk__in=_settled_tombstones(clock.now()).values("pk")).count()
    if waiting:
        raise Refused(
            Code.INVALID_REQUEST, f"{waiting} of their deleted sandboxes are not settled yet: try again in a while."
        )


def _unmention(owner_id: str, *, dry_run: bool) -> int:
    """Rankings that were stored with other owners' sandboxes name them as candidates."""
    text = Cast("data", TextField())
    events = SandboxEvent.objects.filter(kind=EventKind.EVICTION).exclude(sandbox__owner_id=owner_id)
    named = reduce(or_, (Q(text_of_data__contains=name) for name in _spellings(owner_id)))
    mentioning = list(events.annotate(text_of_data=text).filter(named))
    for event in mentioning:
        for line in event.data.get("ranking", []):
            if line.get("owner") == owner_id:
                line |= {"owner": ERASED, "name": ERASED}
    if not dry_run:
        SandboxEvent.objects.bulk_update(mentioning, ["data"], batch_size=BATCH)
    return len(mentioning)
