"""Why a sandbox changed, as far as that can be known; and what of it counts as use."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Action
from sandboxes.providers import blocking
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import lifecycle
from tests.api.callers import program
from tests.services.making_room import full, idle, start, stopped
from tests.support.driving import ask, do, reload, settle_in
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxes.models import Sandbox
    from tests.support.emulator import Emulator


def pass_together(world: Emulator, seconds: float) -> None:
    world.advance(seconds)
    clock.move(seconds)


def looked_at(sandbox: Sandbox) -> Sandbox:
    do(sandbox, Action.SYNC)
    return reload(sandbox.pk)


def stop_outside(world: Emulator, sandbox: Sandbox) -> None:
    blocking.run(daytona.gateway().change("stop", str(sandbox.daytona_id)))
    wait_until(lambda: (world.sandbox(str(sandbox.daytona_id)) or {})["state"] == "stopped", what="stop")


def told(sandbox: Sandbox) -> list[tuple[str, str]]:
    """What clients are told of what was seen, oldest first."""
    events = program("alice").get(f"/events?sandbox={sandbox.pk}&type=observation&limit=100").json()["results"]
    return [(event["cause"], event["message"]) for event in events]


# Causes


def test_daytonas_own_stop_for_want_of_use(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running(auto_stop_minutes=15)
    pass_together(world, 10 * 60)
    blocking.run(daytona.gateway().keep_alive(str(sandbox.daytona_id)))
    pass_together(world, 10)
    looked_at(sandbox)
    pass_together(world, 15 * 60 + 20)
    assert looked_at(sandbox).status == "stopped"
    assert told(sandbox)[-1] == ("auto_stop", "Daytona says stopped, by its auto-stop")


@pytest.mark.parametrize("minutes", [0, 15])
@pytest.mark.parametrize("after", [60, 20 * 60])
def test_a_stop_by_somebody_in_daytona(
    world: Emulator, running: Callable[..., Sandbox], minutes: int, after: int
) -> None:
    """Before it was due; or late, after a use that only Daytona saw."""
    sandbox = running(auto_stop_minutes=minutes)
    for _ in range(after // 60):
        blocking.run(daytona.gateway().keep_alive(str(sandbox.daytona_id)))
        pass_together(world, 60)
    stop_outside(world, sandbox)
    assert looked_at(sandbox).status == "stopped"
    assert told(sandbox)[-1] == ("outside", "Daytona says stopped, not asked for here")


def test_a_stop_of_ours(running: Callable[..., Sandbox]) -> None:
    sandbox = stopped(running)
    assert told(sandbox)[-1] == ("operation", "Daytona says stopped")


def test_a_stop_to_make_room(world: Emulator, running: Callable[..., Sandbox], no_attempt_waits: None) -> None:
    wanted, victim = stopped(running), running()
    idle(world, victim)
    full(world, 1)
    assert start(world, wanted).status == "succeeded"
    assert told(victim)[-1] == ("eviction", "Daytona says stopped, to make room")


def test_what_a_new_operation_finds_is_not_its_own(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    stop_outside(world, sandbox)
    do(sandbox, Action.ARCHIVE)
    assert ("outside", "Daytona says stopped, not asked for here") in told(sandbox)
    assert told(sandbox)[-1] == ("operation", "Daytona says archived")


def test_a_call_that_its_successor_sees_the_end_of_is_ours(
    world: Emulator, running: Callable[..., Sandbox], no_attempt_waits: None
) -> None:
    sandbox = stopped(running)
    world.settings(transition=2, hold=0)
    lifecycle.attempt(ask(sandbox, Action.START).pk)
    settle_in(world, ask(sandbox, Action.STOP))
    assert {cause for cause, _ in told(sandbox)} == {"operation"}


# Use


def used(sandbox: Sandbox) -> datetime:
    return reload(sandbox.pk).last_used_at


@pytest.mark.parametrize("stop", ["ours", "auto-stop", "outside"])
def test_a_stop_is_no_use(world: Emulator, running: Callable[..., Sandbox], stop: str) -> None:
    sandbox = running(auto_stop_minutes=15)
    looked_at(sandbox)
    before = used(sandbox)
    pass_together(world, 5 * 60)
    if stop == "ours":
        do(sandbox, Action.STOP)
    elif stop == "outside":
        stop_outside(world, sandbox)
    else:
        pass_together(world, 11 * 60)
    assert looked_at(sandbox).status == "stopped"
    assert used(sandbox) == before
    do(sandbox, Action.ARCHIVE)
    looked_at(sandbox)
    assert used(sandbox) == before


def test_a_keep_alive_is_use(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    looked_at(sandbox)
    before = used(sandbox)
    pass_together(world, 300)
    blocking.run(daytona.gateway().keep_alive(str(sandbox.daytona_id)))
    pass_together(world, 11)
    looked_at(sandbox)
    assert used(sandbox) - before >= timedelta(seconds=290)


def test_a_clock_ahead_of_ours_shows_no_use_to_come(world: Emulator, running: Callable[..., Sandbox]) -> None:
    world.settings(clock_skew=300)
    sandbox = running()
    row = looked_at(sandbox)
    assert row.last_activity_at is not None
    assert row.observed_at is not None
    assert row.last_activity_at <= row.observed_at
    assert row.last_used_at <= clock.now()
