"""What is in use of each quota, and what was last refused for lack of room. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce

from sandboxes.core.codes import FOR_LACK_OF_ROOM
from sandboxes.core.states import COMPUTE_STATES
from sandboxes.models import Operation, Sandbox

if TYPE_CHECKING:
    from sandboxes.core.vocabulary import Actor


def in_use(owner: str | None = None) -> list[Any]:
    """Sandboxes, vCPU and memory that Daytona counts, per region and class; `own_…` of them are the owner's."""
    own = Q(owner_id=owner) if owner else Q(pk__in=[])
    rows = Sandbox.objects.filter(observed_state__in=COMPUTE_STATES, deleted_at=None)
    return list(
        rows.values("target", "sandbox_class")
        .annotate(
            sandboxes=Count("pk"),
            in_use_cpu=Sum("cpu"),
            in_use_memory_gb=Sum("memory_gb"),
            own_sandboxes=Count("pk", filter=own),
            own_cpu=Coalesce(Sum("cpu", filter=own), 0),
            own_memory_gb=Coalesce(Sum("memory_gb", filter=own), 0),
        )
        .order_by("target", "sandbox_class")
    )


def last_refusal(actor: Actor) -> Operation | None:
    """The latest operation, of those this actor may see, that found no room."""
    rows = Operation.objects.visible_to(actor).filter(code__in=FOR_LACK_OF_ROOM, finished_at__isnull=False)
    return rows.select_related("sandbox").order_by("-finished_at").first()
