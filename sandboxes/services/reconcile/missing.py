"""Rows that a complete list lacks: looked at one by one and believed gone slowly, unless there are too many."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from sandboxes.core.codes import NoticeCode
from sandboxes.models import Sandbox
from sandboxes.services import notices
from sandboxes.services.reconcile.examine import examine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from sandboxes.models.scope import SandboxRows
    from sandboxes.providers.protocols import SandboxProvider
    from sandboxes.services.reconcile.run import Run
    from sandboxes.services.shown_ids import ShownIds

CHUNK = 500
FEW = 10


def look(run: Run, daytona: SandboxProvider, shown: ShownIds) -> None:
    """GET each row that the list lacks, or refuse to when it lacks too many to be believed."""
    total = expected(run).count()
    lacking = sum(len(ids) for ids in _lacking(run, shown))
    run.report.count("lacking", lacking)
    if lacking > max(FEW, total * settings.RECONCILE_MAX_CHANGE / 100) and not run.options.force:
        _refuse(run, lacking, total)
        return
    if not run.options.dry_run:
        notices.close(NoticeCode.SWEEP_REFUSED)
    if lacking:
        for ids in _lacking(run, shown):
            run.keep()
            examine(run, daytona, ids)


def expected(run: Run) -> SandboxRows:
    """The rows that the list should show. One made during the sweep may be too new for it."""
    rows = Sandbox.objects.filter(daytona_id__isnull=False, deleted_at=None, created_at__lt=run.started)
    return rows.filter(owner_id=run.options.owner) if run.options.owner else rows


def _lacking(run: Run, shown: ShownIds) -> Iterator[list[UUID]]:
    """Chunk by chunk, by key: a row that changes meanwhile moves no other."""
    rows = expected(run).idle().order_by("pk")
    last: UUID | None = None
    while True:
        after = rows if last is None else rows.filter(pk__gt=last)
        chunk = list(after.values_list("pk", "daytona_id")[:CHUNK])
        if not chunk:
            return
        last = chunk[-1][0]
        lacks = shown.lacks([str(key) for _, key in chunk])
        if found := [pk for pk, key in chunk if key in lacks]:
            yield found


def _refuse(run: Run, lacking: int, total: int) -> None:
    message = f"Daytona's list lacks {lacking} of {total} sandboxes; none of them was looked at or marked."
    run.refused = True
    run.partial(message)
    if not run.options.dry_run:
        notices.tell(NoticeCode.SWEEP_REFUSED, message)
