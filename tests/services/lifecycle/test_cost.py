"""What one attempt costs: queries, and calls to Daytona. BEGIN and COMMIT are counted as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection

from sandboxes.core.vocabulary import Action, OperationStatus
from sandboxes.models import Operation, Sandbox
from sandboxes.services import lifecycle
from tests.support.driving import ask, reload

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import DjangoAssertNumQueries, Settings

    from tests.support.emulator import Emulator

# PostgreSQL is asked for the time once in each transaction.
ASKS_THE_TIME = {"sqlite": 0, "postgresql": 1}


@pytest.fixture
def asks_the_time(settings: Settings) -> int:
    settings.ATTEMPT_SECONDS = 0.0  # one fetch in each attempt
    return ASKS_THE_TIME[connection.vendor]


def calls(world: Emulator) -> dict[str, int]:
    return dict(world.counts()["daytona"])


def new_calls(world: Emulator, before: dict[str, int]) -> dict[str, int]:
    return {
        name: count - before.get(name, 0) for name, count in calls(world).items() if count != before.get(name, 0)
    }


def test_an_attempt_that_waits_takes_one_look_and_nine_queries(
    world: Emulator,
    running: Callable[..., Sandbox],
    django_assert_max_num_queries: DjangoAssertNumQueries,
    asks_the_time: int,
) -> None:
    sandbox = running()
    stop = ask(sandbox, Action.STOP)
    assert sandbox.daytona_id
    world.change(sandbox.daytona_id, state="stopping")
    assert lifecycle.attempt(stop.pk)  # the first one notes the new state on the timeline
    before = calls(world)
    # claim, read; begin, lock, the operation, its calls, save both (the lease is given back with it), commit
    with django_assert_max_num_queries(9 + asks_the_time):
        assert lifecycle.attempt(stop.pk)
    assert new_calls(world, before) == {"GET /sandbox/{id}": 1}
    stop.refresh_from_db()
    assert (stop.status, stop.step) == (OperationStatus.IN_PROGRESS, "Daytona is stopping it")
    assert reload(sandbox.pk).lease_until is None


def test_an_attempt_that_ends_an_operation_adds_a_line_to_the_timeline(
    world: Emulator,
    running: Callable[..., Sandbox],
    django_assert_max_num_queries: DjangoAssertNumQueries,
    asks_the_time: int,
) -> None:
    sandbox = running()
    sync = ask(sandbox, Action.SYNC)
    before = calls(world)
    with django_assert_max_num_queries(10 + asks_the_time):
        assert lifecycle.attempt(sync.pk)
    assert new_calls(world, before) == {"GET /sandbox/{id}": 1}
    assert Operation.objects.get(pk=sync.pk).status == OperationStatus.SUCCEEDED
    assert reload(sandbox.pk).lease_until is None


def test_an_attempt_of_an_operation_that_has_ended_is_two_queries(
    world: Emulator,
    running: Callable[..., Sandbox],
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    ended = Operation.objects.get(sandbox=running())
    before = calls(world)
    with django_assert_max_num_queries(2):  # it cannot be claimed, and nothing is to be looked at later
        assert not lifecycle.attempt(ended.pk)
    assert not new_calls(world, before)
