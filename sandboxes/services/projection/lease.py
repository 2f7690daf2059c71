"""The right to push a sandbox: one pusher at a time, and every write names its token.

A pusher gives the lease back together with its result. A lease that ran out is therefore the mark of a pusher
that died, or of a call that nobody heard the end of: its values count as unknown, and may still commit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.db.models import F, Q

from sandboxes import clock
from sandboxes.models import Sandbox


class Lost(Exception):
    """Another pusher has taken the sandbox over: nothing may be sent or written any more."""


@dataclass
class Held:
    token: str
    now: datetime
    rows: list[Sandbox] = field(default_factory=list)
    since: float = field(default_factory=time.monotonic)


def seconds() -> float:
    """Longer than any one call, with as much again to write down what came of it."""
    return float(max(settings.LEASE_SECONDS, 2 * (settings.CONVEX_CONNECT_TIMEOUT + settings.CONVEX_READ_TIMEOUT)))


def again_at(now: datetime) -> datetime:
    """When a call with an unknown outcome has surely ended."""
    return now + timedelta(seconds=settings.CONVEX_AGAIN_SECONDS)


def claim(ids: Sequence[UUID]) -> Held:
    """Take those of the sandboxes that have something to push and that nobody pushes, and read them then."""
    held = Held(uuid4().hex, clock.now())
    until = held.now + timedelta(seconds=seconds())
    work = Sandbox.objects.filter(_has_work(held.now), pk__in=ids)
    claimed = work.filter(convex_lease_token="").update(convex_lease_token=held.token, convex_lease_until=until)
    abandoned = 0
    if claimed < len(ids):
        abandoned = _take_over(work.exclude(convex_lease_token=held.token), held, until)
        _put_to_rest(ids, held.now)
    if claimed or abandoned:
        rows = Sandbox.objects.filter(convex_lease_token=held.token, pk__in=ids)
        held.rows = list(rows.order_by("convex_next_push_at", "pk"))
    return held


def keep(held: Held) -> None:
    """Before each call: hold it for long enough. Raises Lost."""
    if time.monotonic() - held.since < seconds() / 4:
        return
    held.since = time.monotonic()
    until = clock.now() + timedelta(seconds=seconds())
    mine = Sandbox.objects.filter(convex_lease_token=held.token, pk__in=[row.pk for row in held.rows])
    if mine.update(convex_lease_until=until) == 0:
        raise Lost


def revisions(held: Held, ids: Sequence[UUID]) -> dict[UUID, int]:
    """The present revisions of those that are still ours, locked until the transaction ends."""
    mine = Sandbox.objects.filter(pk__in=ids, convex_lease_token=held.token)
    return dict(mine.order_by("pk").select_for_update().values_list("pk", "revision"))


def note(held: Held, row: Sandbox, **values: Any) -> None:
    """Write down what is about to be done, before it is. Raises Lost."""
    mine = Sandbox.objects.filter(pk=row.pk, convex_lease_token=held.token)
    if mine.update(**values) == 0:
        raise Lost


def write(held: Held, ids: Sequence[UUID], **values: Any) -> int:
    """Write what came of the push and give the lease back; returns how many were still ours to write."""
    mine = Sandbox.objects.filter(pk__in=ids, convex_lease_token=held.token)
    return mine.update(**values, convex_lease_token="", convex_lease_until=None)


def _has_work(now: datetime) -> Q:
    return Sandbox.dirty() | Q(convex_again_at__lte=now)


def _take_over(work: Any, held: Held, until: datetime) -> int:
    """Sandboxes whose pusher died: what it was sending is unknown, so nothing counts as sent.

    Convex drops a call whose client is gone, and carries no mutation out for longer than a lease lasts: a row
    that is not there now may be created.
    """
    dead = work.filter(convex_lease_until__lt=held.now)
    taken = 0
    for row in dead:
        still_dead = dead.filter(pk=row.pk, convex_lease_token=row.convex_lease_token)
        taken += still_dead.update(
            convex_lease_token=held.token,
            convex_lease_until=until,
            convex_known="row" in row.convex_sent,
            convex_sent=_surely_sent(row),
            convex_again_at=again_at(held.now),
        )
    return taken


def _surely_sent(row: Sandbox) -> dict[str, Any]:
    """What the dead pusher cannot have changed: a name that it had no reason to send, a message of ours."""
    kept = [key for key in ("row", "again", "late", "error") if key in row.convex_sent]
    if row.convex_sent.get("name") == row.name:
        kept.append("name")
    return {key: row.convex_sent[key] for key in kept}


def _put_to_rest(ids: Sequence[UUID], now: datetime) -> None:
    """Nothing to push now: not due before a lost call has to be looked at again, or another's lease is over."""
    clean = Sandbox.objects.filter(pk__in=ids, revision=F("convex_revision"), convex_lease_token="")
    clean.filter(convex_next_push_at__isnull=False).exclude(convex_again_at__lte=now).update(
        convex_next_push_at=F("convex_again_at")
    )
    # Whoever pushes it may be dead: it is due as soon as the lease is over, not later.
    held = Sandbox.objects.filter(pk__in=ids, convex_next_push_at__gt=F("convex_lease_until"))
    held.update(convex_next_push_at=F("convex_lease_until"))
