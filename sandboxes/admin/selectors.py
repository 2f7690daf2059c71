"""What pages read, as querysets and small questions: nothing here writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db.models import Exists, Prefetch, Q, QuerySet
from django.http import QueryDict
from django.urls import reverse

from sandboxes import clock
from sandboxes.core.actions import MOVING
from sandboxes.core.vocabulary import Action, Status
from sandboxes.models import ConvexProjection, Operation, Sandbox
from sandboxes.models.scope import is_active
from sandboxes.services import projection
from sandboxes.services.projection import circuit_breaker

if TYPE_CHECKING:
    from datetime import datetime


def with_latest_operation(rows: QuerySet[Sandbox]) -> QuerySet[Sandbox]:
    """Each row's newest operation, but for looks that have ended, with one more query. It is the active one if any
    is: no operation can be created beside an active one."""
    telling = ~Q(action=Action.SYNC) | is_active()
    newest = Operation.objects.with_whether_called().filter(telling).order_by("-created_at")[:1]
    # Not select_related: a join is made for the rows before a page too.
    rows = rows.with_doubt().with_stuck(clock.here()).annotate(has_convex=Exists(circuit_breaker.in_use()))  # type: ignore[attr-defined]
    return rows.prefetch_related(
        "owner", "projection", Prefetch("operations", queryset=newest, to_attr="newest_operations")
    )


def latest_of(sandbox: Sandbox) -> Operation | None:
    """The newest operation of a row that came through `with_latest_operation`."""
    newest: list[Operation] = getattr(sandbox, "newest_operations", [])
    return newest[0] if newest else None


def active_of(sandbox: Sandbox) -> Operation | None:
    latest = latest_of(sandbox)
    return latest if latest is not None and latest.is_active else None


def is_moving(sandbox: Sandbox, active: Operation | None) -> bool:
    """Whether what is shown will soon be different: an operation is active, or Daytona is still at it."""
    return active is not None or sandbox.status in MOVING


def in_progress() -> Q:
    return Q(pk__in=Operation.objects.active().values("sandbox_id"))


def behind_convex() -> Q:
    return Q(pk__in=ConvexProjection.objects.behind().values("pk") if projection.is_used() else [])


def regions() -> list[str]:
    """Regions worth offering: those with something running, and the configured one."""
    running = Sandbox.objects.filter(status=Status.RUNNING).order_by().values_list("target", flat=True).distinct()
    return sorted({*running, settings.DAYTONA_TARGET} - {""})


def tiers() -> list[tuple[str, str]]:
    """Tiers with their sizes, for people."""
    return [
        (name, f"{name} ({tier['cpu']} vCPU, {tier['memory_gb']} GiB, {tier['disk_gb']} GiB disk)")
        for name, tier in settings.TIERS.items()
    ]


def list_address(query: str = "") -> str:
    """The list of sandboxes, filtered and searched as the query string says."""
    address = reverse("admin:sandboxes_sandbox_changelist")
    asked = QueryDict(query).urlencode()
    return f"{address}?{asked}" if asked else address


def behind_since(sandbox: Sandbox) -> datetime | None:
    """Since when Convex is behind; None when it is not. For a row that came through `with_latest_operation`."""
    has_convex = settings.CONVEX_URL or getattr(sandbox, "has_convex", False)
    return sandbox.projection.behind_since if has_convex else None
