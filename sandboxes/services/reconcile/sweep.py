"""The sweep: local steps, Daytona's list beside our rows, and what follows from the difference."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import structlog

from sandboxes import clock
from sandboxes.models import Lease, Sweep
from sandboxes.providers.convex import gateway as convex
from sandboxes.providers.daytona.gateway import DaytonaError, gateway
from sandboxes.services import leases
from sandboxes.services.reconcile import after_list, compare, missing, restored, slipped
from sandboxes.services.reconcile.examine import examine
from sandboxes.services.reconcile.listings import Listings
from sandboxes.services.reconcile.pages import message_of, walk
from sandboxes.services.reconcile.result import Options, SweepFinding, SweepReport, SweepResult
from sandboxes.services.reconcile.run import LEASE_SECONDS, Interrupted, Run
from sandboxes.services.shown_ids import ShownIds
from sandboxes.services.sweeps import LEASE

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sandboxes.providers.protocols import SandboxProvider

LOOKS_AT_ONCE = 100
log = structlog.get_logger(__name__)


class SweepUnderWay(Exception):
    """Another sweep is under way; `lease` says whose."""

    def __init__(self, lease: Lease | None) -> None:
        self.lease = lease
        super().__init__(f"a sweep is under way: {lease.holder if lease else 'it has just ended'}")


def sweep(
    options: Options = Options(),  # noqa: B008 - frozen
    *,
    stop: threading.Event | None = None,
    progress: Callable[[int], None] = lambda shown: None,
    on_finding: Callable[[SweepFinding], None] = lambda finding: None,
) -> SweepResult:
    """One full pass. `stop` ends it between two pages; `progress` gets how many sandboxes the list has shown,
    `on_finding` each finding as it is made.

    Raises:
        SweepUnderWay: one sweep at a time, over any number of machines.
    """
    started, since = clock.now(), time.monotonic()
    held = _take_lease()
    run = Run(options, started, held, stop or threading.Event(), progress, SweepReport(on_finding=on_finding))
    line = _begin(run)
    try:
        _carry_out(run)
    except Interrupted as why:
        run.partial(str(why))
    except BaseException as error:
        run.partial(f"it broke: {type(error).__name__}")
        raise
    finally:
        result = _result(run, time.monotonic() - since)
        _end(line, result)
        leases.release(held)
    return result


def _take_lease() -> leases.HeldLease:
    held = leases.take(LEASE, holder=f"{socket.gethostname()}, process {os.getpid()}", seconds=LEASE_SECONDS)
    if held is None:
        raise SweepUnderWay(leases.holder_of(LEASE))
    return held


def _begin(run: Run) -> Sweep:
    # A sweep that was killed left its line open; it held the lease that is ours now.
    Sweep.objects.filter(result=Sweep.Result.RUNNING).update(
        result=Sweep.Result.PARTIAL, finished_at=run.started, detail="its process ended without a word"
    )
    return Sweep.objects.create(
        host=socket.gethostname(), started_at=run.started, dry_run=run.options.dry_run, owner=run.options.owner
    )


def _carry_out(run: Run) -> None:
    if run.options.dry_run:
        run.would_adopt = ShownIds()
    if run.options.restored:
        restored.steps(run)
    slipped.steps(run)
    try:
        daytona = gateway()
    except DaytonaError as error:
        run.tell_of(error)
        run.partial(message_of(error))
    else:
        _compare(run, daytona)
        if run.options.restored:
            restored.take_names(run)
    after_list.steps(run)
    if not run.options.dry_run:
        slipped.make_due(run)  # what a look just found to be on its way


def _compare(run: Run, daytona: SandboxProvider) -> None:
    with ShownIds() as shown, closing(Listings(run, convex.gateway())) as listings:
        waiting: list[UUID] = []
        for page in walk(run, daytona, shown):
            waiting += compare.compare(run, daytona, listings, page)
            if len(waiting) >= LOOKS_AT_ONCE:
                examine(run, daytona, waiting)
                waiting = []
            run.progress(run.report.counts["listed"])
        examine(run, daytona, waiting)
        if not run.reasons:
            missing.look(run, daytona, shown)


def _result(run: Run, seconds: float) -> SweepResult:
    result = Sweep.Result.COMPLETE
    if run.refused:
        result = Sweep.Result.REFUSED
    elif run.reasons:
        result = Sweep.Result.PARTIAL
    return SweepResult(run.options, result, run.report, "; ".join(run.reasons), seconds)


def _end(line: Sweep, result: SweepResult) -> None:
    line.result = result.result
    line.finished_at = clock.now()
    line.counts = dict(result.report.counts)
    line.detail = result.detail
    line.save()
    log.debug("sweep_ended", result=result.result, detail=result.detail, seconds=round(result.seconds, 3))
