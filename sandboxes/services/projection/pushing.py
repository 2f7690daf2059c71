"""Dirty rows to Convex: which way, how many at once, and when not at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string

from sandboxes import clock
from sandboxes.gateways.convex import MAX_CHANGES, ConvexError, ConvexGateway, Function, gateway
from sandboxes.models import CircuitBreaker, Sandbox
from sandboxes.services.projection import batch, circuit_breaker, lease, looking, one_by_one, outcome
from sandboxes.services.projection.again import push_what_was_lacking
from sandboxes.services.projection.values import touch_of
from sandboxes.services.queue import enqueue

log = structlog.get_logger(__name__)

# A row that was enqueued is not due again before then.
AGAIN_AFTER = timedelta(seconds=30)
# So many rows may be enqueued at a time, or a slow Convex would fill the queue with tasks for the same rows:
# where our own functions are, where they are not, and before anybody has looked.
MOST_ENQUEUED = {True: 2000, False: 500, None: 8}


def push(sandbox_id: UUID) -> bool:
    """Bring Convex's row of one sandbox in line with ours.

    Returns whether there was something to push; False also while another pusher is at it, while Convex is left
    alone, and where no Convex is configured. Convex's refusals are written down, never raised.
    """
    return push_many([sandbox_id]) > 0


def push_many(ids: Sequence[UUID]) -> int:
    """The same for many; returns how many had something to push. 100 take one call where our own functions are."""
    breaker = circuit_breaker.read() if is_on() else None
    if breaker is None or breaker.is_open(clock.now()):
        return 0
    try:
        convex = _gateway()
        own = look_at_functions(convex, breaker)
    except ConvexError as error:
        return _nobody_home(ids, error)
    if own:
        return batch.push(convex, ids)
    return sum(one_by_one.push(convex, sandbox_id) for sandbox_id in ids)


def look_at_functions(convex: ConvexGateway, breaker: CircuitBreaker) -> bool:
    """Whether our own functions are there. What could not be shown for want of one that now is becomes due."""
    own = convex.own_functions()
    before, present = frozenset(breaker.functions), frozenset(convex.capabilities().present)
    if (own, present) != (breaker.has_own_functions, before):
        circuit_breaker.remember(has_own_functions=own, functions=present)
        if present - before:
            push_what_was_lacking()
    return own


def touch(row: Sandbox) -> bool:
    """Tell Convex that a sandbox was used; returns whether it was told. The next use tells it again if not."""
    if not is_on() or not row.convex_known or circuit_breaker.read().is_open(clock.now()):
        return False
    try:
        return _touch(_gateway(), row)
    except ConvexError as error:
        log.info("convex_touch_failed", sandbox_id=str(row.pk), code=error.code)
        return False


def enqueue_due(now: datetime) -> int:
    """Enqueue the rows whose push is due, without a remote call; returns how many rows.

    Each is moved ahead in the same transaction, so that no other pump enqueues it too. While Convex is left
    alone nothing is, and when that is over a single row tries for all of them.
    """
    breaker = circuit_breaker.read() if is_on() else None
    if breaker is None or breaker.is_open(now):
        return 0
    with transaction.atomic():
        due = Sandbox.objects.filter(convex_next_push_at__lte=now).order_by("convex_next_push_at", "pk")
        ids = list(due.select_for_update(skip_locked=True).values_list("pk", flat=True)[: _room(breaker, now)])
        Sandbox.objects.filter(pk__in=ids).update(convex_next_push_at=now + AGAIN_AFTER)
        _enqueue(ids, in_batches=breaker.has_own_functions is True)
    return len(ids)


def is_used() -> bool:
    """Whether the installation has a Convex. Web has no key of it, but sees that a worker once pushed."""
    return bool(settings.CONVEX_URL) or circuit_breaker.in_use().exists()


def is_on() -> bool:
    """Whether this process has a Convex to push to."""
    return bool(settings.CONVEX_URL and settings.CONVEX_DEPLOY_KEY)


def _gateway() -> ConvexGateway:
    convex = gateway()
    assert convex is not None, "asked for without looking whether projection is on"
    return convex


def _room(breaker: CircuitBreaker, now: datetime) -> int:
    """How many more rows may be enqueued, those counted that were and that nobody has come to yet."""
    if breaker.is_half_open:
        return 1
    moved_ahead = Sandbox.objects.filter(convex_next_push_at__gt=now, convex_next_push_at__lte=now + AGAIN_AFTER)
    enqueued = moved_ahead.filter(Sandbox.dirty(), convex_attempt=0).count()
    return max(0, MOST_ENQUEUED[breaker.has_own_functions] - enqueued)


def _enqueue(ids: list[UUID], *, in_batches: bool) -> None:
    if not in_batches:
        for sandbox_id in ids:
            enqueue("push_sandbox", sandbox_id)
        return
    push_batch = import_string("sandboxes.tasks.push_batch")
    for start in range(0, len(ids), MAX_CHANGES):
        push_batch.enqueue([str(sandbox_id) for sandbox_id in ids[start : start + MAX_CHANGES]])


def _nobody_home(ids: Sequence[UUID], error: ConvexError) -> int:
    """Convex does not even say which functions it has: the rows wait."""
    held = lease.claim(ids)
    outcome.failed(held, [outcome.report_of(held, row) for row in held.rows], error)
    return len(held.rows)


def _is_ours(convex: ConvexGateway, row: Sandbox) -> bool:
    """The application's function looks at no owner."""
    try:
        return looking.is_there(convex, row)
    except outcome.ForeignOwner:
        return False


def _touch(convex: ConvexGateway, row: Sandbox) -> bool:
    if convex.own_functions():
        (answer,) = convex.apply([touch_of(row)])
        return answer.outcome == "applied"
    if row.daytona_id is None or convex.has(Function.TOUCH) is False or not _is_ours(convex, row):
        return False
    convex.touch(row.daytona_id)
    return True
