"""Calls that hang and run later: Daytona carries them out when its Redis returns (recording 15_outages)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import lifecycle
from tests.support.driving import ask, do, pass_time, reload, run_due, settle, settle_in, step_until
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from pytest_django import Settings

    from sandboxes.models import Sandbox
    from tests.support.emulator import Emulator

ALICE = Actor.owner("alice")


@pytest.fixture(autouse=True)
def impatient(no_attempt_waits: None, settings: Settings) -> Iterator[None]:
    settings.DAYTONA_READ_TIMEOUT = settings.DAYTONA_HOLD_TIMEOUT = 0.3
    settings.IN_DOUBT_SECONDS = 5.0
    daytona.reset()
    yield


def in_doubt_until(sandbox: Sandbox) -> datetime | None:
    """Until when the latest call in doubt may be carried out."""
    call = sandbox.calls.in_doubt().order_by("-id").first()
    return call.in_doubt_until if call else None


def settles_as(sandbox: Sandbox, status: str, world: Emulator, last_call: str) -> None:
    def settled() -> bool:
        run_due()
        row = reload(sandbox.pk)
        return row.status == status and row.intent_met_at is not None and world.log()[-1]["action"] == last_call

    step_until(world, settled, what=f"{status} after {last_call}")


def test_a_stop_during_a_hung_start_ends_stopped(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    do(sandbox, Action.STOP)
    world.faults.add("hang", path="/start$", times=1, seconds=60, execute_after=2.0)
    start = ask(sandbox, Action.START)
    lifecycle.attempt(start.pk)
    settle_in(world, ask(sandbox, Action.STOP))
    assert reload(sandbox.pk).intent_met_at is None  # the hung start may still run
    step_until(world, lambda: world.log()[-1]["action"] == "start", what="late start")
    settles_as(sandbox, "stopped", world, "stop")


def test_a_stop_whose_superseded_start_runs_half_a_minute_later_ends_stopped(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.IN_DOUBT_SECONDS = 300.0
    sandbox = running()
    do(sandbox, Action.STOP)
    world.stop_clock()
    world.faults.add("hang", path="/start$", times=1, execute_after=30.0)
    lifecycle.attempt(ask(sandbox, Action.START).pk)
    stop = ask(sandbox, Action.STOP)

    def pass_seconds(number: int) -> None:
        for _ in range(number):
            world.advance(1.0)
            pass_time(1.0)

    pass_seconds(25)
    stop.refresh_from_db()
    assert (stop.status, reload(sandbox.pk).status) == ("succeeded", "stopped")
    assert world.log()[-1]["action"] == "stop"

    def is_started() -> bool:
        pass_seconds(1)
        return bool(world.log()[-1]["action"] == "start")

    wait_until(is_started, what="late start")
    assert reload(sandbox.pk).intent_met_at is None
    pass_seconds(30)
    clock.move(300)
    pass_seconds(30)
    row = reload(sandbox.pk)
    assert (row.status, row.intent_met_at is not None) == ("stopped", True)
    assert [line["action"] for line in world.log()] == ["create", "stop", "start", "stop"]


def test_what_was_seen_before_the_last_late_call_proves_nothing(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.IN_DOUBT_SECONDS = 300.0
    settings.INTENT_RETRY_SECONDS = 5.0
    settings.ATTEMPT_SECONDS = 0.0
    sandbox = running()
    do(sandbox, Action.STOP)
    world.stop_clock()
    world.faults.add("hang", path="/start$", times=1, execute_after=290.0)
    lifecycle.attempt(ask(sandbox, Action.START).pk)
    stop = ask(sandbox, Action.STOP)

    def pass_together(seconds: float) -> None:
        world.advance(seconds)
        pass_time(seconds)

    for _ in range(25):
        pass_together(10)
    stop.refresh_from_db()
    assert stop.status == "succeeded"
    world.advance(60)
    wait_until(lambda: world.log()[-1]["action"] == "start", what="late start")
    clock.move(60)
    sync = ask(sandbox, Action.SYNC)  # before the next look of our own
    assert reload(sandbox.pk).intent_met_at is None
    settle(sync)
    for _ in range(60):
        pass_together(10)
    row = reload(sandbox.pk)
    assert (row.status, row.intent_met_at is not None) == ("stopped", True)
    assert [line["action"] for line in world.log()] == ["create", "stop", "start", "stop"]


def test_the_look_that_settles_a_late_call_comes_as_soon_as_it_can(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.IN_DOUBT_SECONDS = 300.0
    settings.INTENT_RETRY_SECONDS = 5.0
    sandbox = running()
    do(sandbox, Action.STOP)
    world.faults.add("hang", path="/start$", times=1, execute_after=1000.0)
    lifecycle.attempt(ask(sandbox, Action.START).pk)
    do(sandbox, Action.STOP)
    doubt = in_doubt_until(sandbox)
    assert doubt is not None
    clock.move(250)
    lifecycle.observe(sandbox.pk)
    assert reload(sandbox.pk).fetch_due_at == doubt
    clock.move(51)
    lifecycle.observe(sandbox.pk)
    row = reload(sandbox.pk)
    assert (in_doubt_until(row), row.intent_met_at is not None, row.fetch_due_at) == (None, True, None)


def test_a_create_that_failed_unsettled_is_looked_for_once_more_and_then_no_longer(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.ATTEMPT_SECONDS = 0.0
    settings.IN_DOUBT_SECONDS = 300.0
    settings.INTENT_RETRY_SECONDS = 5.0
    world.stop_clock()
    world.faults.add("hang", method="POST", path="/sandbox$", times=1, execute_after=290.0)
    create = lifecycle.create("alice", actor=ALICE, source=Source.API, new=lifecycle.NewRequest())
    lifecycle.attempt(create.pk)
    ask(create.sandbox, Action.DELETE)
    pass_time(10)
    for _ in range(10):
        pass_time(30)  # each a look by name, which finds nothing: it would run late, did Daytona's clock not stand
        row = reload(create.sandbox_id)
        looks = world.counts()["daytona"].get("GET /sandbox/{id}", 0)
    assert (row.status, in_doubt_until(row), row.intent_met_at is not None) == ("gone", None, True)
    assert row.fetch_due_at is None
    clock.move(1000)
    pass_time(1)
    assert world.counts()["daytona"]["GET /sandbox/{id}"] == looks


def test_a_delete_during_a_hung_start_ends_deleted(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    do(sandbox, Action.STOP)
    world.faults.add("hang", path="/start$", times=1, seconds=60, execute_after=2.0)
    start = ask(sandbox, Action.START)
    lifecycle.attempt(start.pk)
    settle_in(world, ask(sandbox, Action.DELETE))
    settles_as(sandbox, "gone", world, "delete")
    assert world.state()["total"] == 0


def test_a_start_during_a_hung_stop_ends_running(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    world.faults.add("hang", path="/stop$", times=1, seconds=60, execute_after=2.0)
    stop = ask(sandbox, Action.STOP)
    lifecycle.attempt(stop.pk)
    settle_in(world, ask(sandbox, Action.START))
    step_until(world, lambda: world.log()[-1]["action"] == "stop", what="late stop")
    settles_as(sandbox, "running", world, "start")


def test_a_definite_answer_does_not_settle_an_earlier_call(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    do(sandbox, Action.STOP)
    world.faults.add("hang", path="/start$", times=1, seconds=60, execute_after=60)
    lifecycle.attempt(ask(sandbox, Action.START).pk)
    doubt = in_doubt_until(sandbox)
    archive = do(sandbox, Action.ARCHIVE)
    assert [call.outcome for call in archive.calls.all()] == ["accepted"]
    assert in_doubt_until(sandbox) == doubt


@pytest.mark.parametrize("kind", ["drop_before", "drop_after"])
@pytest.mark.parametrize(("path", "action"), [("/stop$", Action.STOP), ("/sandbox/[^/]+$", Action.DELETE)])
def test_a_dropped_call_is_carried_out_once_or_again(
    world: Emulator, running: Callable[..., Sandbox], kind: str, path: str, action: Action
) -> None:
    sandbox = running()
    method = "DELETE" if action == Action.DELETE else "POST"
    world.faults.add(kind, method=method, path=path, times=1)
    operation = ask(sandbox, action)
    lifecycle.attempt(operation.pk)
    settle(operation)
    assert operation.status == "succeeded"
    assert [line["action"] for line in world.log()] == ["create", action.value]
