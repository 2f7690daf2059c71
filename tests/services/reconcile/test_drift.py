from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Actor
from sandboxes.models import Notice, Sandbox, Sweep
from sandboxes.providers.convex import gateway as convex_gateway
from sandboxes.services import lifecycle, reconcile
from sandboxes.services.reconcile import FindingKind, Options
from tests.support import convex
from tests.support.driving import pass_time, reload, run_due

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.support.emulator import Emulator


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"state": "stopped"}, "stopped"),
        ({"state": "archived"}, "archived"),
        ({"state": "error", "errorReason": "the host broke", "recoverable": True}, "error"),
        ({"state": "stopping"}, "stopping"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_daytona_did_by_itself_shows_after_one_sweep(
    changes: dict[str, object], status: str, world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), **changes)
    result = reconcile.sweep()
    assert (result.result, result.report.counts[FindingKind.DRIFT]) == (Sweep.Result.COMPLETE, 1)
    assert reload(sandbox.pk).status == status


def test_what_daytona_did_by_itself_shows_in_convex_too(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.CONVEX_URL, settings.CONVEX_DEPLOY_KEY = world.convex_url, world.convex_key
    convex_gateway.reset()
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="error", errorReason="the host broke")
    reconcile.sweep()
    run_due()
    (row,) = convex.rows(world, str(sandbox.daytona_id))
    assert (row["status"], row["errorMessage"]) == ("error", "the host broke")
    convex_gateway.reset()


def test_what_daytona_is_doing_right_now_is_looked_at_again_without_a_sweep(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    sandbox = running()
    clock.move(86_400)  # however long ago it was wanted
    world.change(str(sandbox.daytona_id), state="stopping")
    reconcile.sweep()
    assert reload(sandbox.pk).status == "stopping"
    world.change(str(sandbox.daytona_id), state="stopped", quiet=True)
    pass_time(settings.INTENT_RETRY_SECONDS)
    assert reload(sandbox.pk).status == "stopped"


def test_a_sweep_of_what_is_as_stored_looks_at_nothing(world: Emulator, running: Callable[..., Sandbox]) -> None:
    for _ in range(3):
        running()
    before = world.counts()["daytona"]
    result = reconcile.sweep()
    after = world.counts()["daytona"]
    assert (result.report.counts["listed"], result.report.out_of_line) == (3, 0)
    assert {name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name)} == {
        "GET /sandbox": 1
    }


def test_a_dry_run_says_what_it_would_heal_and_writes_nothing(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="stopped")
    before = Sandbox.objects.values().get(pk=sandbox.pk)
    result = reconcile.sweep(Options(dry_run=True))
    assert (result.exit_code, [finding.text for finding in result.report.findings]) == (2, ["started → stopped"])
    assert Sandbox.objects.values().get(pk=sandbox.pk) == before


@pytest.mark.parametrize("dry_run", [True, False])
def test_settings_that_daytona_holds_otherwise_are_reported_until_somebody_decides(
    world: Emulator, running: Callable[..., Sandbox], dry_run: bool
) -> None:
    sandbox = running()
    assert reconcile.sweep(Options(dry_run=dry_run)).report.counts[FindingKind.SETTING] == 0
    world.change(str(sandbox.daytona_id), autoArchiveInterval=60, autoDeleteInterval=1)
    words = "auto_archive_minutes is 60 in Daytona, 10080 was asked for; auto_delete_minutes is 1 in Daytona"
    for _ in range(2):  # while it is news, and from the stored row
        result = reconcile.sweep(Options(dry_run=dry_run))
        (finding,) = [one for one in result.report.findings if one.kind == FindingKind.SETTING]
        assert finding.text.startswith(words)
        assert finding.as_data()["kind"] == "setting"
        assert result.exit_code == (2 if dry_run else 0)
    assert reload(sandbox.pk).pending_changes == {}
    notices = Notice.objects.filter(code=NoticeCode.SETTINGS_DIFFER, closed_at=None)
    assert notices.count() == (0 if dry_run else 1)
    lifecycle.set_intervals(sandbox.pk, actor=Actor.owner("alice"), auto_archive=None, auto_delete=None)
    if not dry_run:
        assert reconcile.sweep().report.counts[FindingKind.SETTING] == 0
        assert not notices.exists()
