"""The rows that views show, with all that their representation needs, in a fixed number of queries."""

from __future__ import annotations

from uuid import UUID

from django.db.models import F, Prefetch, QuerySet
from django.db.models.functions import Coalesce

from sandboxes.codes import Code, Refused
from sandboxes.models import Operation, Sandbox, SandboxEvent
from sandboxes.services import lifecycle
from sandboxes.states import ACTIVE, Actor


def _with_active(rows: QuerySet[Sandbox]) -> QuerySet[Sandbox]:
    active = Prefetch("operations", Operation.objects.filter(status__in=ACTIVE), to_attr="active")
    return rows.select_related("owner").prefetch_related(active)


def sandboxes(actor: Actor) -> QuerySet[Sandbox]:
    used = Coalesce(F("last_accessed_at"), F("created_at"))
    return _with_active(lifecycle.visible_to(actor)).annotate(used_at=used)


def shown(row: Sandbox) -> Sandbox:
    """A row from a service, as a representation needs it."""
    if not hasattr(row, "active"):
        row.active = list(Operation.objects.filter(sandbox_id=row.pk, status__in=ACTIVE))  # type: ignore[attr-defined]
    return row


def active(sandbox_id: UUID) -> Operation | None:
    return Operation.objects.filter(sandbox_id=sandbox_id, status__in=ACTIVE).first()


def operations(actor: Actor) -> QuerySet[Operation]:
    rows = Operation.objects.select_related("sandbox")
    return rows if actor.on_behalf_of is None else rows.filter(sandbox__owner_id=actor.on_behalf_of)


def operation(operation_id: UUID, *, actor: Actor) -> Operation:
    """One operation of a sandbox that the actor may see.

    Raises:
        Refused: OPERATION_NOT_FOUND.
    """
    row = Operation.objects.select_related("sandbox").filter(pk=operation_id).first()
    if row is None or not actor.may_see(row.sandbox.owner_id):
        raise Refused(Code.OPERATION_NOT_FOUND, f"No operation {operation_id}.")
    return row


def events(sandbox: Sandbox, *, for_staff: bool) -> QuerySet[SandboxEvent]:
    """The timeline. What Daytona and Convex were asked and said is for staff."""
    rows = SandboxEvent.objects.filter(sandbox=sandbox)
    return rows if for_staff else rows.exclude(kind__in=(SandboxEvent.Kind.CALL, SandboxEvent.Kind.CONVEX))
