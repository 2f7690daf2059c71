"""A restart: a stop and a start as one operation, wanted running all along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.core.codes import Code, Refused
from sandboxes.core.parameters import Parameters
from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import intent, lifecycle, owners
from tests.services.making_room import full, idle
from tests.support.driving import ask, reload, run_due, settle, settle_in, step, step_until
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from sandboxes.models import Operation, Sandbox
    from tests.support.emulator import Emulator

AGENT = Actor.service("agent-runtime", on_behalf_of="alice")


@pytest.fixture
def impatient(settings: Settings) -> None:
    """What Daytona does not answer while its clock stands still is not waited for."""
    settings.DAYTONA_READ_TIMEOUT = settings.DAYTONA_HOLD_TIMEOUT = 0.2
    daytona.reset()


def calls(operation: Operation) -> list[tuple[str, str]]:
    return list(operation.calls.order_by("pk").values_list("name", "outcome"))


def ensure_running(sandbox: Sandbox) -> intent.Ready | Operation:
    return intent.ensure_running(sandbox.pk, actor=AGENT, source=Source.API)


def stopped(world: Emulator, running: Callable[..., Sandbox], **new: object) -> Sandbox:
    sandbox = running(**new)
    settle_in(world, ask(sandbox, Action.STOP))
    return sandbox


def test_it_is_stopped_and_started_and_an_agent_never_reads_that_a_person_stopped_it(
    world: Emulator, running: Callable[..., Sandbox], no_attempt_waits: None
) -> None:
    sandbox = running()
    world.settings(transition=0.3)
    restart = ask(sandbox, Action.RESTART, reason="a new package")
    seen: list[str] = []

    def has_ended() -> bool:
        row = reload(sandbox.pk)
        seen.append(row.status)
        assert row.intent == "running"
        asked = ensure_running(sandbox)
        assert isinstance(asked, intent.Ready) or asked.pk == restart.pk
        run_due()
        restart.refresh_from_db()
        return not restart.is_active

    wait_until(has_ended, what="end of the restart")
    assert {"running", "stopping"} <= set(seen) <= {"running", "stopping", "starting"}
    assert restart.status == "succeeded"
    assert calls(restart) == [("stop", "accepted"), ("start", "accepted")]
    row = reload(sandbox.pk)
    assert (row.status, row.intent) == ("running", "running")
    assert row.intent_met_at is not None
    assert isinstance(ensure_running(sandbox), intent.Ready)


def test_what_is_stopped_is_started(
    world: Emulator, running: Callable[..., Sandbox], no_attempt_waits: None
) -> None:
    sandbox = stopped(world, running)
    restart = ask(sandbox, Action.RESTART)
    settle_in(world, restart)
    assert (restart.status, calls(restart)) == ("succeeded", [("start", "accepted")])
    assert reload(sandbox.pk).intent == "running"


def test_the_same_again_is_joined_and_so_is_a_start(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    restart = ask(sandbox, Action.RESTART)
    assert ask(sandbox, Action.RESTART).pk == restart.pk
    assert ask(sandbox, Action.START).pk == restart.pk
    settle(restart)
    assert calls(restart) == [("stop", "accepted"), ("start", "accepted")]


def test_a_stop_that_comes_meanwhile_wins(
    world: Emulator, running: Callable[..., Sandbox], no_attempt_waits: None
) -> None:
    sandbox = running()
    restart = ask(sandbox, Action.RESTART)
    run_due()
    stop = ask(sandbox, Action.STOP)
    settle_in(world, stop)
    restart.refresh_from_db()
    assert (restart.status, restart.code) == ("cancelled", "superseded")
    assert reload(sandbox.pk).status == "stopped"
    with pytest.raises(Refused) as refused:
        ensure_running(sandbox)
    assert refused.value.code == Code.SANDBOX_STOPPED_BY_USER


def test_a_stop_without_an_answer_that_was_lost_is_made_again(
    world: Emulator, running: Callable[..., Sandbox], no_attempt_waits: None
) -> None:
    """That it runs proves nothing before it was seen stopped."""
    sandbox = running()
    world.faults.add("drop_before", path="/stop$", times=1)
    restart = ask(sandbox, Action.RESTART)
    settle_in(world, restart)
    assert restart.status == "succeeded"
    assert [name for name, _ in calls(restart)] == ["stop", "stop", "start"]


def test_an_owner_on_hold_keeps_what_runs(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    restart = ask(sandbox, Action.RESTART)
    row = reload(sandbox.pk).owner
    type(row).objects.filter(pk=row.pk).update(hold_since=restart.created_at)
    settle(restart)
    assert (restart.status, restart.code, calls(restart)) == ("failed", "owner_on_hold", [])
    with pytest.raises(Refused) as refused:
        ask(sandbox, Action.RESTART)
    assert refused.value.code == Code.OWNER_ON_HOLD


def test_a_hold_ends_it_stopped(world: Emulator, running: Callable[..., Sandbox], no_attempt_waits: None) -> None:
    sandbox = running()
    restart = ask(sandbox, Action.RESTART)
    run_due()
    assert calls(restart) == [("stop", "accepted")]
    assert owners.hold("alice", actor=Actor.staff("admin"), reason="unpaid") == 1
    step_until(world, lambda: not run_due(), what="rest")
    assert reload(sandbox.pk).status == "stopped"


def test_a_full_quota_makes_room_for_its_start(
    world: Emulator, running: Callable[..., Sandbox], no_attempt_waits: None, impatient: None
) -> None:
    """What its own stop gave back may be somebody else's by then."""
    sandbox, other = running(), running()
    idle(world, other)
    world.stop_clock()
    world.settings(transition=3)
    restart = ask(sandbox, Action.RESTART)
    run_due()
    assert [name for name, _ in calls(restart)] == ["stop"]
    full(world, 1)
    settle_in(world, restart)
    assert restart.status == "succeeded"
    assert reload(other.pk).status == "stopped"
    assert reload(other.pk).intent == "running"


