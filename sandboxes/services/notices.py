"""Notices: one open row per condition that staff must know, with first and last time, count and remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction
from django.db.models import F

from project.readable import cut
from sandboxes import clock
from sandboxes.core.codes import REMEDIES, NoticeCode
from sandboxes.core.results import MEANINGS
from sandboxes.models import Notice
from sandboxes.services import notice_outbox

if TYPE_CHECKING:
    from datetime import datetime

    from sandboxes.core.facts import CallResult


def tell(code: NoticeCode, message: str) -> None:
    """Open the notice of this condition, or count it up with the latest message."""
    now = clock.now()
    message = cut(message, 2000)
    if _count_up(code, message, now):
        return
    try:
        with transaction.atomic():
            made = Notice.objects.create(
                code=code, message=message, remedy=REMEDIES[code], first_seen_at=now, last_seen_at=now
            )
            notice_outbox.add([made], closed=False)
    except IntegrityError:  # another process opened it a moment ago
        _count_up(code, message, now)


def tell_of(result: CallResult) -> None:
    """Open the notice of an answer that concerns all sandboxes, such as a refused key."""
    code = MEANINGS[result.kind].notice
    if code is not None:
        tell(code, result.message)


def close(*codes: NoticeCode, not_seen_since: datetime | None = None) -> None:
    """These conditions are over; or only where nothing has told of them since then."""
    open_ = Notice.objects.filter(code__in=codes, closed_at=None)
    if not_seen_since is not None:
        open_ = open_.filter(last_seen_at__lt=not_seen_since)
    if not open_.exists():  # as nearly always: one statement, and no transaction
        return
    now = clock.now()
    with transaction.atomic(savepoint=False):
        if open_.update(closed_at=now):
            notice_outbox.add(list(Notice.objects.filter(code__in=codes, closed_at=now)), closed=True)


def _count_up(code: NoticeCode, message: str, now: datetime) -> bool:
    open_ = Notice.objects.filter(code=code, closed_at=None)
    return open_.update(message=message, last_seen_at=now, count=F("count") + 1) == 1
