"""Being the worker: running what is due in this process, until it has settled."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import connections

from sandboxes import clock
from sandboxes.core.vocabulary import ACTIVE, Action, Actor, Source
from sandboxes.models import ConvexProjection, Operation, Sandbox
from sandboxes.providers import blocking
from sandboxes.services import jobs, lifecycle, projection, touches
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from tests.support.emulator import Emulator

STEP = 0.25  # seconds


def run_due() -> bool:
    """Do what is due once: a step of each job, of each operation, a look at each sandbox, a push of each row."""
    busy = jobs.work()
    for pk in list(Operation.objects.filter(status__in=ACTIVE).values_list("pk", flat=True)):
        lifecycle.attempt(pk)
        busy = True
    now = clock.now()
    for pk in list(Sandbox.objects.filter(fetch_due_at__lte=now).values_list("pk", flat=True)):
        lifecycle.observe(pk)
        busy = True
    for pk in list(ConvexProjection.objects.due(now).values_list("pk", flat=True)):
        projection.push(pk)
    return busy


def settle(*operations: Operation, timeout: float = PATIENCE) -> None:
    """Drive until these operations (by default: all) have ended."""

    def ended() -> bool:
        run_due()
        rows = Operation.objects.filter(status__in=ACTIVE)
        if operations:
            rows = rows.filter(pk__in=[operation.pk for operation in operations])
        return not rows.exists()

    wait_until(ended, timeout=timeout, what="end of the operations")
    for operation in operations:
        operation.refresh_from_db()


def settle_in(world: Emulator, *operations: Operation) -> None:
    """Drive until these operations have ended; no time is waited for."""

    def ended() -> bool:
        run_due()
        for operation in operations:
            operation.refresh_from_db()
        return not any(operation.is_active for operation in operations)

    step_until(world, ended, what="end of the operations")


def step_until(world: Emulator, condition: Callable[[], bool], *, what: str, seconds: float = 600.0) -> None:
    """Ask until it is so, and let time pass in between: for Daytona and for us the same."""
    for _ in range(round(seconds / STEP)):
        if condition():
            return
        step(world)
    raise AssertionError(f"after {seconds:g} s still no {what}")


def step(world: Emulator) -> None:
    world.advance(STEP)
    clock.move(STEP)


def reload(sandbox_id: UUID) -> Sandbox:
    return Sandbox.objects.select_related("owner").get(pk=sandbox_id)


def ask(sandbox: Sandbox, action: Action, *, actor: Actor | None = None, **more: Any) -> Operation:
    """Request an action as the sandbox's owner."""
    return lifecycle.request(
        sandbox.pk, action, actor=actor or Actor.owner(sandbox.owner_id), source=Source.API, **more
    )


def do(sandbox: Sandbox, action: Action, **more: Any) -> Operation:
    """Request an action and drive until it has ended."""
    operation = ask(sandbox, action, **more)
    settle(operation)
    return operation


def settled_status(sandbox_id: UUID) -> str:
    """Its status once nothing is active and nothing is due."""
    wait_until(lambda: not run_due(), what="rest")
    return str(reload(sandbox_id).status)


def forward_touches() -> int:
    """Tell Daytona and Convex of the uses that are due; returns how many Daytona took."""
    told = blocking.run(touches.tell_daytona(touches.take(100)))
    touches.tell_convex(told)
    return len(told)


@contextmanager
def during(world: Emulator, work: Callable[[], object], *, method: str, path: str) -> Iterator[None]:
    """Do the block while a worker that does this waits for Daytona's answer to such a call, and see the work ended.

    Daytona answers when the block has ended.
    """
    world.stop_clock()
    held = world.faults.add("delay", method=method, path=path, times=1, seconds=1.0)

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        worker = pool.submit(run)
        wait_until(lambda: world.faults.hits(held) or worker.done(), what="the call")
        try:
            assert not worker.done(), "it made no such call"
            yield
        finally:
            world.advance(1.0)
    worker.result()


def pass_time(seconds: float) -> None:
    """Let the database's clock move on and do what has become due."""
    clock.move(seconds)
    run_due()
