"""Our labels are how a sandbox is found again when its row is lost: a sweep puts back what somebody wiped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core.asked import labels_of
from sandboxes.core.vocabulary import Action, Actor
from sandboxes.models import Operation, Sandbox, SandboxEvent
from sandboxes.services import lifecycle, reconcile
from sandboxes.services.reconcile import FindingKind, Options
from tests.support.driving import do, reload, run_due, settled_status, step_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.emulator import Emulator

ALICE = Actor.owner("alice")


def labels(world: Emulator, sandbox: Sandbox) -> Any:
    remote = world.sandbox(str(sandbox.daytona_id))
    assert remote is not None
    return remote["labels"]


def told(world: Emulator) -> int:
    """How often Daytona was told labels."""
    return int(world.counts()["daytona"].get("PUT /sandbox/{id}/labels", 0))


@pytest.mark.parametrize("wiped", [{}, None, 7, {"harness_name": "theirs", "team": "x"}], ids=str)
def test_our_labels_are_put_back_by_a_sweep(
    world: Emulator, running: Callable[..., Sandbox], wiped: dict[str, str] | int | None
) -> None:
    sandbox = running(name="ours", harness_id="h1")
    world.change(str(sandbox.daytona_id), labels=wiped)
    result = reconcile.sweep()
    assert result.report.counts[FindingKind.SETTING] == 1
    assert settled_status(sandbox.pk) == "running"
    others = {"team": "x"} if isinstance(wiped, dict) and "team" in wiped else {}
    assert labels(world, sandbox) == labels_of(reload(sandbox.pk)) | others
    assert reconcile.sweep().report.counts[FindingKind.SETTING] == 0


def test_who_wipes_them_again_and_again_is_answered_once_in_a_sweep(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running(name="ours")

    def wipe_and_look() -> None:
        world.change(str(sandbox.daytona_id), labels={})
        do(sandbox, Action.SYNC)
        settled_status(sandbox.pk)

    for sweeps in range(1, 3):
        world.change(str(sandbox.daytona_id), labels={})
        reconcile.sweep()
        settled_status(sandbox.pk)
        for _ in range(3):
            wipe_and_look()
        assert told(world) == sweeps


@pytest.mark.parametrize("known", [False, True])
def test_a_dry_run_tells_nothing(world: Emulator, running: Callable[..., Sandbox], known: bool) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), labels={})
    if known:
        do(sandbox, Action.SYNC)
    result = reconcile.sweep(Options(dry_run=True))
    run_due()
    assert (result.report.counts[FindingKind.SETTING], told(world), labels(world, sandbox)) == (1, 0, {})


def test_nothing_is_put_on_what_was_adopted(world: Emulator, mirrored: Callable[..., list[Sandbox]]) -> None:
    """The labels there were somebody else's."""
    (sandbox,) = mirrored(1)
    world.change(str(sandbox.daytona_id), labels={})
    assert reconcile.sweep().report.counts[FindingKind.SETTING] == 0
    run_due()
    assert told(world) == 0


def test_a_rename_brings_all_of_them(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running(name="before")
    world.change(str(sandbox.daytona_id), labels={})
    lifecycle.rename(sandbox.pk, "after", actor=ALICE)

    def at_rest() -> bool:
        run_due()
        return reload(sandbox.pk).pending_changes == {}

    step_until(world, at_rest, what="read back")
    assert labels(world, sandbox) == labels_of(reload(sandbox.pk))
    assert told(world) == 1


def test_a_lost_row_comes_back_with_its_name_though_somebody_had_wiped_the_labels(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running(name="Mine: all of it")
    world.change(str(sandbox.daytona_id), labels={})
    reconcile.sweep()
    settled_status(sandbox.pk)
    for model in (SandboxEvent, Operation, Sandbox):
        model.objects.all().delete()
    reconcile.sweep(Options(restored=True, adopt=True))
    found = Sandbox.objects.get()
    assert (found.daytona_id, found.owner_id, found.name) == (sandbox.daytona_id, "alice", "Mine: all of it")
