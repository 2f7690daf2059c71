"""Calls that hang and run later: Daytona carries them out when its Redis returns (recording 15_outages)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from sandboxes.gateways import daytona
from sandboxes.models import Sandbox
from sandboxes.services import lifecycle
from sandboxes.states import Action
from tests.support.driving import ask, do, reload, settle
from tests.support.emulator import Emulator
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def impatient(world: Emulator, settings: Settings) -> Iterator[None]:
    settings.DAYTONA_READ_TIMEOUT = 0.3
    settings.UNSETTLED_SECONDS = 5.0
    daytona.reset()
    yield


def settles_as(sandbox: Sandbox, status: str, world: Emulator, last_call: str) -> None:
    def settled() -> bool:
        settle()
        row = reload(sandbox.pk)
        return row.status == status and row.intent_met_at is not None and world.log()[-1]["action"] == last_call

    wait_until(settled, timeout=30, what=f"{status} after {last_call}")


def test_a_stop_during_a_hung_start_ends_stopped(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    do(sandbox, Action.STOP)
    world.faults.add("hang", path="/start$", times=1, seconds=60, execute_after=2.0)
    start = ask(sandbox, Action.START)
    lifecycle.advance(start.pk)
    do(sandbox, Action.STOP)
    assert reload(sandbox.pk).intent_met_at is None  # the hung start may still run
    wait_until(lambda: world.log()[-1]["action"] == "start", timeout=10, what="late start")
    settles_as(sandbox, "stopped", world, "stop")


def test_a_delete_during_a_hung_start_ends_deleted(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    do(sandbox, Action.STOP)
    world.faults.add("hang", path="/start$", times=1, seconds=60, execute_after=2.0)
    start = ask(sandbox, Action.START)
    lifecycle.advance(start.pk)
    do(sandbox, Action.DELETE)
    settles_as(sandbox, "gone", world, "delete")
    assert world.state()["total"] == 0


def test_a_start_during_a_hung_stop_ends_running(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    world.faults.add("hang", path="/stop$", times=1, seconds=60, execute_after=2.0)
    stop = ask(sandbox, Action.STOP)
    lifecycle.advance(stop.pk)
    do(sandbox, Action.START)
    wait_until(lambda: world.log()[-1]["action"] == "stop", timeout=10, what="late stop")
    settles_as(sandbox, "running", world, "start")


def test_a_definite_answer_does_not_settle_an_earlier_call(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    do(sandbox, Action.STOP)
    world.faults.add("hang", path="/start$", times=1, seconds=60, execute_after=60)
    lifecycle.advance(ask(sandbox, Action.START).pk)
    unsettled = reload(sandbox.pk).unsettled_until
    world.change(str(sandbox.daytona_id), state="started", desiredState="started")
    stop = do(sandbox, Action.STOP)
    assert [call["outcome"] for call in stop.calls] == ["accepted"]
    assert reload(sandbox.pk).unsettled_until == unsettled


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
@pytest.mark.parametrize(("path", "action"), [("/stop$", Action.STOP), ("/sandbox/[^/]+$", Action.DELETE)])
def test_a_dropped_call_is_carried_out_once_or_again(
    world: Emulator, running: Callable[..., Sandbox], kind: str, path: str, action: Action
) -> None:
    sandbox = running()
    method = "DELETE" if action == Action.DELETE else "POST"
    world.faults.add(kind, method=method, path=path, times=1)
    operation = ask(sandbox, action)
    lifecycle.advance(operation.pk)
    settle(operation)
    assert operation.status == "succeeded"
    assert [line["action"] for line in world.log()] == ["create", action.value]
