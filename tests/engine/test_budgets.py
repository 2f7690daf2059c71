"""Workers share what Daytona takes in calls: a window's limit, a throttle, and a key that it refuses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Action, Actor, Source, Status
from sandboxes.models import CallBudget, Operation, Sandbox
from sandboxes.providers import blocking
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.providers.daytona.methods import LIFECYCLE
from sandboxes.providers.daytona.throttle import limits_in
from sandboxes.services import call_budgets, lifecycle
from tests.faults.workers import QUICK, workers
from tests.support import rows
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.support.emulator import Emulator

STAFF = Actor.staff("admin")


@pytest.mark.django_db(transaction=True)
def test_a_window_is_given_out_once_and_a_new_one_begins_when_it_ends(stopped_clock: None) -> None:
    call_budgets.learn("bucket", 6, 5, 10.0)
    assert call_budgets.grant("bucket", 4)[0] == 4
    assert call_budgets.grant("bucket", 4)[0] == 1, "one was made before anybody knew of the limit"
    granted, seconds = call_budgets.grant("bucket", 4)
    assert (granted, round(seconds, 3)) == (0, 10.1)
    clock.move(10.2)
    assert call_budgets.grant("bucket", 9)[0] == 6


@pytest.mark.django_db(transaction=True)
def test_of_two_ends_of_a_window_the_earlier_counts(stopped_clock: None) -> None:
    """Daytona rounds the seconds up with each answer."""
    call_budgets.learn("bucket", 6, 5, 10.0)
    clock.move(9.5)
    call_budgets.learn("bucket", 6, 4, 1.0)
    assert call_budgets.grant("bucket", 1)[1] == pytest.approx(0.6)


@pytest.mark.django_db(transaction=True)
def test_a_closed_bucket_gives_nothing_and_says_for_how_long(stopped_clock: None) -> None:
    call_budgets.learn("bucket", 6, 6, 10.0)
    call_budgets.close("bucket", 30.0)
    granted, seconds = call_budgets.grant("bucket", 1)
    assert (granted, round(seconds, 3)) == (0, 30.0)
    limits, closed = call_budgets.read()
    assert (limits, {name: round(left, 3) for name, left in closed.items()}) == ({"bucket": 6}, {"bucket": 30.0})
    call_budgets.reopen("bucket")
    assert call_budgets.read()[1] == {}


@pytest.mark.django_db(transaction=True)
def test_a_limit_that_was_just_learned_and_is_not_written_yet_stops_nobody() -> None:
    assert call_budgets.grant("bucket", 3)[0] == 3


class Asked:
    """What other processes know, as a wire asks for it."""

    def __init__(self) -> None:
        self.buckets: list[str] = []

    async def enter(self, buckets: Iterable[str]) -> None:
        self.buckets += buckets

    def answered(self, *limit: object) -> None: ...
    def throttled(self, name: str, seconds: float) -> None: ...
    def refused(self, seconds: float) -> None: ...
    def accepted(self) -> None: ...


def test_only_the_event_loop_that_shares_a_budget_goes_by_it(world: Emulator) -> None:
    """A search for room asks from another one, in a thread of its own."""
    shared, (key,) = Asked(), world.seed(count=1)

    async def share() -> None:
        daytona.gateway().share(lambda _: shared)
        await daytona.gateway().get(key)

    async def ask() -> None:
        await daytona.gateway().get(key)

    blocking.run(share())
    assert shared.buckets == ["authenticated"]
    asyncio.run(ask())
    assert shared.buckets == ["authenticated"]


def test_limits_are_read_from_the_headers_of_the_call_s_own_bucket() -> None:
    headers = {
        "X-RateLimit-Limit-sandbox-lifecycle": "6",
        "X-RateLimit-Remaining-sandbox-lifecycle": "5",
        "X-RateLimit-Reset-sandbox-lifecycle": "10",
    }
    assert limits_in(headers, "stop") == [(LIFECYCLE, 6, 5, 10.0)]
    assert limits_in(headers, "get") == [("authenticated", None, 0, 0.0)]
    assert limits_in({**headers, "X-RateLimit-Limit-sandbox-lifecycle": "many"}, "stop") == [
        (LIFECYCLE, None, 0, 0.0)
    ]


@pytest.mark.postgres
def test_three_workers_together_stay_within_the_limit(outlasting: Emulator, tmp_path: Path) -> None:
    ids = outlasting.seed(count=30, state="started", name="box-{n}")
    boxes = [rows.sandbox(f"box {n}", daytona_id=daytona_id) for n, daytona_id in enumerate(ids)]
    outlasting.settings(throttles={LIFECYCLE: {"limit": 6, "window": 2}})
    with workers(outlasting, tmp_path, **QUICK) as crew:
        for _ in range(3):
            crew.start()
        for box in boxes:
            lifecycle.request(box.pk, Action.STOP, actor=STAFF, source=Source.API)
        stopped = Sandbox.objects.filter(status=Status.STOPPED)
        wait_until(lambda: stopped.count() == len(boxes), what="all stopped")
    assert not Operation.objects.exclude(status="succeeded").exists()
    assert CallBudget.objects.get(pk=LIFECYCLE).limit == 6
    made = outlasting.counts()["daytona"]["POST /sandbox/{id}/stop"]
    refused = made - len(boxes)
    assert refused <= made / 10, f"{refused} of {made} were refused"
    print({"stops": len(boxes), "calls": made, "answered 429": refused})
