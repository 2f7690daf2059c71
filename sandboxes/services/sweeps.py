"""Whether there are sweeps at all: asked by workers, by the doctor and by metrics, which make none."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings

from sandboxes.core.codes import NoticeCode
from sandboxes.models import Sweep
from sandboxes.services import leases, notices

if TYPE_CHECKING:
    from django.db.models import QuerySet

LEASE = "sweep"


def stale_after() -> timedelta:
    return timedelta(seconds=settings.SWEEP_STALE_SECONDS)


def is_running() -> bool:
    return leases.holder_of(LEASE) is not None


def last_complete() -> datetime | None:
    """When the last sweep ended that saw everything."""
    return _ends().first()


def last_pause() -> timedelta | None:
    """Between the ends of the last two that saw everything; None before there were two."""
    ends = [end for end in _ends()[:2] if end is not None]
    return ends[0] - ends[1] if len(ends) == 2 else None


def _ends() -> QuerySet[Sweep, datetime | None]:
    """When they ended, the last one first."""
    whole = Sweep.objects.filter(result=Sweep.Result.COMPLETE, dry_run=False, owner="", finished_at__isnull=False)
    return whole.order_by("-started_at").values_list("finished_at", flat=True)


def review(now: datetime) -> None:
    """Tell staff when there are no more sweeps; the next complete one closes the notice."""
    last = last_complete()
    if last is not None and now - last > stale_after():
        notices.tell(NoticeCode.SWEEP_STALE, f"The last complete sweep ended at {last:%Y-%m-%d %H:%M} UTC.")
