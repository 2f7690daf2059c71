from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Action
from sandboxes.models import Notice, Sandbox, Sweep
from sandboxes.services import reconcile
from sandboxes.services.reconcile import FindingKind, Options
from tests.support.driving import ask, reload

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.support.emulator import Emulator

Mirrored = Callable[..., list[Sandbox]]


def is_refused() -> bool:
    return Notice.objects.filter(code=NoticeCode.SWEEP_REFUSED, closed_at=None).exists()


def test_a_sandbox_that_vanished_is_believed_gone_by_the_second_sweep_a_minute_later(
    world: Emulator, mirrored: Mirrored
) -> None:
    first, lost = mirrored(2)
    world.vanish(str(lost.daytona_id))
    assert reconcile.sweep().report.counts[FindingKind.MISSING] == 1
    assert (reload(lost.pk).status, reload(lost.pk).deleted_at) == ("running", None)
    clock.move(61)
    assert reconcile.sweep().report.counts[FindingKind.GONE] == 1
    assert [reload(row.pk).status for row in (first, lost)] == ["running", "gone"]
    assert reconcile.sweep().report.out_of_line == 0


def test_a_sandbox_deleted_in_daytonas_dashboard_goes(world: Emulator, mirrored: Mirrored) -> None:
    (row,) = mirrored(1)
    world.control.request(
        "DELETE",
        f"{world.daytona_url}/sandbox/{row.daytona_id}",
        headers={"Authorization": f"Bearer {world.daytona_key}"},
    )
    world.advance(5)
    reconcile.sweep()
    clock.move(61)
    reconcile.sweep()
    assert (reload(row.pk).status, reload(row.pk).intent) == ("gone", "running")


def test_a_gone_sandbox_that_the_list_shows_again_is_revived(world: Emulator, mirrored: Mirrored) -> None:
    (row,) = mirrored(1)
    shown = world.sandbox(str(row.daytona_id))
    assert shown is not None
    world.vanish(str(row.daytona_id))
    reconcile.sweep()
    clock.move(61)
    reconcile.sweep()
    assert reload(row.pk).status == "gone"
    world.seed([{key: value for key, value in shown.items() if key != "job"}])
    assert reconcile.sweep().report.counts[FindingKind.REVIVED] == 1
    assert (reload(row.pk).status, reload(row.pk).deleted_at) == ("running", None)


def test_a_list_that_lacks_very_many_is_refused_until_it_is_forced(
    world: Emulator, mirrored: Mirrored, settings: Settings
) -> None:
    rows = mirrored(30)
    for row in rows[:12]:
        world.vanish(str(row.daytona_id))
    before = world.counts()["daytona"]
    result = reconcile.sweep()
    assert (result.result, result.exit_code) == (Sweep.Result.REFUSED, 3)
    assert "lacks 12 of 30" in result.detail
    assert world.counts()["daytona"].get("GET /sandbox/{id}") == before.get("GET /sandbox/{id}")
    assert is_refused()
    assert not Sandbox.objects.filter(missing_since__isnull=False).exists()
    assert reconcile.sweep(Options(force=True)).report.counts[FindingKind.MISSING] == 12
    clock.move(61)
    assert reconcile.sweep(Options(force=True)).report.counts[FindingKind.GONE] == 12
    assert not is_refused()


def test_up_to_ten_may_be_missing_whatever_the_share(world: Emulator, mirrored: Mirrored) -> None:
    rows = mirrored(10)
    for row in rows:
        world.vanish(str(row.daytona_id))
    assert reconcile.sweep().report.counts[FindingKind.MISSING] == 10


def test_a_sandbox_with_an_operation_is_left_to_its_attempts(world: Emulator, mirrored: Mirrored) -> None:
    (row,) = mirrored(1)
    ask(row, Action.STOP)
    world.vanish(str(row.daytona_id))
    result = reconcile.sweep()
    assert (result.report.out_of_line, reload(row.pk).missing_since) == (0, None)


def test_of_one_owner_only_theirs_are_looked_for(world: Emulator, mirrored: Mirrored) -> None:
    (alices,) = mirrored(1)
    (bobs,) = mirrored(1, owner="bob")
    for row in (alices, bobs):
        world.vanish(str(row.daytona_id))
    result = reconcile.sweep(Options(owner="alice"))
    assert [finding.owner for finding in result.report.findings] == ["alice"]
    assert (reload(alices.pk).missing_since is None, reload(bobs.pk).missing_since) == (False, None)


def test_a_row_whose_owners_label_is_gone_is_found_by_its_id(world: Emulator, mirrored: Mirrored) -> None:
    (row,) = mirrored(1)
    world.change(str(row.daytona_id), labels={})
    result = reconcile.sweep(Options(owner="alice"))
    assert [finding.text for finding in result.report.findings] == ["labels changed"]
    assert reload(row.pk).status == "running"
