"""Processes show that they live: one row each, with what they counted."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from project.version import VERSION
from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.models import Sandbox, WorkerHeartbeat
from sandboxes.providers import counters
from sandboxes.services import feed, notices, sweeps, webhooks
from sandboxes.services.loops import repeat

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django.db.models import Expression, QuerySet

log = structlog.get_logger(__name__)

Role = WorkerHeartbeat.Role
FORGET_AFTER = timedelta(days=1)
NO_LANES: Mapping[str, list[int]] = {}


class Heartbeat:
    """The row of this process. `beat` writes it, `stop` says that the process ended in good order."""

    def __init__(self, role: Role = Role.WORKER, *, places: int = 0) -> None:
        self.role = role
        self.host = socket.gethostname()
        self.worker_id = f"{self.host[:40]}-{os.getpid()}-{uuid4().hex[:12]}"
        self.places = places
        self.started_at: datetime | None = None

    def beat(self, lanes: Mapping[str, list[int]] = NO_LANES) -> None:
        """Write the row, with the calls counted so far, and of each lane the places taken and those there are."""
        told = {"beat_at": clock.present(), "freed_at": None, "counters": counted(), "lanes": dict(lanes)}
        if self.started_at is not None and WorkerHeartbeat.objects.filter(pk=self.worker_id).update(**told):
            return
        if self.started_at is None:
            self.started_at = clock.now()
            log.info("process_started", role=self.role.value, process=self.worker_id, version=VERSION)
        is_me = {"role": self.role, "host": self.host, "pid": os.getpid(), "places": self.places}
        WorkerHeartbeat.objects.update_or_create(
            worker_id=self.worker_id, defaults={**told, **is_me, "started_at": self.started_at}
        )

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
    webhooks.review()
    feed.number_events()  # so that a first reader finds little left to do


def counted() -> dict[str, list[Any]]:
    """The calls of this process as JSON: `{"daytona start busy": [calls, seconds, [calls by their length]]}`."""
    return {
        " ".join(key): [tally.calls, round(tally.seconds, 6), list(tally.buckets)]
        for key, tally in counters.snapshot().items()
    }


@contextmanager
def beating(role: Role, *, stop: threading.Event) -> Iterator[None]:
    """Give signs of life from a thread, until the block ends."""
    heart = Heartbeat(role)
    beat = partial(repeat, "heartbeat", heart.beat, every=settings.HEARTBEAT_SECONDS, stop=stop)
    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        with suppress(DatabaseError, InterfaceError):  # it then counts as fallen silent
            heart.stop()


def alive(role: Role = Role.WORKER) -> QuerySet[WorkerHeartbeat]:
    """The processes of this role that gave a sign of life within WORKER_SILENT_SECONDS."""
    return WorkerHeartbeat.objects.filter(role=role, stopped_at=None, beat_at__gte=_last_moment())


def silent() -> QuerySet[WorkerHeartbeat]:
    """The processes that fell silent without having stopped in good order."""
    return WorkerHeartbeat.objects.filter(stopped_at=None, beat_at__lt=_last_moment())


def _last_moment() -> Expression:
    return clock.present(plus=-timedelta(seconds=settings.WORKER_SILENT_SECONDS))


def review() -> None:
    """Tell staff when operations are waiting and no worker lives; for whoever runs without being a worker."""
    if not alive().exists():
        notices.tell(NoticeCode.WORKER_SILENT, "No worker has given a sign of life.")
