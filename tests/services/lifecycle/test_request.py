from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from django.db import connections

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.facts import NewOperation
from sandboxes.core.parameters import Parameters
from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.models import Operation, Sandbox
from sandboxes.services import intent, lifecycle, lookup, sandbox_store
from sandboxes.services.decisions import create_operation
from sandboxes.services.victims import EVICTOR
from tests.support.driving import ask, do, reload, run_due, settle
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.support.emulator import Emulator

BOB = Actor.owner("bob")
STAFF = Actor.staff("admin")

EVICTION = NewOperation(action=Action.STOP, actor=EVICTOR, source=Source.EVICTION)


def test_the_same_request_twice_is_one_operation(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    first = ask(sandbox, Action.STOP)
    second = ask(sandbox, Action.STOP, actor=STAFF, reason="really")
    assert first.pk == second.pk
    assert (second.actor_kind, second.reason) == ("staff", "really")
    assert reload(sandbox.pk).intent_actor_id == "admin"


@pytest.mark.parametrize("forced", [(False, True), (True, False)])
def test_a_stop_is_forced_if_anybody_who_asked_for_it_said_so(
    world: Emulator, running: Callable[..., Sandbox], forced: tuple[bool, bool]
) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), autoDeleteInterval=5, quiet=True)  # a stop would doom it
    first, second = (ask(sandbox, Action.STOP, parameters=Parameters(force=force)) for force in forced)
    assert first.pk == second.pk
    settle(second)
    assert (second.status, second.code) == ("succeeded", "")


def test_a_stop_that_nobody_forced_fails_once_it_would_doom_the_sandbox(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), autoDeleteInterval=5, quiet=True)
    stop = do(sandbox, Action.STOP)
    assert (stop.status, stop.code) == ("failed", "auto_delete_would_destroy")


