"""What one attempt costs: queries, and calls to Daytona. BEGIN and COMMIT are counted as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.core.facts import CallResult, FetchFailed
from sandboxes.core.results import ResultKind
from sandboxes.core.vocabulary import Action, OperationStatus, Status
from sandboxes.models import Operation, Sandbox
from sandboxes.services import lifecycle, notices
from sandboxes.services.lifecycle import turns
from tests.support import rows
from tests.support.driving import ask, reload

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import DjangoAssertNumQueries, Settings

    from tests.support.emulator import Emulator


@pytest.fixture
def one_fetch(settings: Settings) -> None:
    """Each attempt is over after it."""
    settings.ATTEMPT_SECONDS = 0.0


def calls(world: Emulator) -> dict[str, int]:
    return dict(world.counts()["daytona"])


def new_calls(world: Emulator, before: dict[str, int]) -> dict[str, int]:
    return {
        name: count - before.get(name, 0) for name, count in calls(world).items() if count != before.get(name, 0)
    }


# Alone it is claimed by 3 (which sandbox, lease it, keep its operation from others) and decided by 7 (begin, lock,
# the operation with the time, its calls, save both with the lease, commit).
ALONE = 10


def test_an_attempt_that_waits_takes_one_look_and_ten_queries(
    world: Emulator,
    running: Callable[..., Sandbox],
    django_assert_num_queries: DjangoAssertNumQueries,
    one_fetch: None,
) -> None:
    sandbox = running()
    stop = ask(sandbox, Action.STOP)
    assert sandbox.daytona_id
    world.change(sandbox.daytona_id, state="stopping")
    assert lifecycle.attempt(stop.pk)  # the first one notes the new state on the timeline
    before = calls(world)
    with django_assert_num_queries(ALONE):
        assert lifecycle.attempt(stop.pk)
    assert new_calls(world, before) == {"GET /sandbox/{id}": 1}
    stop.refresh_from_db()
    assert (stop.status, stop.step) == (OperationStatus.IN_PROGRESS, "Daytona is stopping it")
    assert reload(sandbox.pk).lease_until is None


def test_an_attempt_that_ends_an_operation_takes_no_more(
    world: Emulator,
    running: Callable[..., Sandbox],
    django_assert_num_queries: DjangoAssertNumQueries,
    one_fetch: None,
) -> None:
    sandbox = running()
    sync = ask(sandbox, Action.SYNC)
    before = calls(world)
    with django_assert_num_queries(ALONE):
        assert lifecycle.attempt(sync.pk)
    assert new_calls(world, before) == {"GET /sandbox/{id}": 1}
    assert Operation.objects.get(pk=sync.pk).status == OperationStatus.SUCCEEDED
    assert reload(sandbox.pk).lease_until is None


def test_an_attempt_of_an_operation_that_has_ended_is_three_queries(
    world: Emulator,
    running: Callable[..., Sandbox],
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    ended = Operation.objects.get(sandbox=running())
    before = calls(world)
    with django_assert_num_queries(3):  # it has none to claim, and is not to be attempted later
        assert not lifecycle.attempt(ended.pk)
    assert not new_calls(world, before)


@pytest.mark.django_db
def test_a_condition_that_nobody_met_is_closed_by_one_query(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    """Every batch in which a call was accepted says that such conditions are over."""
    with django_assert_num_queries(1):
        notices.close(NoticeCode.ORG_SUSPENDED, NoticeCode.DAYTONA_UNAUTHORIZED)


@pytest.mark.django_db(transaction=True)
def test_what_workers_do_together_takes_as_many_queries_as_one_alone(
    django_assert_num_queries: DjangoAssertNumQueries, one_fetch: None
) -> None:
    """As they are done in a worker: twenty that wait are less than one query each, not ten."""
    sandboxes = [rows.sandbox(f"box {number}", status=Status.RUNNING) for number in range(20)]
    for sandbox in sandboxes:
        rows.operation(sandbox, Action.STOP, OperationStatus.QUEUED, due_at=clock.now(), step="queued")
    nothing = FetchFailed(CallResult(ResultKind.NO_ANSWER, message="Daytona is away"))

    def attempt(*some: Sandbox) -> None:
        claimed = turns.claim([sandbox.pk for sandbox in some])
        assert len(turns.decide_together([(turn, (nothing,)) for turn in claimed])) == len(some)

    attempt(*sandboxes)  # the first one notes on the timeline that it began
    which = 1  # which sandboxes: here they are known
    with django_assert_num_queries(ALONE - which):
        attempt(sandboxes[0])
    with django_assert_num_queries(ALONE - which):
        attempt(*sandboxes)
