"""An owner on hold: nothing of theirs starts, whatever was asked for before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.services import lifecycle, owners
from tests.support.driving import ask, do, pass_time, reload, settle, settle_in, settled_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from sandboxes.models import Sandbox
    from tests.support.emulator import Emulator

STAFF = Actor.staff("admin")
ALICE = Actor.owner("alice")


def hold() -> int:
    return owners.hold("alice", actor=STAFF, reason="unpaid")


def test_an_owner_on_hold_starts_nothing(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    assert owners.hold("alice", actor=STAFF, reason="unpaid") == 1
    settle()
    assert reload(sandbox.pk).status == "stopped"
    with pytest.raises(Refused) as error:
        ask(sandbox, Action.START)
    assert error.value.code == Code.OWNER_ON_HOLD
    with pytest.raises(Refused) as error:
        lifecycle.create("alice", actor=STAFF, source=Source.ADMIN, new=lifecycle.NewRequest())
    assert error.value.code == Code.OWNER_ON_HOLD
    owners.lift("alice", actor=STAFF)
    assert do(sandbox, Action.START).status == "succeeded"


def test_a_hold_stops_what_is_starting(
    world: Emulator, running: Callable[..., Sandbox], no_attempt_waits: None
) -> None:
    sandbox = running()
    settle_in(world, ask(sandbox, Action.STOP))
    world.stop_clock()
    world.settings(transition=5)
    start = ask(sandbox, Action.START)
    lifecycle.attempt(start.pk)
    assert reload(sandbox.pk).status == "starting"
    assert hold() == 1
    start.refresh_from_db()
    assert (start.status, start.code) == ("cancelled", "superseded")
    settle_in(world, sandbox.operations.get(status="queued"))
    assert reload(sandbox.pk).status == "stopped"


def test_a_hold_stops_what_is_still_being_created(world: Emulator, settings: Settings) -> None:
    settings.ATTEMPT_SECONDS = 0.0
    create = lifecycle.create("alice", actor=STAFF, source=Source.ADMIN, new=lifecycle.NewRequest())
    lifecycle.attempt(create.pk)
    hold()
    settle(create)
    assert create.status == "succeeded"
    clock.move(1)
    assert settled_status(create.sandbox_id) == "stopped"


def test_what_was_not_yet_asked_of_daytona_is_not_created(world: Emulator) -> None:
    create = lifecycle.create("alice", actor=STAFF, source=Source.ADMIN, new=lifecycle.NewRequest())
    hold()
    settle(create)
    assert (create.status, create.code) == ("failed", "owner_on_hold")
    assert reload(create.sandbox_id).status == "gone"
    assert world.log() == []


def test_a_start_that_waited_for_daytona_does_not_start_it(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    do(sandbox, Action.STOP)
    start = ask(sandbox, Action.START)
    hold()
    settle(start)
    assert (start.status, start.code) == ("failed", "owner_on_hold")
    row = reload(sandbox.pk)
    assert (row.status, row.intent) == ("stopped", "stopped")
    assert world.log()[-1]["action"] == "stop"


def test_a_recover_that_waited_for_daytona_does_not_recover_it(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="error", errorReason="full", recoverable=True)
    do(sandbox, Action.SYNC)
    recover = ask(sandbox, Action.RECOVER)
    hold()
    settle(recover)
    assert (recover.status, recover.code) == ("failed", "owner_on_hold")
    assert reload(sandbox.pk).status == "error"


@pytest.mark.parametrize("before", [None, Action.STOP, Action.DELETE])
def test_nobody_takes_back_what_lets_it_run_on_hold(
    world: Emulator, running: Callable[..., Sandbox], before: Action | None
) -> None:
    sandbox = running()
    if before is not None:
        ask(sandbox, before)
    hold()
    active = sandbox.operations.get(status="queued")
    for actor in (ALICE, STAFF):
        with pytest.raises(Refused) as error:
            lifecycle.cancel(active.pk, actor=actor)
        assert error.value.code == Code.OWNER_ON_HOLD
    settle()
    assert reload(sandbox.pk).status in ("stopped", "gone")


def test_an_archive_on_hold_may_be_taken_back(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    hold()
    archive = ask(sandbox, Action.ARCHIVE)
    assert lifecycle.cancel(archive.pk, actor=ALICE).status == "cancelled"
    settle()
    row = reload(sandbox.pk)
    assert (row.status, row.intent) == ("stopped", "stopped")


@pytest.mark.parametrize("taken_back", [Action.SYNC, Action.STOP])
def test_no_cancel_repeats_a_start_that_failed(
    world: Emulator, running: Callable[..., Sandbox], taken_back: Action
) -> None:
    sandbox = running()
    do(sandbox, Action.STOP)
    refused = {"status": 422, "answer": {"statusCode": 422, "message": "not today"}}
    world.faults.add("status", path="/start$", times=1, **refused)
    assert do(sandbox, Action.START).status == "failed"
    lifecycle.cancel(ask(sandbox, taken_back).pk, actor=ALICE)
    for _ in range(3):
        pass_time(5)
    assert [one.action for one in sandbox.operations.order_by("created_at")][3:] == [taken_back]
    assert reload(sandbox.pk).status == "stopped"
