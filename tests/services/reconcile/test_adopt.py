from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.core import asked
from sandboxes.core.codes import NoticeCode
from sandboxes.models import Notice, Sandbox, SandboxEvent
from sandboxes.services import reconcile
from sandboxes.services.reconcile import FindingKind, Options
from tests.support.driving import run_due

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

LABELS = {
    "harness_user_id": "user_ada",
    "harness_resource_tier": "standard",
    "harness_id": "h1",
    "harness_name": "Ada's box",
    "code-toolbox-language": "typescript",
}
pytestmark = pytest.mark.usefixtures("world")


def test_a_row_says_what_the_labels_and_daytona_say(world: Emulator) -> None:
    (key,) = world.seed([{"name": "box-1", "labels": LABELS, "cpu": 2, "memory": 4, "disk": 8, "auto_stop": 30}])
    result = reconcile.sweep(Options(adopt=True))
    assert (result.report.counts[FindingKind.ADOPTED], result.exit_code) == (1, 0)
    row = Sandbox.objects.get()
    assert (row.daytona_id, row.daytona_name, row.owner_id, row.name) == (key, "box-1", "user_ada", "Ada's box")
    assert (row.resource_tier, row.cpu, row.memory_gb, row.disk_gb) == ("standard", 2, 4, 8)
    assert (row.harness_id, row.language, row.observed_auto_stop, row.target) == ("h1", "typescript", 30, "us")
    assert (row.status, row.intent, row.intent_actor_id, row.ephemeral) == ("running", "running", "adopt", False)
    assert row.intent_met_at is not None
    assert SandboxEvent.objects.filter(sandbox=row, actor="system:adopt").count() == 1


@pytest.mark.parametrize(
    ("state", "status", "intent"),
    [
        ("started", "running", "running"),
        ("stopped", "stopped", "stopped"),
        ("archived", "archived", "archived"),
        ("stopping", "stopping", "stopped"),
        ("archiving", "stopping", "archived"),
        ("error", "error", "running"),
        ("starting", "starting", "running"),
    ],
)
def test_the_intent_is_what_it_is_or_is_about_to_be(world: Emulator, state: str, status: str, intent: str) -> None:
    world.seed([{"name": "box", "labels": LABELS, "state": state}])
    reconcile.sweep(Options(adopt=True))
    row = Sandbox.objects.get()
    assert (row.status, row.intent, row.intent_met_at is not None) == (status, intent, True)


def test_an_adopted_sandbox_with_an_auto_delete_of_zero_is_ephemeral(world: Emulator) -> None:
    world.seed([{"name": "box", "labels": LABELS, "autoDeleteInterval": 0}])
    reconcile.sweep(Options(adopt=True))
    row = Sandbox.objects.get()
    assert (row.ephemeral, row.observed_auto_delete, row.auto_delete_minutes) == (True, 0, None)


def test_nobody_asked_for_what_an_adopted_sandbox_has_and_nothing_of_it_is_pushed(world: Emulator) -> None:
    world.seed([{"name": "box", "labels": {"harness_user_id": "user_ada"}, "autoStopInterval": 99, "cpu": 2}])
    for _ in range(2):
        result = reconcile.sweep(Options(adopt=True))
        run_due()
    assert result.report.counts[FindingKind.SETTING] == 0
    row = Sandbox.objects.get()
    assert (row.auto_stop_minutes, row.auto_archive_minutes, row.auto_delete_minutes) == (None, None, None)
    assert (row.observed_auto_stop, row.pending_changes, asked.differences(row)) == (99, {}, [])
    assert [line["action"] for line in world.log() if line["action"].startswith(("auto", "labels"))] == []


def test_without_a_tier_the_size_says_it(world: Emulator) -> None:
    labels = {"harness_user_id": "user_ada"}
    world.seed([{"name": "large", "labels": labels, "cpu": 4, "memory": 8, "disk": 10}])
    world.seed([{"name": "odd", "labels": labels, "cpu": 3, "memory": 3, "disk": 3}])
    reconcile.sweep(Options(adopt=True))
    tiers = dict(Sandbox.objects.values_list("daytona_name", "resource_tier"))
    assert tiers == {"large": "performance", "odd": "basic"}


def test_an_orphan_is_reported_and_told_until_it_is_adopted(world: Emulator) -> None:
    world.seed([{"name": "box", "labels": LABELS}])
    result = reconcile.sweep()
    assert (result.report.counts[FindingKind.ORPHAN], result.exit_code, Sandbox.objects.count()) == (1, 0, 0)
    assert Notice.objects.filter(code=NoticeCode.ORPHANS, closed_at=None).exists()
    assert reconcile.sweep(Options(dry_run=True, adopt=True)).exit_code == 2
    assert Sandbox.objects.count() == 0
    reconcile.sweep(Options(adopt=True))
    assert not Notice.objects.filter(code=NoticeCode.ORPHANS, closed_at=None).exists()


def test_what_is_ending_or_has_no_owner_is_left_alone(world: Emulator) -> None:
    world.seed(
        [
            {"name": "DESTROYED_box_1795414314096", "labels": LABELS, "state": "destroying"},
            {"name": "ending", "labels": LABELS, "state": "started", "desiredState": "destroyed"},
            {"name": "somebody-elses", "labels": {"team": "other"}},
            {"name": "empty-owner", "labels": {"harness_user_id": ""}},
            {"name": "odd", "labels": {"harness_user_id": ["alice"]}},
        ]
    )
    result = reconcile.sweep(Options(adopt=True))
    assert (result.report.counts["ending"], result.report.counts["foreign"]) == (2, 3)
    assert (Sandbox.objects.count(), result.report.out_of_line) == (0, 0)


def test_an_owner_whose_id_is_too_long_is_reported(world: Emulator) -> None:
    world.seed([{"name": "box", "labels": {"harness_user_id": "x" * 300}}])
    result = reconcile.sweep(Options(adopt=True))
    assert (result.report.counts[FindingKind.UNMATCHED], Sandbox.objects.count()) == (1, 0)
