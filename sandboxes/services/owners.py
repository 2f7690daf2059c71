"""Owners: the hold and the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.parameters import Parameters
from sandboxes.core.vocabulary import Action, Actor, AuditAction, Intent, Source
from sandboxes.models import Owner, Sandbox
from sandboxes.services import audit, lifecycle, sandbox_store
from sandboxes.services.cap import Cap, cap, cap_of, limit_of
from sandboxes.services.operations import set_intent

if TYPE_CHECKING:
    from uuid import UUID

__all__ = ["Cap", "cap", "cap_of", "hold", "lift", "limit_of", "set_limit"]


def hold(
    owner_id: str,
    *,
    actor: Actor,
    reason: str,
    public_reason: str = "",
    source: Source = Source.ADMIN,
    destroy_ephemeral: bool = False,
) -> int:
    """Put the owner on hold and stop what runs; nothing of theirs starts until it is lifted.

    The reason is internal. The owner and their programs read the public one, or just that there is a hold.

    Those that a stop destroys, at once or within a day, are left running unless `destroy_ephemeral`. One that is
    still being created is stopped as soon as it runs. Returns the number of sandboxes that will stop.
    """
    _change(
        owner_id, AuditAction.HOLD, actor=actor, reason=reason, hold_since=clock.now(), hold_actor=str(actor),
        hold_reason=reason[:500], hold_public_reason=public_reason[:500],
    )  # fmt: skip
    said = f"Owner on hold: {public_reason}" if public_reason else "Owner on hold"
    return sum(
        _stop(pk, actor=actor, reason=said, source=source, force=destroy_ephemeral) for pk in _live(owner_id)
    )


def _change(owner_id: str, action: AuditAction, *, actor: Actor, reason: str, **values: Any) -> None:
    """Write these values of the owner, new or known, and what they were before to the audit log."""
    with transaction.atomic():
        Owner.objects.get_or_create(pk=owner_id)
        owner = Owner.objects.select_for_update().get(pk=owner_id)
        before = {name: getattr(owner, name) for name in values}
        Owner.objects.filter(pk=owner_id).update(**values, updated_at=clock.now())
        audit.write(
            action, actor=actor, about=owner, owner=owner_id, reason=reason, before=before, after=values
        )  # fmt: skip


def _live(owner_id: str) -> list[UUID]:
    rows = Sandbox.objects.filter(owner_id=owner_id).stopped_by_a_hold()
    return list(rows.values_list("pk", flat=True))


def _stop(sandbox_id: UUID, *, actor: Actor, reason: str, source: Source, force: bool) -> int:
    try:
        said = Parameters(force=force)
        lifecycle.request(sandbox_id, Action.STOP, actor=actor, source=source, reason=reason, parameters=said)
    except Refused as error:
        if error.code != Code.SANDBOX_CREATING:
            return 0
        return _stop_when_created(sandbox_id, actor=actor, reason=reason)
    return 1


def _stop_when_created(sandbox_id: UUID, *, actor: Actor, reason: str) -> int:
    """The create goes on; the intent is kept afterwards like any other that is not met yet."""
    with sandbox_store.lock_sandbox(sandbox_id) as row:
        if lifecycle.destroyed_after(row) is not None:
            return 0
        set_intent(row, Intent.STOPPED, actor=actor, reason=reason, now=clock.now())
    return 1


def lift(owner_id: str, *, actor: Actor, reason: str = "") -> None:
    """End the hold. What was stopped stays stopped until somebody starts it, and lifecycle policies count anew."""
    if not Owner.objects.filter(pk=owner_id).exists():
        return
    _change(
        owner_id, AuditAction.HOLD_LIFTED, actor=actor, reason=reason, hold_since=None, hold_actor=str(actor),
        hold_reason=reason[:500], hold_public_reason="",
    )  # fmt: skip
    sandbox_store.count_policies_anew(Sandbox.objects.filter(owner_id=owner_id))


def set_limit(owner_id: str, limit: int | None, *, actor: Actor, reason: str) -> None:
    """How many sandboxes the owner may have; None for the default of the settings."""
    said = f"{actor}: {reason}"[:500]
    _change(owner_id, AuditAction.LIMIT, actor=actor, reason=reason, sandbox_limit=limit, limit_reason=said)
