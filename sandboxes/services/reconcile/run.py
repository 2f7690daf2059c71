"""One sweep in progress: its lease, its stop, and work done side by side."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import connections, transaction

from sandboxes import clock
from sandboxes.services import leases, notices
from sandboxes.services.reconcile.result import Options, SweepReport
from sandboxes.services.sweeps import LEASE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from django.db.models import QuerySet

    from sandboxes.providers.daytona.gateway import DaytonaError
    from sandboxes.services.shown_ids import ShownIds

T = TypeVar("T")
R = TypeVar("R")

LEASE_SECONDS = 60.0
THREADS = 8
MOST_ROWS = 5000  # in one UPDATE


class Interrupted(Exception):
    """The sweep ends here: it was told to stop, or another one has taken its place."""


def update_free(rows: QuerySet[Any], **values: object) -> int:
    """Update those rows that nobody has locked, up to some thousands.

    It never waits for a lock while it holds others, so it cannot deadlock with the workers. What it leaves out
    is being written by somebody right now.
    """
    with transaction.atomic():
        free = list(rows.select_for_update(skip_locked=True).values_list("pk", flat=True)[:MOST_ROWS])
        written: int = rows.model._default_manager.filter(pk__in=free).update(**values)
        return written


@dataclass
class Run:
    """`progress` is called with the number of sandboxes that the list has shown so far. `would_adopt`: Daytona's
    ids of what a dry run of an import would have made rows of.
    """

    options: Options
    started: datetime
    held: leases.HeldLease
    stop: threading.Event
    progress: Callable[[int], None]
    report: SweepReport = field(default_factory=SweepReport)
    would_adopt: ShownIds | None = None
    reasons: list[str] = field(default_factory=list)
    refused: bool = False
    _kept: float = field(default_factory=clock.monotonic)

    def beat(self) -> None:
        """Keep the lease while something takes its time. Raises Interrupted."""
        if self.stop.is_set():
            raise Interrupted("stopped by a signal")
        if clock.monotonic() - self._kept > LEASE_SECONDS / 6:
            self.keep()

    def keep(self) -> None:
        """Go on only with the lease; called between pages. Raises Interrupted."""
        if self.stop.is_set():
            raise Interrupted("stopped by a signal")
        if not leases.renew(self.held, seconds=LEASE_SECONDS):
            taker = leases.holder_of(LEASE)
            raise Interrupted(f"another sweep took over: {taker.holder if taker else 'it has ended'}")
        self._kept = clock.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait without losing the lease or missing the signal. Raises Interrupted."""
        ends = clock.monotonic() + seconds
        while (left := ends - clock.monotonic()) > 0:
            self.beat()
            self.stop.wait(min(left, 1.0))
        self.beat()

    def tell_of(self, error: DaytonaError) -> None:
        """Tell staff of what concerns all sandboxes, such as a refused key."""
        if not self.options.dry_run:
            notices.tell_of(error.as_result())

    def partial(self, reason: str) -> None:
        """Something of the sweep could not be done, and the result says so."""
        if reason not in self.reasons:
            self.reasons.append(reason)

    def side_by_side(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """`work` of each item, in up to 8 threads, in no order. What one raises is raised here."""
        waiting = list(items)
        shared = iter(waiting)
        over = threading.Event()

        def member() -> list[R]:
            try:
                return [work(item) for item in shared if not over.is_set()]
            finally:
                connections.close_all()

        with ThreadPoolExecutor(max(1, min(THREADS, len(waiting)))) as pool:
            crew = [pool.submit(member) for _ in range(min(THREADS, len(waiting)))]
            try:
                while True:
                    done, working = wait(crew, timeout=0.2, return_when=FIRST_EXCEPTION)
                    if not working or any(one.exception() for one in done):
                        break
                    self.beat()
            finally:
                over.set()
        return [result for one in crew for result in one.result()]
