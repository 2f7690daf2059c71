"""While Daytona is at work, nothing here or in Convex says that a sandbox is at rest, whatever is asked then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.core.states import ERROR_STATES
from sandboxes.core.vocabulary import Action, Status
from sandboxes.providers import blocking
from sandboxes.providers.convex import gateway as convex_gateway
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import lifecycle
from tests.services.making_room import stopped
from tests.services.projection.driving import Convex
from tests.support.driving import ask, do, reload, run_due, step, step_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings

    from sandboxes.models import Operation, Sandbox
    from tests.support.emulator import Emulator

AT_REST = {Status.RUNNING, Status.STOPPED, Status.ARCHIVED, Status.ERROR, Status.GONE}


@pytest.fixture
def slow(world: Emulator, no_attempt_waits: None, settings: Settings) -> Iterator[Convex]:
    """Daytona takes its time and answers at once, on a clock that only the test moves; Convex is on."""
    settings.CONVEX_URL = world.convex_url
    settings.CONVEX_DEPLOY_KEY = world.convex_key
    convex_gateway.reset()
    convex = Convex(world)
    convex.configure(functions="second")
    yield convex
    convex_gateway.reset()


def is_at_work(world: Emulator, sandbox: Sandbox) -> bool:
    remote = world.sandbox(str(sandbox.daytona_id))
    return remote is not None and remote["state"] not in (remote["desired"], *ERROR_STATES)


def take_time(world: Emulator) -> None:
    world.settings(transition=3, archive=6, race=0, hold=0)
    world.stop_clock()


def never_at_rest_while_daytona_works(world: Emulator, convex: Convex, sandbox: Sandbox, last: Operation) -> None:
    """Drive to the end of `last`, and look at each step at what is shown here, and after each push in Convex."""

    def ended() -> bool:
        if is_at_work(world, sandbox):
            assert reload(sandbox.pk).status not in AT_REST
        run_due()
        last.refresh_from_db()
        if not is_at_work(world, sandbox):
            return not last.is_active
        assert reload(sandbox.pk).status not in AT_REST
        assert not AT_REST & {row["status"] for row in convex.rows(sandbox)}
        return False

    step_until(world, ended, what=f"end of the {last.action}")


@pytest.mark.parametrize(
    ("before", "first", "then", "ends"),
    [
        ("stopped", Action.START, Action.STOP, "stopped"),
        ("started", Action.STOP, Action.START, "running"),
        ("stopped", Action.START, Action.DELETE, "gone"),
        ("stopped", Action.START, Action.RECOVER, "running"),
    ],
)
def test_a_request_over_a_call_at_work(
    world: Emulator,
    running: Callable[..., Sandbox],
    slow: Convex,
    before: str,
    first: Action,
    then: Action,
    ends: str,
) -> None:
    sandbox = stopped(running) if before == "stopped" else running()
    run_due()
    take_time(world)
    lifecycle.attempt(ask(sandbox, first).pk)
    assert is_at_work(world, sandbox)
    never_at_rest_while_daytona_works(world, slow, sandbox, ask(sandbox, then))
    assert reload(sandbox.pk).status == ends


@pytest.mark.parametrize(
    "then",
    [
        Action.START,
        Action.STOP,
        Action.ARCHIVE,
        Action.DELETE,
    ],
)
def test_a_restore_that_waits_for_a_host_is_at_work(
    world: Emulator, running: Callable[..., Sandbox], slow: Convex, then: Action
) -> None:
    sandbox = stopped(running)
    do(sandbox, Action.ARCHIVE)
    run_due()
    take_time(world)
    world.settings(runner="unresponsive")
    lifecycle.attempt(ask(sandbox, Action.START).pk)
    last = ask(sandbox, then)
    for _ in range(20):
        step(world)
        run_due()
        remote = world.sandbox(str(sandbox.daytona_id))
        assert remote is not None
        assert (remote["state"], remote["desired"]) == ("archived", "started")
        assert reload(sandbox.pk).status not in AT_REST
        assert not AT_REST & {row["status"] for row in slow.rows(sandbox)}
    world.settings(runner="ready")
    never_at_rest_while_daytona_works(world, slow, sandbox, last)
    assert last.status == "succeeded"


def test_a_restore_that_somebody_else_asked_for_is_at_work(
    world: Emulator, running: Callable[..., Sandbox], slow: Convex
) -> None:
    sandbox = stopped(running)
    do(sandbox, Action.ARCHIVE)
    world.settings(runner="unresponsive", hold=0)
    blocking.run(daytona.gateway().change("start", str(sandbox.daytona_id)))
    do(sandbox, Action.SYNC)
    assert reload(sandbox.pk).status == "starting"
