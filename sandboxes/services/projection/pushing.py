"""Rows that are behind to Convex: which way, how many at once, when not at all, and when once more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from django.db import transaction

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import EventKind
from sandboxes.models import CircuitBreaker, ConvexProjection, Sandbox
from sandboxes.providers.convex.gateway import MAX_CHANGES, ConvexError, ConvexGateway, Function, gateway
from sandboxes.services import lookup, sandbox_store
from sandboxes.services.projection import application_rows, batch, circuit_breaker, lease, one_by_one, push_result
from sandboxes.services.projection.values import touch_of
from sandboxes.services.wake import wake

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sandboxes.core.vocabulary import Actor

log = structlog.get_logger(__name__)
NO_ID = "Convex names its rows by Daytona's id, and there is none yet."


def push(sandbox_id: UUID) -> bool:
    """Bring Convex's row of one sandbox in line with ours.

    Returns whether there was something to push; False also while another pusher is at it, while Convex is left
    alone, and where no Convex is configured. Convex's refusals are written down, never raised.
    """
    return push_many([sandbox_id]) > 0


def push_many(ids: Sequence[UUID], token: str = "") -> int:
    """The same for many; returns how many had something to push. 100 take one call where our own functions are.

    With a `token` the caller can `abandon` what was claimed and could not be settled, since the database was away.
    """
    breaker = circuit_breaker.read() if is_on() else None
    if breaker is None or breaker.is_open(clock.now()):
        return 0
    try:
        convex = _gateway()
        own = look_at_functions(convex, breaker)
    except ConvexError as error:
        return _nobody_home(ids, error, token)
    if own:
        return batch.push(convex, ids, token)
    return sum(one_by_one.push(convex, sandbox_id, token) for sandbox_id in ids)


def look_at_functions(convex: ConvexGateway, breaker: CircuitBreaker) -> bool:
    """Whether our own functions are there. What could not be shown for want of one that now is becomes due."""
    own = convex.own_functions()
    before, present = frozenset(breaker.functions), frozenset(convex.capabilities().present)
    if (own, present) != (breaker.has_own_functions, before):
        circuit_breaker.remember(has_own_functions=own, functions=present)
        if present - before:
            _push_what_was_lacking()
    return own


def push_again(sandbox_id: UUID, *, actor: Actor) -> None:
    """Have it looked up in Convex and every value sent, whether or not it differs from what was sent before.

    What its user took off the list there is put back: a person wants it now.

    Raises:
        Refused: SANDBOX_NOT_FOUND, SANDBOX_CREATING while Daytona has not given it an id.
    """
    with lookup.locked(sandbox_id, actor=actor) as sandbox:
        if sandbox.daytona_id is None:
            raise Refused(Code.SANDBOX_CREATING, NO_ID)
        sent = ConvexProjection.objects.select_for_update().get(pk=sandbox.pk).sent
        # A call that got lost may still be carried out: `resend_at` stays as it is.
        late = {"late": sent["late"]} if "late" in sent else {}
        rows = ConvexProjection.objects.filter(pk=sandbox.pk)
        rows.make_due(sent={"again": True, **late}, removed=False, attempt=0)
        sandbox_store.event(sandbox, EventKind.CONVEX, "Push to Convex requested again", actor=actor)
        wake()


@transaction.atomic
def _push_what_was_lacking() -> None:
    """Rows that met a function that was not there are due."""
    push_result.met(push_result.LACKS).in_order().make_due()


def touch(sandboxes: Sequence[Sandbox]) -> int:
    """Tell Convex that these were used; returns how many it was told of. The next use tells it again if not."""
    known = [sandbox for sandbox in sandboxes if sandbox.projection.known]
    if not known or not is_on() or circuit_breaker.read().is_open(clock.now()):
        return 0
    try:
        return _touch(_gateway(), known)
    except ConvexError as error:
        log.info("convex_touch_failed", code=error.code)
        return 0


def due(limit: int) -> tuple[list[UUID], bool]:
    """Up to so many rows whose push is due and that nobody pushes, and whether 100 of them take one call.

    While Convex is left alone there is none, and when that is over a single row tries for all of them.
    """
    breaker = circuit_breaker.read() if is_on() else None
    now = clock.now()
    if breaker is None or breaker.is_open(now):
        return [], False
    rows = ConvexProjection.objects.due(now).free().order_by("due_at", "pk")
    together = breaker.has_own_functions is True
    ids = rows.values_list("pk", flat=True)[: 1 if breaker.is_half_open else limit]
    return list(ids), together


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


def _nobody_home(ids: Sequence[UUID], error: ConvexError, token: str) -> int:
    """Convex does not even say which functions it has: the rows wait."""
    held = lease.claim(ids, token)
    push_result.record_failure(held, [push_result.report_of(held, row) for row in held.rows], error)
    return len(held.rows)


def _is_ours(convex: ConvexGateway, sandbox: Sandbox) -> bool:
    """The application's function looks at no owner."""
    try:
        return application_rows.is_there(convex, sandbox)
    except push_result.ForeignOwner:
        return False


def _touch(convex: ConvexGateway, sandboxes: Sequence[Sandbox]) -> int:
    if convex.own_functions():
        told = 0
        for start in range(0, len(sandboxes), MAX_CHANGES):
            changes = [touch_of(one.projection) for one in sandboxes[start : start + MAX_CHANGES]]
            told += sum(answer.outcome == "applied" for answer in convex.apply(changes))
        return told
    if convex.has(Function.TOUCH) is False:
        return 0
    ours = [one.daytona_id for one in sandboxes if one.daytona_id is not None and _is_ours(convex, one)]
    for daytona_id in ours:
        convex.touch(daytona_id)
    return len(ours)