def test_the_newest_request_wins(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    stop = ask(sandbox, Action.STOP)
    start = ask(sandbox, Action.START)
    stop.refresh_from_db()
    assert (stop.status, stop.code) == ("cancelled", "superseded")
    settle(start)
    assert (start.status, reload(sandbox.pk).status) == ("succeeded", "running")


def test_nothing_supersedes_a_delete(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    delete = ask(sandbox, Action.DELETE)
    for action in (Action.START, Action.STOP, Action.ARCHIVE, Action.RECOVER):
        with pytest.raises(Refused) as error:
            ask(sandbox, action)
        assert error.value.code == Code.SANDBOX_DELETING
        assert error.value.extra["blocking_operation"] == str(delete.pk)
    settle(delete)
    assert reload(sandbox.pk).status == "gone"


def test_while_it_is_created_only_delete_and_start_may_come(world: Emulator) -> None:
    create = lifecycle.create("alice", actor=Actor.owner("alice"), source=Source.API, new=lifecycle.NewRequest())
    for action in (Action.STOP, Action.ARCHIVE, Action.RECOVER):
        with pytest.raises(Refused) as error:
            ask(create.sandbox, action)
        assert error.value.code == Code.SANDBOX_CREATING
    assert ask(create.sandbox, Action.START).pk == create.pk
    assert ask(create.sandbox, Action.SYNC).pk == create.pk
    assert ask(create.sandbox, Action.DELETE).pk != create.pk


def test_a_sync_never_supersedes(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    stop = ask(sandbox, Action.STOP)
    assert ask(sandbox, Action.SYNC).pk == stop.pk


def test_what_is_gone_stays_gone(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    do(sandbox, Action.DELETE)
    for action in Action:
        if action != Action.CREATE:
            with pytest.raises(Refused) as error:
                ask(sandbox, action)
            assert error.value.code == Code.SANDBOX_GONE


def test_an_ephemeral_sandbox_is_not_destroyed_by_a_stop_nobody_forced(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running(ephemeral=True)
    for action, code in [
        (Action.STOP, Code.EPHEMERAL_WOULD_BE_DESTROYED),
        (Action.ARCHIVE, Code.EPHEMERAL_CANNOT_ARCHIVE),
    ]:
        with pytest.raises(Refused) as error:
            ask(sandbox, action)
        assert error.value.code == code
    assert reload(sandbox.pk).intent == "running"
    assert do(sandbox, Action.STOP, parameters=Parameters(force=True)).status == "succeeded"
    settle()
    assert world.sandbox(str(sandbox.daytona_id)) is None or world.log()[-1]["action"] == "stop"


def test_cancel_restores_the_intent_of_before(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    stop = ask(sandbox, Action.STOP)
    cancelled = lifecycle.cancel(stop.pk, actor=Actor.owner("alice"))
    assert cancelled.status == "cancelled"
    row = reload(sandbox.pk)
    assert (row.intent, row.intent_met_at) == ("running", sandbox.intent_met_at)


def test_a_stop_of_the_system_that_a_person_joined_is_taken_back_like_their_own(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    with sandbox_store.lock_sandbox(sandbox.pk) as row:
        system = create_operation(row, EVICTION, now=clock.now())
    assert [ask(sandbox, Action.STOP).pk for _ in range(2)] == [system.pk, system.pk]
    lifecycle.cancel(system.pk, actor=Actor.owner("alice"))
    row = reload(sandbox.pk)
    assert (row.intent, row.intent_met_at) == ("running", sandbox.intent_met_at)
    settle()
    assert (reload(sandbox.pk).status, world.log()[-1]["action"]) == ("running", "create")


def test_who_asks_for_the_same_during_the_look_is_answered_by_it(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="stopped", desiredState="stopped", quiet=True)
    stop = ask(sandbox, Action.STOP)
    held = world.faults.add("delay", method="GET", path=f"/sandbox/{sandbox.daytona_id}$", times=1, seconds=0.3)

    def look() -> None:
        lifecycle.attempt(stop.pk)
        connections.close_all()

    worker = threading.Thread(target=look)
    worker.start()
    wait_until(lambda: world.faults.hits(held), what="the look")
    assert ask(sandbox, Action.STOP).pk == stop.pk
    worker.join()
    settle(stop)
    row = reload(sandbox.pk)
    assert (stop.status, row.intent_met_at is not None, row.fetch_due_at) == ("succeeded", True, None)


def test_cancel_is_refused_once_daytona_was_asked(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    world.settings(transition=5)
    stop = ask(sandbox, Action.STOP)
    lifecycle.attempt(stop.pk)
    with pytest.raises(Refused) as error:
        lifecycle.cancel(stop.pk, actor=Actor.owner("alice"))
    assert error.value.code == Code.OPERATION_NOT_CANCELLABLE


def test_cancelling_a_create_is_a_delete(world: Emulator) -> None:
    create = lifecycle.create("alice", actor=Actor.owner("alice"), source=Source.API, new=lifecycle.NewRequest())
    delete = lifecycle.cancel(create.pk, actor=Actor.owner("alice"))
    assert delete.action == "delete"
    settle()
    assert reload(create.sandbox_id).status == "gone"
    assert world.state()["total"] == 0


def test_a_finished_operation_cannot_be_cancelled(world: Emulator, running: Callable[..., Sandbox]) -> None:
    stop = do(running(), Action.STOP)
    with pytest.raises(Refused) as error:
        lifecycle.cancel(stop.pk, actor=STAFF)
    assert error.value.code == Code.OPERATION_FINISHED


def test_a_final_refusal_before_any_call_restores_the_intent(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="error", errorReason="x", recoverable=False)
    stop = do(sandbox, Action.STOP)
    assert (stop.status, stop.code) == ("failed", "sandbox_errored")
    assert reload(sandbox.pk).intent == "running"


FOREIGN: list[tuple[str, Callable[[Sandbox, Operation], object]]] = [
    ("request", lambda s, o: ask(s, Action.STOP, actor=BOB)),
    ("cancel", lambda s, o: lifecycle.cancel(o.pk, actor=BOB)),
    ("rename", lambda s, o: lifecycle.rename(s.pk, "mine", actor=BOB)),
    ("set_intervals", lambda s, o: lifecycle.set_intervals(s.pk, actor=BOB, auto_stop=1)),
    ("protect", lambda s, o: lifecycle.protect(s.pk, actor=BOB, until=None)),
    ("find", lambda s, o: lookup.find(str(s.pk), actor=BOB)),
    ("find by Daytona's id", lambda s, o: lookup.find(str(s.daytona_id), actor=BOB)),
    ("ensure_running", lambda s, o: intent.ensure_running(s.pk, actor=BOB, source=Source.API)),
    ("touch", lambda s, o: intent.touch(s.pk, actor=BOB)),
    (
        "create for another owner",
        lambda s, o: lifecycle.create("alice", actor=BOB, source=Source.API, new=lifecycle.NewRequest()),
    ),
]


@pytest.mark.parametrize("attempt", [pair[1] for pair in FOREIGN], ids=[pair[0] for pair in FOREIGN])
def test_for_a_foreign_owner_it_does_not_exist(
    world: Emulator, running: Callable[..., Sandbox], attempt: Callable[[Sandbox, Operation], object]
) -> None:
    sandbox = running()
    operation = do(sandbox, Action.STOP)
    before = Sandbox.objects.filter(pk=sandbox.pk).values().get()
    with pytest.raises(Refused) as error:
        attempt(sandbox, operation)
    assert error.value.code in (Code.SANDBOX_NOT_FOUND, Code.OPERATION_NOT_FOUND)
    assert Sandbox.objects.filter(pk=sandbox.pk).values().get() == before
    assert Operation.objects.count() == 2


def test_an_unknown_sandbox_is_not_found(world: Emulator) -> None:
    with pytest.raises(Refused) as error:
        lifecycle.request(uuid4(), Action.STOP, actor=STAFF, source=Source.ADMIN)
    assert error.value.code == Code.SANDBOX_NOT_FOUND


def test_a_create_goes_on_when_the_delete_that_replaced_it_is_taken_back(world: Emulator) -> None:
    create = lifecycle.create("alice", actor=Actor.owner("alice"), source=Source.API, new=lifecycle.NewRequest())
    delete = ask(create.sandbox, Action.DELETE)
    lifecycle.cancel(delete.pk, actor=Actor.owner("alice"))
    settle()
    row = reload(create.sandbox_id)
    assert (row.status, row.intent, row.intent_met_at is not None) == ("running", "running", True)


def test_a_move_that_outlives_its_operation_is_followed_to_its_end(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.ATTEMPT_SECONDS = 0.0
    world.settings(archive=3.0)
    sandbox = running()
    do(sandbox, Action.STOP)
    lifecycle.attempt(ask(sandbox, Action.ARCHIVE).pk)  # accepted: Daytona archives it from here on
    assert do(sandbox, Action.STOP).status == "succeeded"
    assert reload(sandbox.pk).status == "stopping"

    def is_archived() -> bool:
        run_due()
        return reload(sandbox.pk).status == "archived"

    wait_until(is_archived, what="end of the archive")
