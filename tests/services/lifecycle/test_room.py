"""A call that needs room: how long the region's lease is held, and for whom a victim is stopped."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes import clock
from sandboxes.core.resources import Resource
from sandboxes.core.vocabulary import Action
from sandboxes.models import Operation, Sandbox
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import leases, lifecycle, quota_search
from tests.support.driving import ask, do, reload, settle
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.support.emulator import Emulator

FULL: dict[str, Any] = {
    "status": 400, "answer": {"statusCode": 400, "message": "Total CPU limit exceeded. Maximum allowed: 9."}
}  # fmt: skip


@pytest.fixture
def wanted(running: Callable[..., Sandbox], settings: Settings) -> Sandbox:
    settings.ATTEMPT_SECONDS = 0.0
    sandbox = running()
    do(sandbox, Action.STOP)
    return reload(sandbox.pk)


def advance_to(operation: Operation, phase: str) -> None:
    def is_there() -> bool:
        lifecycle.attempt(operation.pk)
        operation.refresh_from_db()
        return (operation.search or {}).get("phase") == phase

    wait_until(is_there, what=phase)


def is_held(sandbox: Sandbox) -> bool:
    return leases.holder_of(quota_search.lease_name(sandbox, Resource.COMPUTE)) is not None


def test_a_call_that_daytona_holds_longer_than_we_wait_has_room(
    world: Emulator, wanted: Sandbox, settings: Settings
) -> None:
    settings.DAYTONA_READ_TIMEOUT = settings.DAYTONA_HOLD_TIMEOUT = 0.3
    daytona.reset()
    world.faults.add("status", path="/start$", times=1, **FULL)
    world.faults.add("hang", path="/start$", times=1, seconds=5, execute_after=1.0)
    start = ask(wanted, Action.START)

    def is_called_again() -> bool:
        lifecycle.attempt(start.pk)
        start.refresh_from_db()
        return [one.outcome for one in start.calls.order_by("id")] == ["refused", "unknown"]

    wait_until(is_called_again, what="second call")
    assert start.search is None
    assert not is_held(wanted)
    settle(start)
    assert start.status == "succeeded"


def test_nobody_is_stopped_for_one_that_runs_already(
    world: Emulator, wanted: Sandbox, running: Callable[..., Sandbox]
) -> None:
    idle = running()
    clock.move(3600)
    then = clock.now() - timedelta(seconds=600)
    Sandbox.objects.filter(pk=idle.pk).update(last_accessed_at=then, last_activity_at=then)
    world.faults.add("status", path="/start$", times=2, **FULL)
    start = ask(wanted, Action.START)
    advance_to(start, "choose")
    world.change(str(wanted.daytona_id), state="started", desiredState="started")
    settle(start)
    assert start.status == "succeeded"
    assert not Operation.objects.filter(source="eviction").exists()
    assert not is_held(wanted)


def test_one_that_is_superseded_lets_others_search(world: Emulator, wanted: Sandbox) -> None:
    world.faults.add("status", path="/start$", **FULL)
    start = ask(wanted, Action.START)
    advance_to(start, "retry")
    wait_until(lambda: lifecycle.attempt(start.pk) and is_held(wanted), what="lease")
    ask(wanted, Action.STOP)
    assert not is_held(wanted)
