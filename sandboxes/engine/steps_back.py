"""A database whose clock is set back: times in rows are then ahead of it, and nothing would be due for as long."""

from __future__ import annotations

from datetime import timedelta

import structlog
from django.db.models import Q

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.models import ConvexProjection, Operation, Sandbox
from sandboxes.services import notices

log = structlog.get_logger(__name__)
# An operation was created, and a sandbox observed, in the past: what is further ahead than clocks differ says that
# the clock went back.
DIFFERENCE = timedelta(seconds=60)


def notice_steps_back() -> int:
    """Make everything due that waits by a clock that was ahead; returns how many rows."""
    now = clock.now()
    ahead = now + DIFFERENCE
    operations = Operation.objects.active().filter(Q(attempted_at__gt=ahead) | Q(created_at__gt=ahead))
    sandboxes = Sandbox.objects.filter(fetch_due_at__gt=now, observed_at__gt=ahead)
    projections = ConvexProjection.objects.filter(due_at__gt=now, behind_since__gt=ahead)
    found = operations.update(due_at=now, attempted_at=now, created_at=now)
    found += sandboxes.update(fetch_due_at=now, observed_at=now, lease_token="", lease_until=None)
    found += projections.update(due_at=now, behind_since=now, lease_token="", lease_until=None)
    if found:
        log.warning("clock_stepped_back", rows=found)
        notices.tell(NoticeCode.CLOCK_STEPPED_BACK, f"{found} rows had times more than a minute ahead of now.")
    return found
