from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sandboxes.core.codes import Code, NoticeCode, Refused
from sandboxes.core.vocabulary import Action, Actor, OrphanDecision
from sandboxes.models import AuditEntry, Notice, Operation, Orphan, Sandbox
from sandboxes.services import orphans, reconcile
from sandboxes.services.reconcile import Options
from tests.support.driving import settle

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.support.emulator import Emulator

STAFF = Actor.staff("otto")
pytestmark = pytest.mark.usefixtures("world")


def seed(world: Emulator, owner: str = "user_ada", **fields: Any) -> str:
    labels = {"harness_user_id": owner} if owner else {}
    (key,) = world.seed([{"name": "box", "labels": labels, "cpu": 2, "memory": 4, "disk": 8, **fields}])
    return key


def decide(key: str, decision: OrphanDecision | None, **more: str) -> None:
    orphans.decide(key, decision, actor=STAFF, reason="it was lost", **more)


def notice() -> str | None:
    return Notice.objects.filter(code=NoticeCode.ORPHANS, closed_at=None).values_list("message", flat=True).first()


def test_a_sweep_notes_what_has_no_row_with_and_without_an_owner(world: Emulator) -> None:
    owned, foreign = seed(world), seed(world, "", name="theirs")
    reconcile.sweep()
    row = Orphan.objects.get(pk=owned)
    assert (row.name, row.owner, row.state, row.target) == ("box", "user_ada", "started", "us")
    assert (row.cpu, row.memory_gb, row.disk_gb) == (2, 4, 8)
    assert row.created_at is not None
    assert Orphan.objects.get(pk=foreign).owner == ""
    assert notice() == "Daytona has 1 sandbox with an owner that has no row here."


def test_what_is_gone_from_daytona_is_no_orphan_any_more(world: Emulator) -> None:
    key = seed(world)
    reconcile.sweep()
    first = Orphan.objects.get().first_seen_at
    reconcile.sweep()
    assert Orphan.objects.get().first_seen_at == first
    world.change(key, state="destroyed")
    reconcile.sweep()
    assert not Orphan.objects.exists()
    assert notice() is None


def test_a_dry_run_notes_nothing_and_a_sweep_of_one_owner_forgets_nothing(world: Emulator) -> None:
    seed(world)
    reconcile.sweep(Options(dry_run=True))
    assert not Orphan.objects.exists()
    reconcile.sweep()
    reconcile.sweep(Options(owner="somebody_else"))
    assert Orphan.objects.count() == 1


def test_the_next_sweep_adopts_what_staff_decided_and_nothing_else(world: Emulator) -> None:
    chosen, left = seed(world), seed(world, name="left")
    reconcile.sweep()
    decide(chosen, OrphanDecision.ADOPT)
    reconcile.sweep()
    assert [(row.daytona_id, row.owner_id) for row in Sandbox.objects.all()] == [(chosen, "user_ada")]
    assert list(Orphan.objects.values_list("pk", flat=True)) == [left]
    assert AuditEntry.objects.get().actor == "staff:otto"


def test_somebody_elses_is_adopted_for_whom_staff_name(world: Emulator) -> None:
    key = seed(world, "")
    reconcile.sweep()
    with pytest.raises(Refused) as refused:
        decide(key, OrphanDecision.ADOPT)
    assert refused.value.detail == "Say whose it is: it has no owner by its labels."
    decide(key, OrphanDecision.ADOPT, owner="user_bob")
    reconcile.sweep()
    assert Sandbox.objects.get().owner_id == "user_bob"


def test_a_delete_is_one_as_any_other_with_a_row_and_a_timeline(world: Emulator) -> None:
    key = seed(world)
    reconcile.sweep()
    decide(key, OrphanDecision.DELETE)
    reconcile.sweep()
    operation = Operation.objects.get()
    assert (operation.action, operation.actor_id, operation.reason) == (Action.DELETE, "otto", "it was lost")
    settle(operation)
    assert world.sandbox(key) is None
    assert not Orphan.objects.exists()


def test_what_is_ignored_is_left_alone_even_by_an_import_and_counts_in_no_notice(world: Emulator) -> None:
    key = seed(world)
    reconcile.sweep()
    decide(key, OrphanDecision.IGNORE)
    result = reconcile.sweep(Options(adopt=True))
    assert (result.report.counts["ignored"], result.report.counts["orphan"]) == (1, 0)
    assert not Sandbox.objects.exists()
    assert notice() is None
    decide(key, None)
    reconcile.sweep()
    assert notice() is not None


def test_a_dry_run_shows_what_would_be_adopted_and_leaves_it(world: Emulator) -> None:
    key = seed(world)
    reconcile.sweep()
    decide(key, OrphanDecision.ADOPT)
    result = reconcile.sweep(Options(dry_run=True))
    assert result.report.counts["adopted"] == 1
    assert not Sandbox.objects.exists()
    assert Orphan.objects.get().decision == OrphanDecision.ADOPT


def test_what_is_no_orphan_any_more_is_refused(world: Emulator) -> None:
    with pytest.raises(Refused) as refused:
        decide("unknown", OrphanDecision.IGNORE)
    assert refused.value.code == Code.SANDBOX_NOT_FOUND


def test_a_page_of_them_costs_the_same_statements_however_many_they_are(
    world: Emulator, settings: Settings
) -> None:
    settings.RECONCILE_PAGE = 100
    costs = []
    for count in (3, 30):
        world.seed(count=count, name="box-{n}", labels={"harness_user_id": "user_ada"})
        with CaptureQueriesContext(connection) as asked:
            reconcile.sweep()
        costs.append(sum("sandboxes_orphan" in one["sql"] for one in asked))
    assert costs[0] == costs[1] > 0


def test_why_some_were_left_is_written_in_one_step_however_many_they_are(world: Emulator) -> None:
    keys = [seed(world, name=f"box {number}") for number in range(4)]
    reconcile.sweep()
    for key in keys[1:]:
        decide(key, OrphanDecision.ADOPT)
    counts = []
    for many in (keys[:2], keys):
        with CaptureQueriesContext(connection) as seen:
            orphans.settled((), {key: f"why {key}" for key in many})
        counts.append(len(seen))
    assert counts[0] == counts[1]
    told = dict(Orphan.objects.values_list("pk", "message"))
    assert told == {key: f"why {key}" if key != keys[0] else "" for key in keys}
