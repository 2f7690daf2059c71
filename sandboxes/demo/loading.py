"""Making the demo: the services are asked as people ask them, and a worker in this process does the work."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sandboxes.core.vocabulary import Actor, Source
from sandboxes.demo import history, scenes, taken_over
from sandboxes.demo.plan import Planned, planned
from sandboxes.engine.worker import beside
from sandboxes.models import ConvexProjection, Job, Operation, Sandbox
from sandboxes.services import lifecycle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    Step = Callable[[httpx.Client], None]

GIVE_UP_AFTER = 90.0  # seconds for one step: what an interrupted load holds is free after a minute


def load(control: httpx.Client, steps: Sequence[Step] | None = None) -> int:
    """Make what is missing of the demo, also of one that was interrupted; returns how many sandboxes were made.

    Each step looks first at what is there, and begins when everything before it has come to its end.
    """
    before = Sandbox.objects.count()
    with beside():
        for step in STEPS if steps is None else steps:
            step(control)
            _settle()
    return Sandbox.objects.count() - before


def _create(_: httpx.Client) -> None:
    """What is not taken over is made as people make it."""
    for one in planned():
        if not one.ending.found and _row(one) is None:
            _create_one(one)


def _create_one(one: Planned) -> None:
    new = lifecycle.NewRequest(
        name=one.name,
        tier=one.tier,
        language=one.language,
        target=one.region,
        # The demo is to stay as it is: Daytona's own timers would stop everything within a quarter of an hour.
        auto_stop_minutes=0,
    )
    lifecycle.create(one.owner, actor=Actor.owner(one.owner), source=Source.API, new=new)


def _ask(_: httpx.Client) -> None:
    """What people ask for then, once."""
    for one in planned():
        row, action = _row(one), one.ending.action
        if row is not None and action is not None and not row.operations.filter(action=action).exists():
            lifecycle.request(row.pk, action, actor=Actor.owner(one.owner), source=Source.API)


def _row(one: Planned) -> Sandbox | None:
    found: Sandbox | None = Sandbox.objects.filter(owner=one.owner, name=one.name).first()
    return found


STEPS: tuple[Step, ...] = (taken_over.find, taken_over.take_over, _create, _ask, *scenes.SCENES, history.write)


def _settle() -> None:
    """Wait until every job and operation has ended and Convex has been told."""
    deadline = time.monotonic() + GIVE_UP_AFTER
    while unfinished := _unfinished():
        if time.monotonic() > deadline:
            raise TimeoutError(f"After {GIVE_UP_AFTER:g} s this is still to be done, run it again: {unfinished}")
        time.sleep(0.1)


def _unfinished() -> list[str]:
    behind = ConvexProjection.objects.behind().filter(sandbox__deleted_at=None).select_related("sandbox")
    return [
        *(
            f"{one.action} of {one.sandbox}: {one.step}"
            for one in Operation.objects.active().select_related("sandbox")
        ),
        *(f"push of {one.sandbox}" for one in behind),
        *(str(job) for job in Job.objects.filter(finished_at=None)),
    ]
