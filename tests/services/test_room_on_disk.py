"""A full quota of disk: stopped sandboxes are archived, where the operator wants that."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.models import Operation, Sandbox
from sandboxes.providers import blocking
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import lifecycle, reconcile, victims
from sandboxes.services.evict_ahead import EvictionRequest, evict_ahead
from sandboxes.services.reconcile import Options
from tests.services.making_room import idle, stopped, used
from tests.support.driving import ask, reload, settle_in, step_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.support.emulator import Emulator

pytestmark = pytest.mark.usefixtures("no_attempt_waits")
DISK = 3  # GiB of each


@pytest.fixture(autouse=True)
def archives(settings: Settings) -> None:
    settings.EVICTION_DISK_SCOPE = "owner"


def holds(world: Emulator, sandboxes: int) -> None:
    """Its disk is enough for so many."""
    world.settings(quota={"cpu": 100, "memory": 500, "disk": sandboxes * DISK, "gpu": 0})


def create(world: Emulator, owner: str = "alice") -> Operation:
    operation = lifecycle.create(owner, actor=Actor.owner(owner), source=Source.API, new=lifecycle.NewRequest())
    settle_in(world, operation)
    return operation


def statuses(*sandboxes: Sandbox) -> list[str]:
    return [reload(one.pk).status for one in sandboxes]


def test_the_least_recently_used_one_is_archived_and_keeps_its_intent(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    old, new, runs = stopped(running, name="old"), stopped(running, name="new"), running(name="runs")
    idle(world, runs, old, new)
    holds(world, 3)
    operation = create(world)
    assert operation.status == "succeeded"
    assert statuses(old, new, runs) == ["archived", "stopped", "running"]
    assert reload(old.pk).intent == "stopped"
    archive = old.operations.get(source="eviction")
    assert (archive.action, archive.actor_id, archive.caused_by_id) == ("archive", "evictor", operation.pk)
    event = victims.why(old.pk)
    assert event is not None
    assert (event.text, event.data["resource"]) == ("Archived to make room", "disk")
    ranking = [(line["name"], line["disk_gb"], line["broken"]) for line in event.data["ranking"]]
    assert ranking == [("runs", DISK, ["stopped"]), ("old", DISK, []), ("new", DISK, [])]


def test_what_was_archived_comes_back_when_it_is_needed(world: Emulator, running: Callable[..., Sandbox]) -> None:
    """Its start needs disk as well, and finds it in the same way."""
    old, new = stopped(running, name="old"), stopped(running, name="new")
    idle(world, old, new)
    holds(world, 2)
    assert create(world).status == "succeeded"
    start = ask(old, Action.START)
    settle_in(world, start)
    assert start.status == "succeeded"
    assert statuses(old, new) == ["running", "archived"]


def test_nobody_is_archived_where_the_operator_has_not_asked_for_that(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.EVICTION_DISK_SCOPE = "off"
    old = stopped(running)
    idle(world, old)
    holds(world, 1)
    operation = create(world)
    assert (operation.status, operation.code) == ("failed", "disk_quota_full")
    assert [call.outcome for call in operation.calls.all()] == ["refused"], "nobody waits for what cannot come"
    assert statuses(old) == ["stopped"]


def test_other_owners_make_room_only_in_the_scope_of_the_organisation(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    foreign = stopped(running, owner="bob")
    idle(world, foreign)
    holds(world, 1)
    assert create(world).code == "disk_quota_full"
    settings.EVICTION_DISK_SCOPE = "organization"
    assert create(world).status == "succeeded"
    assert statuses(foreign) == ["archived"]


def protect(sandbox: Sandbox) -> None:
    lifecycle.protect(sandbox.pk, actor=Actor.owner("alice"), until=clock.now() + timedelta(hours=1))


def doom(sandbox: Sandbox) -> None:
    """In Daytona alone: the row does not know it, the GET just before does."""
    blocking.run(daytona.gateway().set_auto_delete(str(sandbox.daytona_id), 9000))


SPARED: list[tuple[str, Callable[[Sandbox], object]]] = [
    ("not idle", lambda s: used(s, seconds_ago=60)),
    ("protected", protect),
    ("auto-delete", doom),
    ("another region", lambda s: Sandbox.objects.filter(pk=s.pk).update(target="eu")),
]


@pytest.mark.parametrize("spare", [pair[1] for pair in SPARED], ids=[pair[0] for pair in SPARED])
def test_nothing_against_the_rules_is_archived(
    world: Emulator, running: Callable[..., Sandbox], spare: Callable[[Sandbox], object]
) -> None:
    only = stopped(running)
    idle(world, only)
    spare(only)
    holds(world, 1)
    assert create(world).code == "disk_quota_full"
    assert statuses(only) == ["stopped"]


def test_one_that_is_being_archived_anyway_is_waited_for(world: Emulator, running: Callable[..., Sandbox]) -> None:
    leaves, other = stopped(running, name="leaves"), stopped(running, name="other")
    idle(world, other, leaves)
    holds(world, 2)
    archive = ask(leaves, Action.ARCHIVE)
    operation = create(world)
    settle_in(world, archive)
    assert operation.status == "succeeded"
    assert statuses(leaves, other) == ["archived", "stopped"]


def test_one_that_somebody_starts_in_daytona_meanwhile_goes_on_running(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    only = stopped(running)
    idle(world, only)
    holds(world, 1)
    operation = lifecycle.create("alice", actor=Actor.owner("alice"), source=Source.API, new=lifecycle.NewRequest())

    def is_chosen() -> bool:
        lifecycle.attempt(operation.pk)
        return only.operations.filter(source="eviction").exists()

    step_until(world, is_chosen, what="choice of a victim")
    world.change(str(only.daytona_id), state="started", desiredState="started", quiet=True)
    settle_in(world, operation, archive := only.operations.get(source="eviction"))
    assert (archive.status, archive.code) == ("failed", "cancelled")
    assert operation.code == "disk_quota_full"
    assert statuses(only) == ["running"]
    assert "stop" not in [line["action"] for line in world.log(key=str(only.daytona_id))][2:]


def test_a_disk_below_the_sandbox_itself_archives_nobody(world: Emulator, running: Callable[..., Sandbox]) -> None:
    only = stopped(running)
    idle(world, only)
    holds(world, 0)
    assert create(world).code == "quota_too_small"
    assert statuses(only) == ["stopped"]


# --- ahead of need


@pytest.fixture
def resting(world: Emulator) -> Callable[[float], Sandbox]:
    """A stopped sandbox that was last used so many hours ago."""

    def make(hours: float) -> Sandbox:
        moment = clock.now() - timedelta(hours=hours)
        labels = {"harness_user_id": "alice"}
        (key,) = world.seed([{"labels": labels, "lastActivityAt": moment.isoformat(), "state": "stopped"}])
        reconcile.sweep(Options(adopt=True))
        return Sandbox.objects.get(daytona_id=key)

    return make


def test_disk_is_made_ahead_of_need(world: Emulator, resting: Callable[[float], Sandbox]) -> None:
    rows = [resting(hours) for hours in (3, 9, 5)]
    outcome = evict_ahead(EvictionRequest(free_disk=2 * DISK))
    assert (outcome.count, outcome.disk_gb, outcome.enough) == (2, 2 * DISK, True)
    settle_in(world, *Operation.objects.all())
    assert statuses(*rows) == ["stopped", "archived", "archived"]
    event = victims.why(rows[1].pk)
    assert event is not None
    assert event.text == f"Archived after 0:02:00 without use, to free {2 * DISK} GiB of disk"


@pytest.mark.usefixtures("world")
def test_disk_is_asked_for_by_itself() -> None:
    with pytest.raises(Refused, match="Ask for disk by itself") as refused:
        evict_ahead(EvictionRequest(free_disk=1, free_cpu=1))
    assert refused.value.code == Code.INVALID_REQUEST
