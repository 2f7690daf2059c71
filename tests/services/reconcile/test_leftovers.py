"""Sandboxes that Daytona made for rows that are deleted by now, or whose create was never answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sandboxes.core.vocabulary import Action, Actor, Intent, Source
from sandboxes.models import Operation, Sandbox
from sandboxes.services import lifecycle, reconcile
from sandboxes.services.reconcile import FindingKind, Options
from tests.support.driving import do, reload, settle

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

Running = Callable[..., Sandbox]


def deleted(running: Running) -> Sandbox:
    sandbox = running()
    do(sandbox, Action.DELETE)
    return reload(sandbox.pk)


def alive(world: Emulator) -> list[str]:
    return [row["id"] for row in world.state()["sandboxes"] if row["state"] not in ("destroyed", "destroying")]


def test_a_sandbox_made_for_a_deleted_row_is_deleted(world: Emulator, running: Running) -> None:
    row = deleted(running)
    world.seed([{"name": row.daytona_name, "labels": {"sandkeeper_id": str(row.pk), "harness_user_id": "alice"}}])
    result = reconcile.sweep(Options(adopt=True))
    assert result.report.counts[FindingKind.LEFTOVER] == 1
    settle()
    assert alive(world) == []
    assert [operation.actor_id for operation in Operation.objects.filter(sandbox__intent_actor_id="sweep")] == [
        "sweep"
    ]


def test_the_name_that_only_we_give_is_enough(world: Emulator, running: Running) -> None:
    row = deleted(running)
    world.seed([{"name": row.daytona_name}])
    reconcile.sweep()
    settle()
    assert alive(world) == []


def test_a_name_that_others_may_give_is_not(world: Emulator, running: Running) -> None:
    """Adopted sandboxes keep the names that people gave them."""
    world.seed([{"name": "my-box", "labels": {"harness_user_id": "alice"}}])
    reconcile.sweep(Options(adopt=True))
    row = Sandbox.objects.get()
    do(row, Action.DELETE)
    world.seed([{"name": "my-box", "labels": {"harness_user_id": "alice"}}])
    result = reconcile.sweep()
    assert (result.report.counts[FindingKind.LEFTOVER], result.report.counts[FindingKind.ORPHAN]) == (0, 1)
    assert len(alive(world)) == 1


def test_a_copy_of_a_living_sandbox_with_its_labels_is_an_orphan(world: Emulator, running: Running) -> None:
    sandbox = running()
    world.seed([{"name": "fork", "labels": {"sandkeeper_id": str(sandbox.pk), "harness_user_id": "alice"}}])
    result = reconcile.sweep()
    assert (result.report.counts[FindingKind.LEFTOVER], result.report.counts[FindingKind.ORPHAN]) == (0, 1)
    assert len(alive(world)) == 2


def test_a_sandbox_that_vanished_by_itself_takes_no_copy_with_it(world: Emulator, running: Running) -> None:
    """Only a deletion that was asked for extends to a copy."""
    sandbox = running()
    Sandbox.objects.filter(pk=sandbox.pk).update(deleted_at=sandbox.created_at, status="gone")
    world.vanish(str(sandbox.daytona_id))
    world.seed([{"name": "copy", "labels": {"sandkeeper_id": str(sandbox.pk), "harness_user_id": "alice"}}])
    result = reconcile.sweep()
    assert (result.report.counts[FindingKind.LEFTOVER], result.report.counts[FindingKind.ORPHAN]) == (0, 1)


def test_a_create_that_ran_late_is_found_by_its_label_and_deleted_as_its_row_wants(world: Emulator) -> None:
    row = Sandbox.objects.get(pk=unanswered_create(world).sandbox_id)
    Sandbox.objects.filter(pk=row.pk).update(
        intent=Intent.DELETED, deleted_at=row.created_at, intent_met_at=row.created_at, status="gone"
    )
    Operation.objects.all().delete()
    result = reconcile.sweep()
    assert result.report.counts[FindingKind.REVIVED] == 1
    settle()
    assert (alive(world), reload(row.pk).status) == ([], "gone")


def test_a_create_whose_answer_was_lost_is_found_by_its_label(world: Emulator) -> None:
    row = Sandbox.objects.get(pk=unanswered_create(world).sandbox_id)
    Operation.objects.all().delete()
    assert reload(row.pk).daytona_id is None
    reconcile.sweep()
    assert (reload(row.pk).daytona_id, reload(row.pk).status) == (alive(world)[0], "running")


def unanswered_create(world: Emulator) -> Operation:
    """Its row has no Daytona id, and Daytona has the sandbox."""
    new = lifecycle.NewRequest(name="late")
    operation = lifecycle.create("alice", actor=Actor.owner("alice"), source=Source.API, new=new)
    row = operation.sandbox
    world.seed([{"name": row.daytona_name, "labels": dict(row.labels)}])
    return operation
