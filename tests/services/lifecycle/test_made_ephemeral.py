"""Somebody sets auto-delete to 0 in Daytona's dashboard: a stop then destroys what our row still calls lasting."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandboxes import clock
from sandboxes.models import Sandbox
from sandboxes.services import lifecycle, record
from sandboxes.services.capacity import EVICTOR
from sandboxes.services.lifecycle.begin import begin
from sandboxes.states import Action, Source
from tests.support.driving import ask, do, pass_time, reload, settle
from tests.support.emulator import Emulator

REFUSED = {"status": 422, "answer": {"statusCode": 422, "message": "not today"}}


def auto_delete(world: Emulator, sandbox: Sandbox, minutes: int) -> None:
    world.change(str(sandbox.daytona_id), autoDeleteInterval=minutes)


@pytest.mark.parametrize(
    ("action", "code"),
    [(Action.STOP, "ephemeral_would_be_destroyed"), (Action.ARCHIVE, "ephemeral_cannot_archive")],
)
def test_it_is_not_destroyed_by_what_nobody_forced(
    world: Emulator, running: Callable[..., Sandbox], action: Action, code: str
) -> None:
    sandbox = running()
    auto_delete(world, sandbox, 0)
    operation = do(sandbox, action)
    assert (operation.status, operation.code, operation.calls) == ("failed", code, [])
    row = reload(sandbox.pk)
    assert (row.status, row.intent, row.intent_met_at) == ("running", "running", sandbox.intent_met_at)
    assert [line["action"] for line in world.log()] == ["create"]


def test_it_is_destroyed_by_a_stop_that_was_forced(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    auto_delete(world, sandbox, 0)
    assert do(sandbox, Action.STOP, force=True).status == "succeeded"


@pytest.mark.parametrize("force", [False, True])
def test_a_stop_that_is_kept_destroys_only_what_its_person_let_it_destroy(
    world: Emulator, running: Callable[..., Sandbox], force: bool
) -> None:
    sandbox = running()
    number = world.faults.add("status", path="/stop$", **REFUSED)
    assert do(sandbox, Action.STOP, force=force).status == "failed"
    world.faults.remove(number)
    auto_delete(world, sandbox, 0)
    for _ in range(4):
        pass_time(2)
        settle()
    stopped = [line["action"] for line in world.log()] == ["create", "stop"]
    assert stopped is force
    assert reload(sandbox.pk).intent == "stopped"
    kept = sandbox.operations.filter(action="stop", actor_id="intent")
    assert [one.force for one in kept] == ([True] if force else [])


@pytest.mark.parametrize("minutes", [0, 60])
def test_a_victim_that_would_not_come_back_is_spared(
    world: Emulator, running: Callable[..., Sandbox], minutes: int
) -> None:
    sandbox = running()
    with record.locked(sandbox.pk) as row:
        stop = begin(row, Action.STOP, actor=EVICTOR, source=Source.EVICTION, now=clock.now())
    auto_delete(world, sandbox, minutes)
    settle(stop)
    assert (stop.status, stop.code) == ("failed", "ephemeral_would_be_destroyed")
    assert reload(sandbox.pk).status == "running"


def test_a_victim_that_its_person_wants_stopped_is_stopped(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    with record.locked(sandbox.pk) as row:
        begin(row, Action.STOP, actor=EVICTOR, source=Source.EVICTION, now=clock.now())
    auto_delete(world, sandbox, 60)
    stop = ask(sandbox, Action.STOP)
    lifecycle.advance(stop.pk)
    settle(stop)
    assert (stop.status, reload(sandbox.pk).status) == ("succeeded", "stopped")
