"""Workers show that they live: one row each, with what they counted."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from django.conf import settings

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.models import Sandbox, WorkerHeartbeat
from sandboxes.providers import counters
from sandboxes.services import feed, notices, sweeps

if TYPE_CHECKING:
    from django.db.models import QuerySet

FORGET_AFTER = timedelta(days=1)


class Heartbeat:
    """The row of this process. `beat` writes it, `stop` says that the process ended in good order."""

    def __init__(self, *, places: int) -> None:
        self.host = socket.gethostname()
        self.worker_id = f"{self.host[:40]}-{os.getpid()}-{uuid4().hex[:12]}"
        self.places = places
        self.started_at: datetime | None = None

    def beat(self, lanes: dict[str, list[int]]) -> None:
        """Write the row, with the calls counted so far, and of each lane the places taken and those there are."""
        now = clock.now()
        told = {"beat_at": now, "freed_at": None, "counters": counted(), "lanes": lanes}
        if self.started_at is not None and WorkerHeartbeat.objects.filter(pk=self.worker_id).update(**told):
            return
        self.started_at = self.started_at or now
        WorkerHeartbeat.objects.update_or_create(
            worker_id=self.worker_id,
            defaults={
                "host": self.host, "pid": os.getpid(), "places": self.places, "started_at": self.started_at, **told,
            },
        )  # fmt: skip

    def stop(self) -> None:
        now = clock.now()
        rows = WorkerHeartbeat.objects.filter(worker_id=self.worker_id)
        rows.update(stopped_at=now, beat_at=now, counters=counted())


def tidy() -> None:
    """What one of the workers does now and then for all: forget those that ended a day ago, see to notices."""
    now = clock.now()
    WorkerHeartbeat.objects.filter(beat_at__lt=now - FORGET_AFTER).delete()
    notices.close(NoticeCode.WORKER_SILENT)
    if not Sandbox.objects.filter(failures__gt=0).exists():
        notices.close(NoticeCode.ROWS_FAILING)
    sweeps.review(now)
    feed.number_events()  # so that a first reader finds little left to do


def counted() -> dict[str, list[float]]:
    """The calls of this process as JSON: `{"daytona start busy": [calls, seconds]}`."""
    return {" ".join(key): [tally.calls, round(tally.seconds, 6)] for key, tally in counters.snapshot().items()}


def alive() -> QuerySet[WorkerHeartbeat]:
    """The workers that gave a sign of life within WORKER_SILENT_SECONDS."""
    since = clock.now() - timedelta(seconds=settings.WORKER_SILENT_SECONDS)
    return WorkerHeartbeat.objects.filter(stopped_at=None, beat_at__gte=since)


def silent() -> QuerySet[WorkerHeartbeat]:
    """The workers that fell silent without having stopped in good order."""
    since = clock.now() - timedelta(seconds=settings.WORKER_SILENT_SECONDS)
    return WorkerHeartbeat.objects.filter(stopped_at=None, beat_at__lt=since)


def review() -> None:
    """Tell staff when operations are waiting and no worker lives; for whoever runs without being a worker."""
    if not alive().exists():
        notices.tell(NoticeCode.WORKER_SILENT, "No worker has given a sign of life.")
