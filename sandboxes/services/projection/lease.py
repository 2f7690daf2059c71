"""The right to push a sandbox: one pusher at a time, and every write names its token.

A pusher gives the lease back together with its result. A lease that ran out is therefore the mark of a pusher
that died, or of a call that nobody heard the end of: its values count as unknown, and may still commit.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F

from sandboxes import clock
from sandboxes.models import ConvexProjection

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandboxes.models.projection import ProjectionRows


class Lost(Exception):
    """Another pusher has taken the sandbox over: nothing may be sent or written any more."""


@dataclass
class HeldRows:
    token: str
    now: datetime
    rows: list[ConvexProjection] = field(default_factory=list)
    since: float = field(default_factory=clock.monotonic)


def seconds() -> float:
    """Longer than any one call, with as much again to write down what came of it."""
    return float(max(settings.LEASE_SECONDS, 2 * (settings.CONVEX_CONNECT_TIMEOUT + settings.CONVEX_READ_TIMEOUT)))


def resend_at(now: datetime) -> datetime:
    """When a call with an unknown outcome has surely ended."""
    return now + timedelta(seconds=settings.CONVEX_RESEND_SECONDS)


def claim(ids: Sequence[UUID], token: str = "") -> HeldRows:
    """Take those of the sandboxes that have something to push and that nobody pushes, and read them then."""
    held = HeldRows(token or uuid4().hex, clock.now())
    several = len(ids) > 1
    with transaction.atomic() if several else nullcontext():  # one UPDATE is a transaction of its own
        rows = _of(ids).in_order() if several else _of(ids)
        claimed = _with_work(rows, held.now).filter(lease_token="").claim(seconds(), token=held.token)
    if claimed:
        held.rows = _mine(ids, held)
    if len(held.rows) < len(ids):
        if _take_over(ids, held):
            held.rows = _mine(ids, held)
        _put_to_rest(ids, held.now)
    return held


def renew(held: HeldRows) -> None:
    """Before each call: hold it for long enough. Raises Lost."""
    if clock.monotonic() - held.since < seconds() / 4:
        return
    held.since = clock.monotonic()
    if _of([row.pk for row in held.rows]).renew(held.token, seconds()) == 0:
        raise Lost


def present(held: HeldRows, ids: Sequence[UUID]) -> dict[UUID, ConvexProjection]:
    """Those that are still ours, as they are by now, locked until the transaction ends."""
    mine = _of(ids).held(held.token).order_by("pk").select_for_update().only("wanted_generation", "sent")
    return {row.pk: row for row in mine}


def note(held: HeldRows, row: ConvexProjection, **values: Any) -> None:
    """Write down what is about to be done, before it is. Raises Lost."""
    if _of([row.pk]).held(held.token).update(**values) == 0:
        raise Lost


def abandon(ids: Sequence[UUID], token: str) -> None:
    """What a push could not write down, because the database went away, is for the next one at once."""
    now = clock.now()
    _of(ids).held(token).update(lease_until=now, due_at=now)


def release(held: HeldRows, ids: Sequence[UUID], **values: Any) -> int:
    """Write what came of the push and give the lease back; returns how many were still ours to write."""
    return _of(ids).release(held.token, **values)


def _of(ids: Sequence[UUID]) -> ProjectionRows:
    return ConvexProjection.objects.filter(pk__in=ids)


def _with_work(rows: ProjectionRows, now: datetime) -> ProjectionRows:
    return rows.behind() | rows.filter(resend_at__lte=now)


def _mine(ids: Sequence[UUID], held: HeldRows) -> list[ConvexProjection]:
    return list(_of(ids).held(held.token).select_related("sandbox").order_by("due_at", "pk"))


def _take_over(ids: Sequence[UUID], held: HeldRows) -> int:
    """Sandboxes whose pusher died: what it was sending is unknown, so nothing counts as sent.

    Convex drops a call whose client is gone, and carries no mutation out for longer than a lease lasts: a row
    that is not there now may be created.
    """
    taken = 0
    for row in _with_work(_of(ids).abandoned(), held.now).select_related("sandbox"):
        still_dead = _of([row.pk]).held(row.lease_token)
        values = {
            "known": "row" in row.sent,
            "sent": _surely_sent(row),
            "resend_at": resend_at(held.now),
        }
        taken += still_dead.claim(seconds(), token=held.token, **values) is not None
    return taken


def _surely_sent(row: ConvexProjection) -> dict[str, Any]:
    """What the dead pusher cannot have changed: a name that it had no reason to send, a message of ours."""
    kept: list[str] = [key for key in ("row", "again", "late", "error") if key in row.sent]
    if row.sent.get("name") == row.sandbox.name:
        kept.append("name")
    return {key: row.sent[key] for key in kept}


def _put_to_rest(ids: Sequence[UUID], now: datetime) -> None:
    """Nothing to push now: not due before a lost call has to be looked at again, or another's lease is over."""
    clean = _of(ids).level().filter(lease_token="", due_at__isnull=False)
    clean.exclude(resend_at__lte=now).update(due_at=F("resend_at"))
    # Whoever pushes it may be dead: it is due as soon as the lease is over, not later.
    _of(ids).filter(due_at__gt=F("lease_until")).update(due_at=F("lease_until"))
