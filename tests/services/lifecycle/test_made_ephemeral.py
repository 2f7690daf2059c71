"""Somebody sets auto-delete to 0 in Daytona's dashboard: a stop then destroys what our row still calls lasting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.codes import Refused
from sandboxes.core.facts import NewOperation
from sandboxes.core.parameters import Parameters
from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.services import lifecycle, sandbox_store
from sandboxes.services.decisions import create_operation
from sandboxes.services.victims import EVICTOR
from tests.support.driving import ask, do, pass_time, reload, run_due, settle, step_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxes.models import Sandbox
    from tests.support.emulator import Emulator

ALICE = Actor.owner("alice")
REFUSED = {"status": 422, "answer": {"statusCode": 422, "message": "not today"}}

EVICTION = NewOperation(action=Action.STOP, actor=EVICTOR, source=Source.EVICTION)


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
    assert (operation.status, operation.code, list(operation.calls.all())) == ("failed", code, [])
    row = reload(sandbox.pk)
    assert (row.status, row.intent, row.intent_met_at) == ("running", "running", sandbox.intent_met_at)
    assert [line["action"] for line in world.log()] == ["create"]


@pytest.mark.parametrize("action", [Action.STOP, Action.ARCHIVE])
@pytest.mark.parametrize("minutes", [1, 1440])
def test_it_is_not_doomed_by_what_nobody_forced(
    world: Emulator, running: Callable[..., Sandbox], action: Action, minutes: int
) -> None:
    sandbox = running()
    auto_delete(world, sandbox, minutes)
    operation = do(sandbox, action)  # the look just before the call shows it
    assert (operation.status, operation.code) == ("failed", "auto_delete_would_destroy")
    assert not operation.calls.exists()
    with pytest.raises(Refused) as error:
        ask(sandbox, action)  # and from now on the row does
    assert f"{minutes} min after it stops" in error.value.detail
    assert "-1 was asked for" in error.value.detail
    assert do(sandbox, action, parameters=Parameters(force=True)).status == "succeeded"


def test_what_is_far_off_or_on_its_way_to_never_is_no_matter(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running(auto_delete_minutes=1441)
    assert do(sandbox, Action.STOP).status == "succeeded"
    lifecycle.set_intervals(sandbox.pk, actor=ALICE, auto_delete=5)
    do(sandbox, Action.START)
    with pytest.raises(Refused):
        ask(sandbox, Action.STOP)  # Daytona need not have been told yet
    do(sandbox, Action.STOP, parameters=Parameters(force=True))
    assert do(sandbox, Action.ARCHIVE).status == "succeeded"  # that saves it


def test_one_that_was_made_so_can_be_made_lasting_again(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    auto_delete(world, sandbox, 0)
    do(sandbox, Action.SYNC)
    assert reload(sandbox.pk).ephemeral
    lifecycle.reapply(sandbox.pk, actor=ALICE)
    step_until(world, lambda: not (run_due() or reload(sandbox.pk).pending_changes), what="read back")
    assert do(sandbox, Action.STOP).status == "succeeded"
    assert reload(sandbox.pk).status == "stopped"


def test_it_is_destroyed_by_a_stop_that_was_forced(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    auto_delete(world, sandbox, 0)
    assert do(sandbox, Action.STOP, parameters=Parameters(force=True)).status == "succeeded"


@pytest.mark.parametrize("force", [False, True])
def test_a_stop_that_is_kept_destroys_only_what_its_person_let_it_destroy(
    world: Emulator, running: Callable[..., Sandbox], force: bool
) -> None:
    sandbox = running()
    number = world.faults.add("status", path="/stop$", **REFUSED)
    stop = ask(sandbox, Action.STOP, parameters=Parameters(force=force))
    lifecycle.attempt(stop.pk)  # and no look before it is made ephemeral
    stop.refresh_from_db()
    assert stop.status == "failed"
    world.faults.remove(number)
    auto_delete(world, sandbox, 0)
    for _ in range(4):
        pass_time(2)
        settle()
    stopped = [line["action"] for line in world.log()] == ["create", "stop"]
    assert stopped is force
    assert reload(sandbox.pk).intent == "stopped"
    kept = sandbox.operations.filter(action="stop", actor_id="intent")
    assert [one.parameters.get("force") for one in kept] == ([True] if force else [])


@pytest.mark.parametrize("minutes", [0, 60])
def test_a_victim_that_would_not_come_back_is_spared(
    world: Emulator, running: Callable[..., Sandbox], minutes: int
) -> None:
    sandbox = running()
    with sandbox_store.lock_sandbox(sandbox.pk) as row:
        stop = create_operation(row, EVICTION, now=clock.now())
    auto_delete(world, sandbox, minutes)
    settle(stop)
    assert (stop.status, stop.code) == ("failed", "ephemeral_would_be_destroyed")
    assert reload(sandbox.pk).status == "running"


def test_a_victim_that_its_person_wants_stopped_is_stopped(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    with sandbox_store.lock_sandbox(sandbox.pk) as row:
        create_operation(row, EVICTION, now=clock.now())
    auto_delete(world, sandbox, 60)
    stop = ask(sandbox, Action.STOP, parameters=Parameters(force=True))
    lifecycle.attempt(stop.pk)
    settle(stop)
    assert (stop.status, reload(sandbox.pk).status) == ("succeeded", "stopped")
