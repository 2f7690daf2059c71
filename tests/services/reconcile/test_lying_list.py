"""The list of the hosted service lags, flaps, repeats and breaks off (recordings 10, 12, 15, 18, 19 and users'
reports): it never decides anything alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from sandboxes.core.vocabulary import Action, Status
from sandboxes.models import Sandbox, SandboxEvent, Sweep
from sandboxes.services import reconcile
from sandboxes.services.reconcile import FindingKind, Options
from tests.support.driving import do, reload

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.support.emulator import Emulator

Mirrored = Callable[..., list[Sandbox]]


def statuses() -> set[str]:
    return set(Sandbox.objects.values_list("status", flat=True))


def test_a_deleted_sandbox_that_the_list_shows_started_again_stays_gone(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    world.settings(list_stale=600.0)
    sandbox = running()
    do(sandbox, Action.DELETE)
    world.advance(200)  # the list shows it again, `started`
    result = reconcile.sweep(Options(adopt=True))
    assert (result.result, result.report.out_of_line) == (Sweep.Result.COMPLETE, 0)
    assert result.report.counts["listed"] == 1
    assert (reload(sandbox.pk).status, Sandbox.objects.count()) == (Status.GONE, 1)


def test_an_orphan_that_only_the_list_still_shows_is_not_adopted(world: Emulator) -> None:
    world.settings(list_stale=600.0)
    (key,) = world.seed([{"name": "old", "labels": {"harness_user_id": "alice"}}])
    world.control.request("DELETE", f"{world.daytona_url}/sandbox/{key}", headers=bearer(world))
    world.advance(200)
    result = reconcile.sweep(Options(adopt=True))
    assert (result.report.counts["listed"], result.report.counts["list_lied"]) == (1, 1)
    assert not Sandbox.objects.exists()


def bearer(world: Emulator) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.daytona_key}"}


def test_rows_that_flap_are_looked_at_and_stay(world: Emulator, mirrored: Mirrored, settings: Settings) -> None:
    mirrored(40)
    settings.RECONCILE_MAX_CHANGE = 100
    world.settings(list_flapping=0.5)
    result = reconcile.sweep()
    assert result.report.counts["lacking"] > 0
    assert (result.report.out_of_line, statuses()) == (0, {"running"})


def test_rows_that_move_between_pages_are_looked_at_and_stay(
    world: Emulator, mirrored: Mirrored, settings: Settings
) -> None:
    mirrored(30)
    settings.RECONCILE_PAGE = 10
    world.settings(list_moving=True)
    result = reconcile.sweep()
    assert (result.report.counts["pages"], result.report.counts["lacking"]) == (3, 2)
    assert (result.report.out_of_line, statuses()) == (0, {"running"})


def test_pages_that_repeat_end_the_list_as_partial_and_nothing_is_missing(
    world: Emulator, mirrored: Mirrored, settings: Settings
) -> None:
    mirrored(30)
    settings.RECONCILE_PAGE = 10
    world.settings(list_repeating=True)
    result = reconcile.sweep()
    assert (result.result, result.exit_code, result.detail) == (Sweep.Result.PARTIAL, 3, "the list repeats itself")
    assert "lacking" not in result.report.counts
    assert statuses() == {"running"}


@pytest.mark.parametrize("labels", [None, {"n": 1, "harness_user_id": "alice"}, ["a"], "text", 7])
def test_labels_that_are_no_strings_spoil_no_other_row(world: Emulator, mirrored: Mirrored, labels: object) -> None:
    first, poisoned, last = mirrored(3)
    world.change(str(poisoned.daytona_id), labels=labels)
    for row in (first, last):
        world.change(str(row.daytona_id), state="stopped")
    result = reconcile.sweep()
    assert result.result == Sweep.Result.COMPLETE
    assert [reload(row.pk).status for row in (first, poisoned, last)] == ["stopped", "running", "stopped"]
    assert reconcile.sweep().report.out_of_line == 0


def test_a_row_of_ours_that_cannot_be_read_spoils_no_other(world: Emulator, mirrored: Mirrored) -> None:
    first, broken, last = mirrored(3)
    Sandbox.objects.filter(pk=broken.pk).update(labels="no labels at all")
    for row in (first, last):
        world.change(str(row.daytona_id), state="stopped")
    result = reconcile.sweep()
    assert (result.result, result.report.counts[FindingKind.UNANSWERED]) == (Sweep.Result.PARTIAL, 1)
    assert [reload(row.pk).status for row in (first, last)] == ["stopped", "stopped"]


def test_with_daytonas_database_down_nothing_is_marked(world: Emulator, mirrored: Mirrored) -> None:
    """The list says 500 then, and a GET 404 of living sandboxes (recording 15_outages)."""
    rows = mirrored(5)
    world.settings(database="down")
    result = reconcile.sweep()
    assert (result.result, result.exit_code) == (Sweep.Result.PARTIAL, 3)
    world.settings(database="up")
    assert {(reload(row.pk).status, reload(row.pk).missing_since) for row in rows} == {("running", None)}


def test_a_lone_404_is_not_believed_though_the_list_lacks_it_too(world: Emulator, mirrored: Mirrored) -> None:
    (row,) = mirrored(1)
    world.settings(list_flapping=1.0)
    text = f"Sandbox with ID or name {row.daytona_id} not found"
    rule = world.faults.add("status", path=f"/sandbox/{row.daytona_id}$", status=404, answer={"message": text})
    result = reconcile.sweep()
    assert world.faults.hits(rule) == 1
    assert result.report.counts[FindingKind.MISSING] == 1
    assert (reload(row.pk).status, reload(row.pk).deleted_at) == ("running", None)
    world.faults.clear()
    world.settings(list_flapping=0.0)
    reconcile.sweep()
    assert reload(row.pk).missing_since is None


def test_daytona_gone_in_the_middle_of_the_list_ends_it_as_partial(
    world: Emulator, mirrored: Mirrored, settings: Settings
) -> None:
    mirrored(30)
    settings.RECONCILE_PAGE = 10
    world.faults.add("status", path=r"/sandbox\?", skip=1, status=500)
    result = reconcile.sweep()
    assert result.result == Sweep.Result.PARTIAL
    assert "the list broke off" in result.detail
    assert statuses() == {"running"}


def test_a_throttled_list_is_waited_for(world: Emulator, mirrored: Mirrored) -> None:
    mirrored(3)
    headers = {"Retry-After-authenticated": "1"}
    rule = world.faults.add("status", path=r"/sandbox\?", times=1, status=429, headers=headers)
    result = reconcile.sweep()
    assert (world.faults.hits(rule), result.result) == (1, Sweep.Result.COMPLETE)


def test_the_list_alone_writes_no_observation(world: Emulator, mirrored: Mirrored) -> None:
    (row,) = mirrored(1)
    events = SandboxEvent.objects.filter(sandbox=row).count()
    world.faults.add("status", path=f"/sandbox/{row.daytona_id}$", status=503)
    world.change(str(row.daytona_id), state="stopped")
    result = reconcile.sweep()
    assert (result.result, result.report.counts[FindingKind.UNANSWERED]) == (Sweep.Result.PARTIAL, 1)
    assert (reload(row.pk).status, SandboxEvent.objects.filter(sandbox=row).count()) == ("running", events)
