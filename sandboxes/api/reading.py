"""The rows that views show, with all that their representation needs, in a fixed number of queries."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Prefetch, QuerySet

from sandboxes.models import Operation, Sandbox, SandboxEvent
from sandboxes.models.sandbox import LAST_ACCESSED
from sandboxes.states import ACTIVE, Actor


def _with_active(rows: QuerySet[Sandbox]) -> QuerySet[Sandbox]:
    active = Prefetch("operations", Operation.objects.filter(status__in=ACTIVE), to_attr="active")
    return rows.select_related("owner").prefetch_related(active)


def sandboxes(actor: Actor) -> QuerySet[Sandbox]:
    return _with_active(Sandbox.objects.visible_to(actor)).annotate(used_at=LAST_ACCESSED)


def shown(row: Sandbox) -> Sandbox:
    """A row from a service, as a representation needs it."""
    if not hasattr(row, "active"):
        row.active = list(Operation.objects.filter(sandbox_id=row.pk, status__in=ACTIVE))  # type: ignore[attr-defined]
    return row


def active(sandbox_id: UUID) -> Operation | None:
    return Operation.objects.filter(sandbox_id=sandbox_id, status__in=ACTIVE).first()


def operations(actor: Actor) -> QuerySet[Operation]:
    return Operation.objects.visible_to(actor).select_related("sandbox")


def events(sandbox: Sandbox, *, for_staff: bool) -> QuerySet[SandboxEvent]:
    """The timeline. What Daytona and Convex were asked and said is for staff."""
    rows = SandboxEvent.objects.filter(sandbox=sandbox)
    return rows if for_staff else rows.exclude(kind__in=(SandboxEvent.Kind.CALL, SandboxEvent.Kind.CONVEX))
