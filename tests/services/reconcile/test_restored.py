"""The database is set back to an old copy of itself: nothing remote is undone, and the records become true."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.models import ConvexProjection, DaytonaCall, IntentChange, Operation, Owner, Sandbox, SandboxEvent
from sandboxes.providers.convex import gateway
from sandboxes.services import lifecycle, reconcile
from sandboxes.services.reconcile import Options
from tests.support import convex
from tests.support.driving import ask, do, pass_time, reload, settle, settled_status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.db.models import Model
    from pytest_django import Settings

    from tests.support.emulator import Emulator

MODELS: list[type[Model]] = [Owner, Sandbox, ConvexProjection, IntentChange, Operation, DaytonaCall, SandboxEvent]
pytestmark = pytest.mark.usefixtures("no_attempt_waits")
AFTER_A_RESTORE = Options(adopt=True, verify_convex=True, restored=True)


class Copy:
    """The rows of now, to be put in the place of later ones."""

    def __init__(self) -> None:
        self._rows = [(model, list(model._default_manager.values())) for model in MODELS]

    def put_back(self) -> None:
        for model in reversed(MODELS):
            model._default_manager.all().delete()
        for model, rows in self._rows:
            model._default_manager.bulk_create([model(**values) for values in rows])


@pytest.fixture
def own_functions() -> bool:
    return True


@pytest.fixture
def both(world: Emulator, settings: Settings, own_functions: bool) -> Iterator[Emulator]:
    """Convex beside Daytona, with the published functions alone or with our own beside them."""
    world.settings(convex={"functions": "second", "sandkeeper": own_functions})
    settings.CONVEX_URL, settings.CONVEX_DEPLOY_KEY = world.convex_url, world.convex_key
    gateway.reset()
    yield world
    gateway.reset()


def remote(world: Emulator) -> dict[str, tuple[str, str]]:
    return {row["id"]: (row["state"], row["desired"]) for row in world.state()["sandboxes"]}


def changes(world: Emulator, *, since: int) -> list[tuple[str, str]]:
    """What Daytona was asked to change."""
    return [(entry["action"], entry["id"]) for entry in world.log(since=since, system="daytona")]


def sweep_and_settle(options: Options) -> reconcile.SweepResult:
    result = reconcile.sweep(options)
    settle()
    pass_time(61)  # a 404 is believed when a second one follows a minute later
    pass_time(61)
    reconcile.sweep(Options(verify_convex=options.verify_convex))
    settle()
    return result


@pytest.mark.parametrize("own_functions", [False, True])
def test_an_old_copy_becomes_true_again(
    both: Emulator, running: Callable[..., Sandbox], own_functions: bool
) -> None:
    stays, stopped, renamed, deleted, started = (running(name=name) for name in "abcde")
    do(started, Action.STOP)
    for row in (stays, stopped, renamed, deleted, started):
        settled_status(row.pk)
    copy = Copy()

    do(stopped, Action.STOP)
    do(started, Action.START)
    do(deleted, Action.DELETE)
    for name in ("again", "and again", "third"):
        lifecycle.rename(renamed.pk, name, actor=Actor.owner("alice"))
        settled_status(renamed.pk)
    new = running(name="new")
    assert settled_status(new.pk) == "running"
    before, last = remote(both), both.last_log()

    copy.put_back()
    dry = reconcile.sweep(Options(dry_run=True, force=True, restored=True))
    assert (dry.report.counts["orphan"], dry.report.counts["missing"]) == (1, 1)
    assert not Sandbox.objects.filter(daytona_id=new.daytona_id).exists()
    result = sweep_and_settle(AFTER_A_RESTORE)

    assert result.report.counts["adopted"] == 1
    assert remote(both) == before, "nothing in Daytona is as it was not"
    assert changes(both, since=last) == []
    adopted = Sandbox.objects.get(daytona_id=new.daytona_id)
    statuses = [settled_status(row.pk) for row in (stays, stopped, renamed, deleted, started, adopted)]
    assert statuses == ["running", "stopped", "running", "gone", "running", "running"]
    lost = convex.rows(both, str(deleted.daytona_id))
    # Our own functions remember that the removal was ours; the application's row could be its user's removal.
    assert [row["status"] for row in lost] == (["archived"] if own_functions else [])
    assert all("no longer exists in Daytona" in row["errorMessage"] for row in lost)
    assert reload(renamed.pk).name == "third", "Daytona's label was told of it"
    for row in Sandbox.objects.exclude(status="gone"):
        (shown,) = convex.rows(both, str(row.daytona_id))
        assert (shown["status"], shown["name"]) == (row.status, row.name)


def test_generations_in_convex_go_on_above_those_of_before(both: Emulator, running: Callable[..., Sandbox]) -> None:
    box = running(name="first")
    settled_status(box.pk)
    copy = Copy()
    for name in ("second", "third", "fourth"):
        lifecycle.rename(box.pk, name, actor=Actor.owner("alice"))
        settled_status(box.pk)
    highest = reload(box.pk).projection.wanted_generation
    copy.put_back()
    assert reload(box.pk).projection.wanted_generation < highest
    sweep_and_settle(AFTER_A_RESTORE)
    assert reload(box.pk).projection.wanted_generation > highest
    assert [row["name"] for row in convex.rows(both, str(box.daytona_id))] == ["fourth"]


@pytest.mark.parametrize("action", [Action.DELETE, Action.STOP, Action.ARCHIVE])
def test_what_was_in_flight_in_the_copy_is_not_carried_out(
    world: Emulator, running: Callable[..., Sandbox], action: Action
) -> None:
    box = running()
    ask(box, action)
    copy = Copy()
    lifecycle.cancel(Operation.objects.get(sandbox=box, action=action).pk, actor=Actor.owner("alice"))
    last = world.last_log()
    copy.put_back()
    assert reconcile.sweep(Options(dry_run=True, restored=True)).report.counts["were_in_flight"] == 1
    assert Operation.objects.filter(sandbox=box, action=action, status="queued").exists()

    result = reconcile.sweep(Options(restored=True))
    settle()
    pass_time(300)

    assert result.report.counts["were_in_flight"] == 1
    assert changes(world, since=last) == []
    row = reload(box.pk)
    assert (row.status, row.intent) == ("running", "running")
    assert Operation.objects.get(sandbox=box, action=action).code == "cancelled"


def test_a_rename_that_daytona_had_not_been_told_of_does_not_undo_a_later_one(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    box = running(name="first")
    lifecycle.rename(box.pk, "second", actor=Actor.owner("alice"))
    copy = Copy()
    lifecycle.rename(box.pk, "third", actor=Actor.owner("alice"))
    assert settled_status(box.pk) == "running"
    last = world.last_log()
    copy.put_back()
    sweep_and_settle(Options(restored=True))
    assert changes(world, since=last) == []
    assert reload(box.pk).name == "third"


def test_a_delete_that_was_tried_for_long_is_not_tried_again(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    box = running()
    values: dict[str, Any] = {"intent": "deleted", "intent_met_at": None, "fetch_due_at": None}
    Sandbox.objects.filter(pk=box.pk).update(**values, intent_at=clock.now() - timedelta(hours=1))
    last = world.last_log()
    reconcile.sweep(Options(restored=True))
    settle()
    pass_time(300)
    assert changes(world, since=last) == []
    assert reload(box.pk).intent == "running"


def test_a_create_that_was_in_flight_finds_what_it_made(world: Emulator) -> None:
    operation = lifecycle.create(
        "alice",
        actor=Actor.owner("alice"),
        source=Source.API,
        new=lifecycle.NewRequest(name="made"),
    )
    copy = Copy()
    settle(operation)
    made = reload(operation.sandbox_id).daytona_id
    copy.put_back()
    reconcile.sweep(Options(adopt=True, restored=True))
    settle()
    assert [row.daytona_id for row in Sandbox.objects.all()] == [made]
    assert list(remote(world)) == [made]
    assert reload(operation.sandbox_id).status == "running"


def test_without_the_option_a_delete_in_flight_goes_on(world: Emulator, running: Callable[..., Sandbox]) -> None:
    """Why there is the option."""
    box = running()
    ask(box, Action.DELETE)
    reconcile.sweep()
    settle()
    assert remote(world) == {}


def test_for_one_owner_only_theirs_is_ended(world: Emulator, running: Callable[..., Sandbox]) -> None:
    alices, bobs = running("alice"), running("bob")
    ask(alices, Action.STOP)
    ask(bobs, Action.STOP)
    result = reconcile.sweep(Options(restored=True, owner="alice"))
    assert result.report.counts["were_in_flight"] == 1
    assert reload(alices.pk).intent == "running"
    assert reload(bobs.pk).intent == "stopped"
