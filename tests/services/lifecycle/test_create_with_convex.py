"""A create and Convex: where that may refuse the row it is waited for, and only so long may it undo the create."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.providers.convex import gateway
from sandboxes.services import lifecycle
from tests.services.projection.driving import Convex
from tests.support import convex as wire
from tests.support.driving import ask, pass_time, reload, run_due, settle
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings

    from sandboxes.models import Operation
    from tests.support.emulator import Emulator


@pytest.fixture
def convex(world: Emulator, no_attempt_waits: None, settings: Settings) -> Iterator[Convex]:
    settings.CONVEX_URL = world.convex_url
    settings.CONVEX_DEPLOY_KEY = world.convex_key
    gateway.reset()
    convex = Convex(world)
    convex.configure(functions="main")
    yield convex
    gateway.reset()


def fill(world: Emulator) -> None:
    """Convex counts five rows of hers that we know nothing of."""
    wire.seed(world, sandboxes=[wire.sandbox_row(f"old-{n}", userId="alice") for n in range(5)])


def create(name: str = "box") -> Operation:
    return lifecycle.create(
        "alice", actor=Actor.owner("alice"), source=Source.API, new=lifecycle.NewRequest(name=name)
    )


def test_when_a_create_has_succeeded_convex_has_the_row(world: Emulator, convex: Convex) -> None:
    operation = create()
    settle(operation)
    assert operation.status == "succeeded"
    row = reload(operation.sandbox_id)
    assert convex.row(row)["userId"] == "alice"


def test_where_convex_has_no_cap_it_is_told_beside_the_create(world: Emulator, convex: Convex) -> None:
    convex.configure(sandkeeper=True)
    settle(create("first"))  # from its push on it is known which functions there are
    wait_until(lambda: not run_due(), what="push of the first")
    number = world.faults.add("status", system="convex", status=503)
    operation = create("second")
    settle(operation)
    assert (operation.status, reload(operation.sandbox_id).status) == ("succeeded", "running")
    assert operation.step == ""
    world.faults.remove(number)
    pass_time(61)
    row = reload(operation.sandbox_id)
    wait_until(lambda: not run_due() and not reload(row.pk).projection.is_behind, what="push of the second")
    assert convex.row(row)["userId"] == "alice"


def test_convex_being_silent_for_a_minute_fails_no_create(world: Emulator, convex: Convex) -> None:
    world.faults.add("status", system="convex", status=503)
    operation = create()

    def waits() -> bool:
        lifecycle.attempt(operation.pk)
        operation.refresh_from_db()
        return operation.step == "waiting for Convex"

    wait_until(waits, what="wait for Convex")
    assert reload(operation.sandbox_id).status == "creating"
    pass_time(61)
    settle(operation)
    assert operation.status == "succeeded"
    assert reload(operation.sandbox_id).status == "running"


def test_convex_refusing_the_row_undoes_the_create(world: Emulator, convex: Convex) -> None:
    fill(world)
    operation = create()
    settle(operation)
    assert (operation.status, operation.code) == ("failed", "sandbox_limit_reached")
    settle()
    assert reload(operation.sandbox_id).status == "gone"
    assert world.state()["total"] == 0


def test_an_existing_sandbox_is_never_deleted_because_of_convex(world: Emulator, convex: Convex) -> None:
    number = world.faults.add("status", system="convex", status=503)
    operation = create()
    lifecycle.attempt(operation.pk)
    for _ in range(4):
        pass_time(30)
    settle(operation)
    assert operation.status == "succeeded"
    fill(world)
    world.faults.remove(number)
    for _ in range(5):
        pass_time(120)
    row = reload(operation.sandbox_id)
    assert (row.status, row.intent) == ("running", "running")
    assert row.projection.is_behind
    assert row.projection.error


def test_a_deleted_sandbox_makes_room_in_convex_for_the_next(world: Emulator, convex: Convex) -> None:
    first = [create(f"box {n}") for n in range(5)]
    settle(*first)
    delete = ask(reload(first[0].sandbox_id), Action.DELETE)
    settle(delete)
    sixth = create("sixth")
    settle(sixth)
    assert sixth.status == "succeeded", sixth.message
