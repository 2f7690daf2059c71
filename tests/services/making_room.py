"""Sandboxes that fill the quota, and how long ago they were used."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sandboxes import clock
from sandboxes.core.vocabulary import Action
from sandboxes.models import Operation, Sandbox
from tests.support.driving import ask, do, settle_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import Emulator

ROOM = {"memory": 500, "disk": 2000, "gpu": 0}


def full(world: Emulator, cpus: int) -> None:
    world.settings(quota={"cpu": cpus, **ROOM})


def used(sandbox: Sandbox, *, seconds_ago: float) -> None:
    """Last used that long ago by both clocks."""
    then = clock.now() - timedelta(seconds=seconds_ago)
    Sandbox.objects.filter(pk=sandbox.pk).update(last_accessed_at=then, last_activity_at=then)


def idle(world: Emulator, *sandboxes: Sandbox) -> None:
    """All of them idle, the first one the longest: Daytona's clock of use lies an hour back by our clock."""
    clock.move(3600)
    for place, sandbox in enumerate(sandboxes):
        used(sandbox, seconds_ago=3600 - place * 60)


def start(world: Emulator, sandbox: Sandbox) -> Operation:
    operation = ask(sandbox, Action.START)
    settle_in(world, operation)
    return operation


def stopped(running: Callable[..., Sandbox], **new: Any) -> Sandbox:
    sandbox = running(**new)
    do(sandbox, Action.STOP)
    return sandbox
