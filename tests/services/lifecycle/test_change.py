from __future__ import annotations

from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Action, Actor
from sandboxes.providers import blocking
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import lifecycle
from tests.support.driving import do, pass_time, reload, run_due
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from sandboxes.models import Sandbox
    from tests.support.emulator import Emulator

ALICE = Actor.owner("alice")


def told(sandbox: Sandbox) -> bool:
    run_due()
    return reload(sandbox.pk).pending_changes == {}


def test_a_rename_merges_the_label_and_keeps_the_others(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running(name="old", harness_id="h1")
    generation = reload(sandbox.pk).projection.wanted_generation
    lifecycle.rename(sandbox.pk, " new ", actor=ALICE)
    wait_until(lambda: told(sandbox), what="labels")
    remote = world.sandbox(str(sandbox.daytona_id))
    assert remote is not None
    assert remote["labels"] == {**sandbox.labels, "harness_name": "new"}
    row = reload(sandbox.pk)
    assert (row.name, row.daytona_name) == ("new", sandbox.daytona_name)
    assert row.projection.wanted_generation > generation


def test_a_label_of_somebody_else_survives_a_rename(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    remote = world.sandbox(str(sandbox.daytona_id))
    assert remote is not None
    world.change(str(sandbox.daytona_id), labels={**remote["labels"], "team": "x"})
    lifecycle.rename(sandbox.pk, "new", actor=ALICE)
    wait_until(lambda: told(sandbox), what="labels")
    after = world.sandbox(str(sandbox.daytona_id))
    assert after is not None
    assert after["labels"]["team"] == "x"


def test_a_rename_while_daytona_is_away_is_told_later(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    number = world.faults.add("status", method="PUT", path="/labels$", status=503)
    lifecycle.rename(sandbox.pk, "new", actor=ALICE)
    run_due()
    assert reload(sandbox.pk).pending_changes["harness_name"]["value"] == "new"
    world.faults.remove(number)
    pass_time(10)
    wait_until(lambda: told(sandbox), what="labels")


def test_a_rename_that_ran_late_does_not_undo_a_later_one(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.DAYTONA_READ_TIMEOUT = settings.DAYTONA_HOLD_TIMEOUT = 0.3
    daytona.reset()
    sandbox = running(name="first")
    world.stop_clock()
    hung = world.faults.add("hang", method="PUT", path="/labels$", times=1, execute_after=60.0)
    lifecycle.rename(sandbox.pk, "second", actor=ALICE)
    run_due()
    assert world.faults.hits(hung) == 1
    lifecycle.rename(sandbox.pk, "third", actor=ALICE)
    wait_until(lambda: not told(sandbox) and label(world, sandbox) == "third", what="labels")
    world.advance(60.0)
    wait_until(lambda: label(world, sandbox) == "second", what="late rename")
    pass_time(settings.IN_DOUBT_SECONDS)
    wait_until(lambda: told(sandbox), what="labels")
    assert (label(world, sandbox), reload(sandbox.pk).name) == ("third", "third")


def test_a_name_that_somebody_else_gave_their_sandbox_stays(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running(name="ours")
    world.change(str(sandbox.daytona_id), labels={"harness_name": "theirs"})
    do(sandbox, Action.SYNC)
    assert reload(sandbox.pk).pending_changes == {}
    assert label(world, sandbox) == "theirs"


def label(world: Emulator, sandbox: Sandbox) -> str:
    remote = world.sandbox(str(sandbox.daytona_id))
    assert remote is not None
    return str(remote["labels"]["harness_name"])


def test_intervals_reach_daytona(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    lifecycle.set_intervals(sandbox.pk, actor=ALICE, auto_stop=30, auto_archive=60, auto_delete=120)
    wait_until(lambda: told(sandbox), what="intervals")
    remote = blocking.run(daytona.gateway().get(str(sandbox.daytona_id)))
    assert (remote.auto_stop_interval, remote.auto_archive_interval, remote.auto_delete_interval) == (30, 60, 120)


@pytest.mark.parametrize(
    "wrong",
    [
        {"auto_stop": -1},
        {"auto_stop": 525_601},
        {"auto_archive": -5},
        {"auto_archive": 43_201},
        {"auto_delete": 0},
        {"auto_delete": -2},
    ],
)
def test_intervals_out_of_range_are_refused(
    world: Emulator, running: Callable[..., Sandbox], wrong: dict[str, int]
) -> None:
    with pytest.raises(Refused) as error:
        lifecycle.set_intervals(running().pk, actor=ALICE, **wrong)
    assert error.value.code == Code.INVALID_REQUEST


@pytest.mark.parametrize("name", ["", "   ", "x" * 201])
def test_a_name_has_one_to_two_hundred_characters(
    world: Emulator, running: Callable[..., Sandbox], name: str
) -> None:
    with pytest.raises(Refused) as error:
        lifecycle.rename(running().pk, name, actor=ALICE)
    assert error.value.code == Code.INVALID_REQUEST


def test_protection_has_an_end_and_a_reason(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    until = clock.now() + timedelta(hours=1)
    lifecycle.protect(sandbox.pk, actor=ALICE, until=until, reason="demo")
    assert (reload(sandbox.pk).protected_until, reload(sandbox.pk).protected_reason) == (until, "demo")
    lifecycle.protect(sandbox.pk, actor=ALICE, until=None)
    assert reload(sandbox.pk).protected_until is None


@pytest.mark.parametrize(
    ("actor", "ahead", "refused"),
    [
        (ALICE, timedelta(seconds=-1), True),
        (Actor.staff("otto"), timedelta(seconds=-1), True),
        (ALICE, timedelta(days=31), True),
        (Actor.service("ci", on_behalf_of="alice"), timedelta(days=31), True),
        (ALICE, timedelta(days=29), False),
        (Actor.staff("otto"), timedelta(days=3650), False),
    ],
)
def test_protection_ends_in_time(
    world: Emulator, running: Callable[..., Sandbox], actor: Actor, ahead: timedelta, refused: bool
) -> None:
    sandbox, until = running(), clock.now() + ahead
    with pytest.raises(Refused) if refused else nullcontext() as error:
        lifecycle.protect(sandbox.pk, actor=actor, until=until)
    assert reload(sandbox.pk).protected_until == (None if refused else until)
    if error is not None:
        assert error.value.extra["errors"][0]["field"] == "protected_until"


def test_a_protection_that_is_over_may_be_sent_again(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox, until = running(), clock.now() + timedelta(hours=1)
    lifecycle.protect(sandbox.pk, actor=ALICE, until=until, reason="demo")
    clock.move(7200)
    before = sandbox.events.count()
    lifecycle.protect(sandbox.pk, actor=ALICE, until=until)
    row = reload(sandbox.pk)
    assert (row.protected_until, row.protected_reason, sandbox.events.count()) == (until, "demo", before)


def test_what_is_gone_is_not_changed(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    do(sandbox, Action.DELETE)
    with pytest.raises(Refused) as error:
        lifecycle.rename(sandbox.pk, "new", actor=ALICE)
    assert error.value.code == Code.SANDBOX_GONE
