"""Idempotency-Key: the first request's answer is kept for a day and given again to its repetitions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import IntegrityError, transaction

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.models import IdempotencyAnswer

if TYPE_CHECKING:
    from django.db.models import QuerySet

KEPT = timedelta(hours=24)
# Longer than the longest request (`Prefer: wait=60`): after that its process must have died.
ABANDONED = timedelta(minutes=2)
OPERATION = "operation"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer this key. `operation` is what an earlier attempt had begun."""

    pk: int
    since: datetime
    operation: UUID | None = None


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the first request was answered."""

    status: int
    headers: dict[str, str]
    body: str


def begin(principal: str, key: str, *, owner: str, fingerprint: str) -> Claim | StoredAnswer:
    """Claim the key, or get the answer that it had. A program's keys for two owners are two.

    Raises:
        Refused: IDEMPOTENCY_KEY_REUSED for another fingerprint, REQUEST_IN_PROGRESS while the first still runs.
    """
    now = clock.now()
    answers = IdempotencyAnswer.objects.filter(principal=principal, owner=owner, key=key)
    answers.filter(created_at__lt=now - KEPT).delete()
    try:
        with transaction.atomic():
            row = IdempotencyAnswer.objects.create(
                principal=principal, owner=owner, key=key, fingerprint=fingerprint, created_at=now
            )
        return Claim(row.pk, now)
    except IntegrityError:
        found = answers.first()
    if found is None:  # released between our insert and our look
        raise Refused(Code.REQUEST_IN_PROGRESS, retry_after=1)
    return _standing(found, fingerprint, now=now)


def _standing(row: IdempotencyAnswer, fingerprint: str, *, now: datetime) -> Claim | StoredAnswer:
    if row.fingerprint != fingerprint:
        raise Refused(Code.IDEMPOTENCY_KEY_REUSED)
    if row.status is not None:
        return StoredAnswer(row.status, dict(row.headers), row.body)
    return _take_over(row, now=now)


def _take_over(row: IdempotencyAnswer, *, now: datetime) -> Claim:
    mine = IdempotencyAnswer.objects.filter(pk=row.pk, created_at=row.created_at, status=None)
    if row.created_at > now - ABANDONED or mine.update(created_at=now) != 1:
        raise Refused(Code.REQUEST_IN_PROGRESS, retry_after=1)
    begun = row.headers.get(OPERATION)
    return Claim(row.pk, now, UUID(begun) if begun else None)


def note(claim: Claim, operation: UUID) -> None:
    """Remember what was begun, in the same transaction: if we die now, the next attempt finds it."""
    _mine(claim).update(headers={OPERATION: str(operation)})


def finish(claim: Claim, *, status: int, headers: dict[str, str], body: str) -> None:
    _mine(claim).update(status=status, headers=headers, body=body)


def release(claim: Claim) -> None:
    """Nothing was answered that is worth repeating: the key may be tried again, and finds what was begun."""
    if not _mine(claim).filter(headers={}).delete()[0]:
        _mine(claim).update(created_at=claim.since - ABANDONED)


def _mine(claim: Claim) -> QuerySet[IdempotencyAnswer]:
    return IdempotencyAnswer.objects.filter(pk=claim.pk, created_at=claim.since, status=None)
