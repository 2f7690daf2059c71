"""Missing is believed slowly: with its database down, Daytona says 404 even of a living sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.core.codes import Code, Refused
from sandboxes.core.parameters import Parameters
from sandboxes.core.shown import wanted
from sandboxes.core.vocabulary import Action, Actor
from sandboxes.models import Sandbox
from sandboxes.services import lifecycle
from tests.support.driving import ask, do, pass_time, reload, run_due, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.support.emulator import Emulator


def test_a_lone_404_is_not_believed(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    world.faults.add(
        "status", method="GET", path=f"/sandbox/{sandbox.daytona_id}$", status=404, times=1,
        answer={"statusCode": 404, "message": f"Sandbox with ID or name {sandbox.daytona_id} not found"},
    )  # fmt: skip
    do(sandbox, Action.SYNC)
    row = reload(sandbox.pk)
    assert row.status == "running"
    assert row.missing_since is not None
    do(sandbox, Action.SYNC)
    assert reload(sandbox.pk).missing_since is None


def test_missing_is_believed_after_two_404s_a_minute_apart_and_a_list_without_it(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.vanish(str(sandbox.daytona_id))
    do(sandbox, Action.SYNC)
    assert reload(sandbox.pk).status == "running"
    pass_time(30)
    do(sandbox, Action.SYNC)
    assert reload(sandbox.pk).status == "running"
    pass_time(31)
    row = reload(sandbox.pk)
    assert (row.status, row.intent) == ("gone", "running")
    assert row.deleted_at is not None


def test_an_outage_of_daytonas_database_marks_nothing_gone(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.settings(database="down", key_cache=1000.0)
    do(sandbox, Action.SYNC)
    for _ in range(4):
        pass_time(61)
    assert reload(sandbox.pk).status == "running"
    world.settings(database="up")
    pass_time(61)
    assert reload(sandbox.pk).missing_since is None


def test_after_our_delete_the_first_404_is_the_end(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    assert do(sandbox, Action.DELETE).status == "succeeded"
    row = reload(sandbox.pk)
    assert (row.status, row.intent_met_at is not None) == ("gone", True)


def test_after_a_delete_whose_answer_was_lost_a_404_and_the_list_are_the_end(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.faults.add("drop_after", method="DELETE", times=1)
    assert do(sandbox, Action.DELETE).status == "succeeded"  # with no minute between two 404s
    assert reload(sandbox.pk).status == "gone"


def test_after_the_stop_of_an_ephemeral_one_a_404_and_the_list_are_the_end(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    sandbox = running(ephemeral=True)
    settings.ATTEMPT_SECONDS = 0.0
    world.settings(transition=60.0)
    stop = ask(sandbox, Action.STOP, parameters=Parameters(force=True))
    world.faults.add("status", method="GET", path=f"/{sandbox.daytona_id}$", skip=1, times=1, status=503)
    lifecycle.attempt(stop.pk)
    world.vanish(str(sandbox.daytona_id))  # before anybody has seen it being destroyed
    settle(stop)
    assert (stop.status, reload(sandbox.pk).status) == ("succeeded", "gone")


def test_after_a_delete_that_was_lost_in_an_outage_a_404_alone_proves_nothing(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    sandbox = running()
    settings.ATTEMPT_SECONDS = 0.0
    world.faults.add("drop_before", method="DELETE", times=1)
    delete = ask(sandbox, Action.DELETE)
    lifecycle.attempt(delete.pk)
    world.settings(database="down", key_cache=1000.0)
    for _ in range(3):
        pass_time(61)
    assert reload(sandbox.pk).deleted_at is None
    world.settings(database="up")
    settle(delete)
    assert delete.status == "succeeded"
    assert world.sandbox(str(sandbox.daytona_id)) is None


def test_a_start_does_not_succeed_by_what_was_seen_before(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    world.vanish(str(sandbox.daytona_id))
    start = ask(sandbox, Action.START)
    lifecycle.attempt(start.pk)
    start.refresh_from_db()
    assert start.is_active
    for _ in range(3):
        pass_time(61)
    start.refresh_from_db()
    assert (start.status, start.code) == ("failed", "sandbox_gone")


def test_a_stop_of_a_vanished_sandbox_waits_and_then_is_done(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.vanish(str(sandbox.daytona_id))
    do(sandbox, Action.SYNC)
    pass_time(61)
    assert reload(sandbox.pk).status == "gone"


def test_a_sandbox_believed_gone_and_seen_again_lives_again(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    remote = world.sandbox(str(sandbox.daytona_id))
    assert remote is not None
    world.vanish(str(sandbox.daytona_id))
    do(sandbox, Action.SYNC)
    pass_time(61)
    assert reload(sandbox.pk).status == "gone"
    world.seed([{"id": sandbox.daytona_id, "name": remote["name"], "labels": remote["labels"]}])
    Sandbox.objects.filter(pk=sandbox.pk).update(fetch_due_at=reload(sandbox.pk).observed_at)
    pass_time(1)
    row = reload(sandbox.pk)
    assert (row.status, row.deleted_at) == ("running", None)


def test_what_is_gone_may_be_deleted_once_and_asks_nothing_of_daytona(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.vanish(str(sandbox.daytona_id))
    do(sandbox, Action.SYNC)
    pass_time(61)
    gone = reload(sandbox.pk)
    assert (gone.status, gone.intent) == ("gone", "running")
    before = world.counts()["daytona"]
    delete = ask(sandbox, Action.DELETE, reason="tidy")
    run_due()
    row = reload(sandbox.pk)
    assert (delete.status, row.status, row.intent, row.intent_reason) == ("succeeded", "gone", "deleted", "tidy")
    assert row.intent_met_at is not None
    assert (row.fetch_due_at, wanted(row.projection)) == (None, None)
    assert world.counts()["daytona"] == before
    for action in (Action.DELETE, Action.START, Action.SYNC):
        with pytest.raises(Refused) as error:
            ask(sandbox, action)
        assert error.value.code == Code.SANDBOX_GONE


@pytest.mark.parametrize("left", ["a name to tell", "a stop that nothing can do any more"])
def test_what_is_gone_is_not_looked_at_for_ever(
    world: Emulator, running: Callable[..., Sandbox], left: str
) -> None:
    sandbox = running()
    world.vanish(str(sandbox.daytona_id))
    if left == "a name to tell":
        lifecycle.rename(sandbox.pk, "new", actor=Actor.owner("alice"))
    else:
        ask(sandbox, Action.STOP)
    for _ in range(4):
        pass_time(61)
    row = reload(sandbox.pk)
    assert (row.status, row.fetch_due_at) == ("gone", None)
