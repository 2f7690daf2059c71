from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import ACTIVE, Action, Actor, Source
from sandboxes.models import Operation, Sandbox
from sandboxes.services import intent, lifecycle, owners, sandbox_store
from sandboxes.services.intent import Ready
from tests.support.driving import ask, do, forward_touches, pass_time, reload, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import DjangoAssertNumQueries, Settings

    from tests.support.emulator import Emulator

AGENT = Actor.service("agent", on_behalf_of="alice")


def gate(sandbox: Sandbox) -> Ready | Operation:
    return intent.ensure_running(sandbox.pk, actor=AGENT, source=Source.API)


def refusal(sandbox: Sandbox) -> Refused:
    with pytest.raises(Refused) as error:
        gate(sandbox)
    return error.value


def test_a_running_sandbox_seen_a_moment_ago_is_ready_at_once(
    world: Emulator,
    running: Callable[..., Sandbox],
    settings: Settings,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    sandbox = running()
    before = world.counts()["daytona"]
    with django_assert_max_num_queries(2):  # the row with its owner, its active operations
        assert isinstance(gate(sandbox), Ready)
    assert world.counts()["daytona"] == before


def test_an_old_observation_is_looked_at_again(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    clock.move(61)
    operation = gate(sandbox)
    assert isinstance(operation, Operation)
    assert operation.action == "sync"
    settle(operation)
    assert isinstance(gate(sandbox), Ready)


def test_one_in_use_is_looked_at_before_it_was_seen_too_long_ago(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    used, idle = running(), running()
    gets = [0]
    for _ in range(9):
        pass_time(20)
        assert isinstance(gate(used), Ready)
        gets.append(world.counts()["daytona"]["GET /sandbox/{id}"])
    assert 2 <= gets[-1] - gets[1] <= 5, "neither never nor each time"
    assert isinstance(gate(idle), Operation), "nobody asked, so nobody looked"


@pytest.mark.parametrize("action", [Action.STOP, Action.ARCHIVE])
def test_what_a_person_stopped_stays_stopped_and_says_who_when_and_why(
    world: Emulator, running: Callable[..., Sandbox], action: Action
) -> None:
    sandbox = running()
    do(sandbox, action, reason="lunch")
    error = refusal(sandbox)
    assert error.code == Code.SANDBOX_STOPPED_BY_USER
    assert error.extra["stopped_by"] == "owner:alice"
    assert error.extra["stopped_reason"] == "lunch"
    assert error.extra["stopped_at"] == reload(sandbox.pk).intent_at.isoformat()  # type: ignore[union-attr]


def test_the_gate_closes_with_the_request_not_with_daytona(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    ask(sandbox, Action.STOP)
    assert reload(sandbox.pk).status == "running"
    assert refusal(sandbox).code == Code.SANDBOX_STOPPED_BY_USER


def test_a_stop_that_comes_after_the_gate_has_looked_still_closes_it(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="stopped", desiredState="stopped")
    do(sandbox, Action.SYNC)
    stops: list[Operation] = []

    def stop() -> None:
        stops.append(ask(sandbox, Action.STOP, reason="lunch"))
        connection.close()

    def between(execute: Callable[..., object], *query: object) -> object:
        answer = execute(*query)
        if not stops:  # the gate has read the row: now a person stops it, in a connection of their own
            person = threading.Thread(target=stop)
            person.start()
            person.join()
        return answer

    with connection.execute_wrapper(between):
        error = refusal(sandbox)
    assert (error.code, error.extra["stopped_reason"]) == (Code.SANDBOX_STOPPED_BY_USER, "lunch")
    assert sandbox_store.active_operation(sandbox.pk) == stops[0]
    assert reload(sandbox.pk).intent == "stopped"


def test_a_look_under_way_is_joined_and_never_taken_for_a_start(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    sync = ask(sandbox, Action.SYNC)
    assert isinstance(gate(sandbox), Ready)
    clock.move(61)
    assert gate(sandbox) == sync
    settle(sync)
    assert sync.status == "succeeded"
    assert isinstance(gate(sandbox), Ready)


def test_an_idle_stop_of_daytona_does_not_bind_the_agent(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="stopped", desiredState="stopped")
    do(sandbox, Action.SYNC)
    assert (reload(sandbox.pk).status, reload(sandbox.pk).intent) == ("stopped", "running")
    start = gate(sandbox)
    assert isinstance(start, Operation)
    assert start.action == "start"
    settle(start)
    assert isinstance(gate(sandbox), Ready)


def test_a_sandbox_being_created_or_started_is_joined(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="stopped", desiredState="stopped")
    do(sandbox, Action.SYNC)
    first, second = gate(sandbox), gate(sandbox)
    assert isinstance(first, Operation)
    assert isinstance(second, Operation)
    assert first.pk == second.pk


def test_a_deleted_sandbox_is_gone(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    delete = ask(sandbox, Action.DELETE)
    assert refusal(sandbox).code == Code.SANDBOX_GONE
    settle(delete)
    assert refusal(sandbox).code == Code.SANDBOX_GONE


def test_an_owner_on_hold_is_refused_even_while_it_runs(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running(ephemeral=True)
    owners.hold("alice", actor=Actor.staff("admin"), reason="unpaid")
    assert refusal(sandbox).code == Code.OWNER_ON_HOLD


def test_an_unrecoverable_sandbox_says_so(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="error", errorReason="melted", recoverable=False)
    do(sandbox, Action.SYNC)
    assert refusal(sandbox).code == Code.SANDBOX_UNRECOVERABLE


def test_touch_is_monotonic_throttled_and_forwarded(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.TOUCH_EVERY = 1500.0
    sandbox = running()
    intent.touch(sandbox.pk, actor=AGENT)
    first = reload(sandbox.pk).last_accessed_at
    pass_time(1000)
    intent.touch(sandbox.pk, actor=AGENT)
    assert reload(sandbox.pk).last_accessed_at == first
    pass_time(1000)
    intent.touch(sandbox.pk, actor=AGENT)
    second = reload(sandbox.pk).last_accessed_at
    assert first is not None
    assert second is not None
    assert second > first
    assert forward_touches() == 1, "two uses, and one of them is told"
    assert world.log()[-1]["action"] == "last-activity"
    assert forward_touches() == 0


def test_touch_of_a_gone_sandbox_is_refused(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    do(sandbox, Action.DELETE)
    with pytest.raises(Refused) as error:
        intent.touch(sandbox.pk, actor=AGENT)
    assert error.value.code == Code.SANDBOX_GONE


def test_an_agent_that_asks_each_second_while_daytona_does_not_find_it_makes_few_looks_and_events(
    world: Emulator, running: Callable[..., Sandbox], no_attempt_waits: None, settings: Settings
) -> None:
    settings.INTENT_RETRY_SECONDS = 5.0
    sandbox = running()
    clock.move(settings.OBSERVATION_TTL + 1)
    events = sandbox.events.count()
    number = world.faults.add(
        "status", method="GET", path=f"/sandbox/{sandbox.daytona_id}$", status=404,
        answer={"statusCode": 404, "message": f"Sandbox with ID or name {sandbox.daytona_id} not found"},
    )  # fmt: skip
    for _ in range(51):
        asked = gate(sandbox)
        assert isinstance(asked, Operation)
        attempt_due()
        clock.move(1)
    assert world.faults.hits(number) <= 12
    assert [one.action for one in sandbox.operations.order_by("created_at")] == ["create", "sync", "start"]
    assert sandbox.events.count() - events <= 3
    world.faults.remove(number)
    clock.move(30)
    settle()
    assert isinstance(gate(sandbox), Ready)


def attempt_due() -> None:
    """What a worker does: advance the operations whose time has come."""
    due = Operation.objects.filter(status__in=ACTIVE, due_at__lte=clock.now())
    for pk in list(due.values_list("pk", flat=True)):
        lifecycle.attempt(pk)