def test_it_is_taken_back_before_its_first_call(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    restart = ask(sandbox, Action.RESTART)
    lifecycle.cancel(restart.pk, actor=Actor.owner("alice"))
    settle()
    restart.refresh_from_db()
    assert (restart.status, calls(restart)) == ("cancelled", [])
    assert reload(sandbox.pk).status == "running"


def test_what_its_stop_would_destroy_is_not_restarted(world: Emulator, running: Callable[..., Sandbox]) -> None:
    fleeting = running(ephemeral=True)
    for force in (False, True):
        with pytest.raises(Refused) as refused:
            ask(fleeting, Action.RESTART, parameters=Parameters(force=force))
        assert refused.value.code == Code.EPHEMERAL_CANNOT_RESTART
    doomed = running(auto_delete_minutes=60)
    with pytest.raises(Refused) as refused:
        ask(doomed, Action.RESTART)
    assert refused.value.code == Code.AUTO_DELETE_WOULD_DESTROY
    restart = ask(doomed, Action.RESTART, parameters=Parameters(force=True))
    settle(restart)
    assert restart.status == "succeeded"


def test_a_start_that_fails_ends_it_and_the_next_use_starts_it(
    world: Emulator, running: Callable[..., Sandbox], no_attempt_waits: None
) -> None:
    sandbox = running()
    restart = ask(sandbox, Action.RESTART)
    refusal = world.faults.add("status", path="/start$", status=400, answer={"statusCode": 400, "message": "No."})
    settle_in(world, restart)
    assert (restart.status, restart.code) == ("failed", "daytona_rejected")
    row = reload(sandbox.pk)
    assert (row.status, row.intent, row.intent_met_at) == ("stopped", "running", None)
    world.faults.remove(refusal)
    step(world)
    again = ensure_running(sandbox)
    assert not isinstance(again, intent.Ready)
    assert again.action == Action.START
