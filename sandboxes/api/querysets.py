"""The rows that views show, with all that their representation needs, in a fixed number of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Prefetch, QuerySet

from sandboxes.core.vocabulary import EventKind
from sandboxes.models import Operation, Sandbox, SandboxEvent
from sandboxes.models.sandbox import LAST_ACCESSED

if TYPE_CHECKING:
    from uuid import UUID

    from sandboxes.core.vocabulary import Actor


def _with_active(rows: QuerySet[Sandbox]) -> QuerySet[Sandbox]:
    active = Prefetch("operations", Operation.objects.active().with_whether_called(), to_attr="active")
    return rows.select_related("owner").prefetch_related(active)


def sandboxes(actor: Actor, *, for_staff: bool) -> QuerySet[Sandbox]:
    """Those that the actor may see. What Convex refused is for staff."""
    rows = _with_active(Sandbox.objects.visible_to(actor).with_doubt()).annotate(used_at=LAST_ACCESSED)
    return rows.select_related("projection") if for_staff else rows


def shown(row: Sandbox) -> Sandbox:
    """A row from a service, as a representation needs it."""
    if not hasattr(row, "active"):
        row.active = list(Operation.objects.active().filter(sandbox_id=row.pk))  # type: ignore[attr-defined]
    return row


def active(sandbox_id: UUID) -> Operation | None:
    return Operation.objects.active().filter(sandbox_id=sandbox_id).first()


def operations(actor: Actor) -> QuerySet[Operation]:
    return Operation.objects.visible_to(actor).select_related("sandbox")


def events(sandbox: Sandbox, *, for_staff: bool) -> QuerySet[SandboxEvent]:
    """The timeline. What Daytona and Convex were asked and said is for staff."""
    return SandboxEvent.objects.filter(sandbox=sandbox, kind__in=kinds(for_staff=for_staff))


def kinds(*, for_staff: bool) -> list[str]:
    """The kinds of events that a caller may read."""
    return EventKind.values if for_staff else EventKind.for_programs()
