"""The intent gate: what programs ask before they use a sandbox. It fails closed: all it needs is in our rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.functions import Coalesce

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.gate import check_may_run
from sandboxes.core.states import RUNNING_STATES
from sandboxes.core.vocabulary import Action, Actor, Source, Status
from sandboxes.models import Operation, Sandbox
from sandboxes.services import lifecycle, lookup
from sandboxes.services.rows import one
from sandboxes.services.wake import wake

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Ready:
    """It runs, and a GET said so a moment ago."""

    sandbox: Sandbox


def ensure_running(
    sandbox_id: UUID | str, *, actor: Actor, source: Source, reason: str = "", request_id: str = ""
) -> Ready | Operation:
    """Yes at once (one SELECT, at most one UPDATE), or the operation to wait for. The id is ours or Daytona's.

    The order is the rule: what a person wants comes first, then what is true. An intent `stopped` or `archived`
    refuses; a sandbox that Daytona or the evictor stopped is started.

    Raises:
        Refused: SANDBOX_NOT_FOUND, SANDBOX_GONE, SANDBOX_STOPPED_BY_USER (who, when, why), OWNER_ON_HOLD,
            SANDBOX_UNRECOVERABLE.
    """
    row = _read(sandbox_id, actor)
    gate(row)
    now: datetime = row.present  # type: ignore[attr-defined]
    busy: bool = row.busy  # type: ignore[attr-defined]
    # While Daytona does not find it, look after look would show nothing: a start waits until it is certain.
    runs = row.status == Status.RUNNING and not busy and row.missing_since is None
    if runs and is_fresh(row, now=now):
        _touch_row(row, now=now)
        return Ready(row)
    return lifecycle.request(
        row.pk, Action.SYNC if runs else Action.START, actor=actor, source=source, reason=reason,
        request_id=request_id, gate=gate,
    )  # fmt: skip


def _read(sandbox_id: UUID | str, actor: Actor) -> Sandbox:
    """All that the gate needs in one SELECT: the row, its owner, the time, and whether anything is active but a
    look."""
    active = Operation.objects.active().filter(sandbox=OuterRef("pk")).exclude(action=Action.SYNC)
    rows = lookup.visible(sandbox_id, actor=actor).select_related("owner")
    row: Sandbox | None = one(rows.annotate(busy=Exists(active), present=clock.present()))
    if row is None:
        raise lookup.not_found(sandbox_id)
    return row


def gate(row: Sandbox) -> None:
    """What a person wants, before anything else; asked again under the row's lock before anything begins."""
    check_may_run(row, on_hold=row.owner.on_hold)


def is_fresh(row: Sandbox, *, now: datetime) -> bool:
    """Whether a GET showed it running within OBSERVATION_TTL."""
    if row.observed_at is None or row.observed_state not in RUNNING_STATES:
        return False
    return (now - row.observed_at).total_seconds() <= settings.OBSERVATION_TTL


def touch(sandbox_id: UUID | str, *, actor: Actor) -> None:
    """Record that it is used: at most one write per TOUCH_EVERY seconds, forwarded at most every
    TOUCH_FORWARD_EVERY.

    Raises:
        Refused: SANDBOX_NOT_FOUND, SANDBOX_GONE.
    """
    row = one(lookup.visible(sandbox_id, actor=actor))
    if row is None:
        raise lookup.not_found(sandbox_id)
    if row.status == Status.GONE:
        raise Refused(Code.SANDBOX_GONE, f"“{row.display_name}” no longer exists in Daytona.")
    _touch_row(row, now=clock.now())


def _touch_row(row: Sandbox, *, now: datetime) -> None:
    """Monotonic, and without the row's lock: an UPDATE that moves the clock forward or changes nothing.

    An observation that is half as old as it may be is renewed, so that a sandbox in use is always ready at once.
    """
    stale = now - timedelta(seconds=settings.TOUCH_EVERY)
    if row.last_accessed_at is not None and row.last_accessed_at > stale:
        return
    due = row.touch_forwarded_at is None or now - row.touch_forwarded_at >= timedelta(
        seconds=settings.TOUCH_FORWARD_EVERY
    )
    older = Sandbox.objects.filter(Q(last_accessed_at=None) | Q(last_accessed_at__lte=stale), pk=row.pk)
    changes: dict[str, Any] = {"touch_forwarded_at": now, "touch_due_at": now} if due else {}
    if row.observed_at is not None and (now - row.observed_at).total_seconds() > settings.OBSERVATION_TTL / 2:
        changes["fetch_due_at"] = Coalesce("fetch_due_at", Value(now))
    if older.update(last_accessed_at=now, **changes) == 1 and due:
        wake()
