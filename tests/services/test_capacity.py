from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.models import Operation, Sandbox
from sandboxes.providers import blocking
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import lifecycle, quota_search, victims
from tests.services.making_room import full, idle, start, stopped, used
from tests.support.driving import ask, reload, settle_in, step, step_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.support.emulator import Emulator

pytestmark = pytest.mark.usefixtures("no_attempt_waits")


def test_the_least_recently_used_one_makes_room_and_keeps_its_intent(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    wanted = stopped(running)
    old, new = running(name="old"), running(name="new")
    idle(world, old, new)
    full(world, 2)
    operation = start(world, wanted)
    assert operation.status == "succeeded"
    victim = reload(old.pk)
    assert (victim.status, victim.intent) == ("stopped", "running")
    assert reload(new.pk).status == "running"
    stop = victim.operations.get(source="eviction")
    assert (stop.actor_kind, stop.actor_id, stop.caused_by_id) == ("system", "evictor", operation.pk)


def test_candidates_that_daytona_does_not_answer_for_do_not_outlast_the_lease(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One attempt looks for a limited time; the next goes on behind those that were looked at in vain."""
    wanted = stopped(running)
    silent, last = [running(name=f"silent {n}") for n in range(3)], running(name="last")
    idle(world, *silent, last)
    full(world, 4)
    settings.DAYTONA_READ_TIMEOUT = settings.DAYTONA_HOLD_TIMEOUT = 0.3
    monkeypatch.setattr(quota_search, "LOOKING_SECONDS", 0.1)
    daytona.reset()
    hung = [world.faults.add("hang", path=f"/sandbox/{box.daytona_id}$") for box in silent]

    def looked() -> int:
        return sum(world.faults.hits(rule) for rule in hung)

    operation, most = ask(wanted, Action.START), 0
    while not (operation.search or {}).get("victims"):
        step(world)
        before = looked()
        lifecycle.attempt(operation.pk)
        most = max(most, looked() - before)
        operation.refresh_from_db()
        assert operation.is_active, operation.code
    assert (most, looked()) == (1, 3), "one in each attempt, none of them twice"
    assert last.operations.get(source="eviction").caused_by_id == operation.pk


def test_why_was_mine_stopped_has_an_answer(world: Emulator, running: Callable[..., Sandbox]) -> None:
    wanted = stopped(running)
    old, new = running(name="old"), running(name="new")
    idle(world, old, new)
    lifecycle.protect(new.pk, actor=Actor.owner("alice"), until=clock.now() + timedelta(hours=1))
    full(world, 2)
    start(world, wanted)
    event = victims.why(old.pk)
    assert event is not None
    ranking = event.data["ranking"]
    assert [(line["name"], line["broken"]) for line in ranking] == [("old", []), ("new", ["not_protected"])]
    assert event.data["for_sandbox"] == str(wanted.pk)


def test_a_victim_comes_back_when_it_is_next_needed(world: Emulator, running: Callable[..., Sandbox]) -> None:
    wanted, old = stopped(running), running()
    idle(world, old)
    full(world, 1)
    start(world, wanted)
    used(wanted, seconds_ago=600)
    idle(world, wanted)
    assert start(world, old).status == "succeeded"
    assert reload(wanted.pk).status == "stopped"


SPARED: list[tuple[str, Callable[[Sandbox], object]]] = [
    ("not idle", lambda s: used(s, seconds_ago=60)),
    (
        "protected",
        lambda s: lifecycle.protect(s.pk, actor=Actor.owner("alice"), until=clock.now() + timedelta(hours=1)),
    ),
    ("another region", lambda s: Sandbox.objects.filter(pk=s.pk).update(target="eu")),
    ("another class", lambda s: Sandbox.objects.filter(pk=s.pk).update(sandbox_class="linux-vm")),
    ("another owner", lambda s: Sandbox.objects.filter(pk=s.pk).update(owner_id=other())),
]


def other() -> str:
    from sandboxes.models import Owner

    return Owner.objects.get_or_create(pk="bob")[0].pk


@pytest.mark.parametrize("spare", [pair[1] for pair in SPARED], ids=[pair[0] for pair in SPARED])
def test_nothing_against_the_rules_is_stopped(
    world: Emulator, running: Callable[..., Sandbox], spare: Callable[[Sandbox], object]
) -> None:
    wanted, only = stopped(running), running()
    idle(world, only)
    spare(only)
    full(world, 1)
    operation = start(world, wanted)
    assert (operation.status, operation.code) == ("failed", "capacity_exhausted")
    assert reload(only.pk).status == "running"
    assert reload(wanted.pk).status == "stopped"


@pytest.mark.parametrize("minutes", [0, 30])
def test_one_that_a_stop_would_destroy_or_doom_is_never_a_victim(
    world: Emulator, running: Callable[..., Sandbox], minutes: int
) -> None:
    wanted, only = stopped(running), running()
    idle(world, only)
    # Set in Daytona alone: the row does not know it, the GET just before does.
    blocking.run(daytona.gateway().set_auto_delete(str(only.daytona_id), minutes))
    full(world, 1)
    assert start(world, wanted).code == "capacity_exhausted"
    assert [line["action"] for line in world.log(key=str(only.daytona_id))] == ["create", "autodelete"]
    assert not only.operations.filter(source="eviction").exists()


def test_one_with_an_operation_is_never_a_victim(world: Emulator, running: Callable[..., Sandbox]) -> None:
    wanted, only = stopped(running), running()
    idle(world, only)
    full(world, 1)
    sync = ask(only, Action.SYNC)
    Operation.objects.filter(pk=sync.pk).update(due_at=clock.now() + timedelta(hours=1))
    operation = ask(wanted, Action.START)

    def ended() -> bool:
        lifecycle.attempt(operation.pk)
        operation.refresh_from_db()
        return not operation.is_active

    step_until(world, ended, what="end of the start")
    assert operation.code == "capacity_exhausted"


def test_other_owners_make_room_only_in_the_scope_of_the_organisation(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.EVICTION_SCOPE = "organization"
    wanted, own, foreign = stopped(running), running(name="own"), running(owner="bob", name="foreign")
    idle(world, foreign, own)
    full(world, 2)
    assert start(world, wanted).status == "succeeded"
    assert (reload(own.pk).status, reload(foreign.pk).status) == ("stopped", "running")


def test_with_the_scope_off_nobody_is_stopped(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.EVICTION_SCOPE = "off"
    wanted, only = stopped(running), running()
    idle(world, only)
    full(world, 1)
    assert start(world, wanted).code == "capacity_exhausted"


def test_a_large_one_takes_the_room_of_several(world: Emulator, running: Callable[..., Sandbox]) -> None:
    wanted = stopped(running, tier="standard")
    small = [running(name=f"small {n}") for n in range(3)]
    idle(world, *small)
    full(world, 3)
    operation = start(world, wanted)
    assert operation.status == "succeeded"
    assert [reload(one.pk).status for one in small] == ["stopped", "stopped", "running"]


def test_a_quota_below_the_sandbox_itself_stops_nobody(world: Emulator, running: Callable[..., Sandbox]) -> None:
    wanted, only = stopped(running, tier="standard"), running()
    idle(world, only)
    full(world, 1)
    assert start(world, wanted).code == "quota_too_small"
    assert reload(only.pk).status == "running"


def test_a_region_without_any_gpu_stops_nobody(world: Emulator, running: Callable[..., Sandbox]) -> None:
    wanted, only = stopped(running), running()
    idle(world, only)
    answer = {"statusCode": 400, "message": "Total GPU limit exceeded. Maximum allowed: 0."}
    world.faults.add("status", path="/start$", status=400, answer=answer)
    assert start(world, wanted).code == "quota_too_small"
    assert reload(only.pk).status == "running"


def test_a_false_refusal_stops_nobody(world: Emulator, running: Callable[..., Sandbox]) -> None:
    wanted, only = stopped(running), running()
    idle(world, only)
    world.faults.add(
        "status", path="/start$", times=1, status=400,
        answer={"statusCode": 400, "message": "Total CPU limit exceeded. Maximum allowed: 4.\nTo increase …"},
    )  # fmt: skip
    assert start(world, wanted).status == "succeeded"
    assert reload(only.pk).status == "running"


def test_throttling_stops_nobody(world: Emulator, running: Callable[..., Sandbox]) -> None:
    wanted, only = stopped(running), running()
    idle(world, only)
    world.faults.add(
        "status", path="/start$", times=3, status=429, headers={"Retry-After-sandbox-lifecycle": "0"},
        answer={"statusCode": 429, "message": "ThrottlerException: Too Many Requests"},
    )  # fmt: skip
    assert start(world, wanted).status == "succeeded"
    assert reload(only.pk).status == "running"


def test_a_victim_that_a_person_takes_back_is_not_stopped(world: Emulator, running: Callable[..., Sandbox]) -> None:
    wanted, first, second = stopped(running), running(name="first"), running(name="second")
    idle(world, first, second)
    full(world, 2)
    operation = ask(wanted, Action.START)

    def chosen() -> bool:
        lifecycle.attempt(operation.pk)
        return first.operations.filter(source="eviction").exists()

    step_until(world, chosen, what="eviction")
    taken_back = ask(first, Action.START)
    used(first, seconds_ago=0)
    settle_in(world, operation, taken_back)
    assert (operation.status, taken_back.status) == ("succeeded", "succeeded")
    assert (reload(first.pk).status, reload(second.pk).status) == ("running", "stopped")


def test_a_worker_killed_after_it_chose_costs_no_second_victim(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    wanted = stopped(running)
    old, new = running(name="old"), running(name="new")
    idle(world, old, new)
    full(world, 2)
    operation = ask(wanted, Action.START)

    def chosen() -> bool:
        lifecycle.attempt(operation.pk)
        return old.operations.filter(source="eviction").exists()

    step_until(world, chosen, what="victim")
    operation.refresh_from_db()
    assert operation.search
    operation.search |= {"phase": "choose", "victims": []}  # the stop was written, this was not
    operation.save()
    settle_in(world, operation)
    assert operation.status == "succeeded"
    assert reload(new.pk).status == "running"
    assert Operation.objects.filter(source="eviction").count() == 1


def test_a_create_makes_room_too(world: Emulator, running: Callable[..., Sandbox]) -> None:
    only = running()
    idle(world, only)
    full(world, 1)
    operation = lifecycle.create("alice", actor=Actor.owner("alice"), source=Source.API, new=lifecycle.NewRequest())
    settle_in(world, operation)
    assert operation.status == "succeeded"
    assert reload(only.pk).status == "stopped"


def test_what_stopping_still_counts_is_waited_for(world: Emulator, running: Callable[..., Sandbox]) -> None:
    wanted, only = stopped(running), running()
    idle(world, only)
    world.settings(transition=1.0)
    full(world, 1)
    assert start(world, wanted).status == "succeeded"
    assert [line["action"] for line in world.log(system="daytona")][-2:] == ["stop", "start"]
