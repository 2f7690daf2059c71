"""Erasing an owner: their rows, and their name in the rows of others."""

from __future__ import annotations

import json
from functools import reduce
from operator import or_
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Actor, AuditAction, EventKind
from sandboxes.models import (
    ConvexProjection,
    IdempotencyAnswer,
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
from sandboxes.services.prune import settled_tombstones

BATCH = 500
ERASED = "(erased)"


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
        rows = _rows_of(owner_id, theirs)
        counts = {name: found.count() for name, found in rows.items()}
        mentions = _unmention(owner_id, dry_run=dry_run)
        counts["mentions"] = mentions + _unmention_in_notices(owner_id, theirs, dry_run=dry_run)
        if not dry_run:
            feed.tell_removed(theirs.order_by("pk").select_for_update(), EventKind.ERASED)
            for found in rows.values():
                found.delete()
            audit.write(AuditAction.OWNER_ERASED, actor=actor, name="an owner", after=counts)
    return counts


def _rows_of(owner_id: str, theirs: QuerySet[Sandbox]) -> dict[str, QuerySet[Any]]:
    """All that is theirs, in an order in which it can be deleted."""
    return {
        "operations": Operation.objects.filter(sandbox__in=theirs),
        "events": SandboxEvent.objects.filter(owner=owner_id),
        "idempotency": _answers(owner_id, theirs),
        "orphans": Orphan.objects.filter(Q(owner=owner_id) | Q(adopt_for=owner_id)),
        "job_items": JobItem.objects.filter(owner=owner_id),
        "policies": Policy.objects.about(owner_id, theirs.values_list("pk", flat=True)),
        "sandboxes": theirs,
        "sweeps": Sweep.objects.filter(owner=owner_id),
        "usage": UsageHour.objects.filter(owner=owner_id),
        "owners": Owner.objects.filter(pk=owner_id),
    }


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
    waiting = theirs.count() - theirs.filter(pk__in=settled_tombstones(clock.now()).values("pk")).count()
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
