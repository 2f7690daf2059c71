"""Notices: one open row per condition that staff must know, with first and last time, count and cure."""

from __future__ import annotations

from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F

from project.readable import cut
from sandboxes import clock
from sandboxes.core.codes import CURES, NoticeCode
from sandboxes.core.facts import Result
from sandboxes.core.results import MEANINGS
from sandboxes.models import Notice


def tell(code: NoticeCode, message: str) -> None:
    """Open the notice of this condition, or count it up with the latest words."""
    now = clock.now()
    words = cut(message, 2000)
    if _count_up(code, words, now):
        return
    try:
        with transaction.atomic():
            Notice.objects.create(code=code, message=words, cure=CURES[code], first_seen_at=now, last_seen_at=now)
    except IntegrityError:  # another process opened it a moment ago
        _count_up(code, words, now)


def tell_of(result: Result) -> None:
    """Open the notice of an answer that concerns all sandboxes, such as a refused key."""
    code = MEANINGS[result.kind].notice
    if code is not None:
        tell(code, result.message)


def close(*codes: NoticeCode, not_seen_since: datetime | None = None) -> None:
    """These conditions are over; or only where nothing has told of them since then."""
    open_ = Notice.objects.filter(code__in=codes, closed_at=None)
    if not_seen_since is not None:
        open_ = open_.filter(last_seen_at__lt=not_seen_since)
    open_.update(closed_at=clock.now())


def _count_up(code: NoticeCode, words: str, now: datetime) -> bool:
    open_ = Notice.objects.filter(code=code, closed_at=None)
    return open_.update(message=words, last_seen_at=now, count=F("count") + 1) == 1
