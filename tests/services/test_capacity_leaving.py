"""Room that comes by itself: somebody is leaving already, so nobody is stopped for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Action, Actor
from sandboxes.services import lifecycle
from tests.services.making_room import full, idle, stopped
from tests.support.driving import ask, reload, settle_in, step_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxes.models import Operation, Sandbox
    from tests.support.emulator import Emulator

pytestmark = pytest.mark.usefixtures("no_attempt_waits")


def phase_of(operation: Operation) -> str:
    """Where its search for room stands, after one more attempt of it alone."""
    lifecycle.attempt(operation.pk)
    operation.refresh_from_db()
    return str((operation.search or {}).get("phase", ""))


@pytest.mark.parametrize("action", [Action.STOP, Action.ARCHIVE, Action.DELETE])
@pytest.mark.parametrize("owner", ["alice", "bob"])
def test_room_that_is_on_its_way_is_waited_for(
    world: Emulator, running: Callable[..., Sandbox], action: Action, owner: str
) -> None:
    wanted, third, leaves = stopped(running), running(name="third"), running(owner=owner, name="leaves")
    idle(world, third, leaves)
    full(world, 2)
    asked, operation = ask(leaves, action), ask(wanted, Action.START)
    step_until(world, lambda: phase_of(operation) not in ("", "retry"), what="choice")
    settle_in(world, operation, asked)
    assert (operation.status, asked.status) == ("succeeded", "succeeded")
    assert reload(third.pk).status == "running"


def test_room_that_comes_by_daytonas_own_hand_is_waited_for(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    wanted, third, leaves = stopped(running), running(name="third"), running(name="leaves")
    idle(world, third, leaves)
    full(world, 2)
    world.change(str(leaves.daytona_id), state="stopping", desiredState="stopped")
    lifecycle.observe(leaves.pk)
    operation = ask(wanted, Action.START)
    step_until(world, lambda: phase_of(operation) == "leaving", what="wait for the one that leaves")
    world.change(str(leaves.daytona_id), state="stopped")
    settle_in(world, operation)
    assert (operation.status, reload(third.pk).status) == ("succeeded", "running")


def test_what_hangs_on_its_way_out_is_not_waited_for_beyond_a_stops_time(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    wanted, third, hangs = stopped(running), running(name="third"), running(name="hangs")
    idle(world, third, hangs)
    full(world, 2)
    world.change(str(hangs.daytona_id), state="stopping", desiredState="stopped")
    lifecycle.observe(hangs.pk)
    operation = ask(wanted, Action.START)
    step_until(world, lambda: phase_of(operation) == "leaving", what="wait for the one that leaves")
    clock.move(60)
    settle_in(world, operation)
    assert (operation.status, reload(third.pk).status) == ("succeeded", "stopped")


def test_a_stop_that_is_taken_back_is_no_longer_waited_for(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    wanted, third, stays = stopped(running), running(name="third"), running(name="stays")
    idle(world, third, stays)
    full(world, 2)
    stop, operation = ask(stays, Action.STOP), ask(wanted, Action.START)
    step_until(world, lambda: phase_of(operation) == "leaving", what="wait for the one that leaves")
    lifecycle.cancel(stop.pk, actor=Actor.owner("alice"))
    settle_in(world, operation)
    assert operation.status == "succeeded"
    assert [reload(one.pk).status for one in (third, stays)] == ["stopped", "running"]
