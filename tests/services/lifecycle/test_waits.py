from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes import clock
from sandboxes.core.facts import Fetched
from sandboxes.core.vocabulary import Action, Actor, Source
from sandboxes.models import Operation, Sandbox
from sandboxes.services import lifecycle
from sandboxes.services.decisions import gather
from tests.support.driving import ask, do, pass_time, settle, settle_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.support.emulator import Emulator


def test_an_operation_waits_as_often_as_it_has_to(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.ATTEMPT_SECONDS = 0.0
    sandbox = running()
    world.faults.add("status", path="/stop$", status=503, answer={"statusCode": 503, "message": "later"})
    stop = ask(sandbox, Action.STOP)
    Operation.objects.filter(pk=stop.pk).update(attempt=10**6)
    lifecycle.attempt(stop.pk)
    stop.refresh_from_db()
    assert (stop.status, stop.attempt) == ("in_progress", 10**6 + 1)


def test_no_two_decisions_draw_the_same_jitter(world: Emulator, running: Callable[..., Sandbox]) -> None:
    row, now = running(), clock.now()
    drawn = [gather(row, None, [Fetched(now, None)], now=now, on_hold=False).jitter for _ in range(3)]
    assert len(set(drawn)) == 3
    assert all(0 <= jitter < 1 for jitter in drawn)


def test_the_same_refusal_again_is_counted_and_not_written_again(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    do(sandbox, Action.STOP)
    world.settings(suspended="Payment method required")
    start = ask(sandbox, Action.START)
    for _ in range(20):
        pass_time(31)
    start.refresh_from_db()
    (made,) = start.calls.all()
    assert (made.name, made.outcome) == ("start", "refused")
    assert made.times >= 10
    assert sandbox.events.filter(kind="call", text="start: refused").count() == 1
    world.settings(suspended=None)
    settle(start)
    assert [call.outcome for call in start.calls.order_by("id")] == ["refused", "accepted"]


def test_an_outage_of_the_call_alone_is_waited_out_past_any_deadline(
    world: Emulator, no_attempt_waits: None
) -> None:
    number = world.faults.add("status", method="POST", path="/sandbox$", status=503, answer="<html>")
    create = lifecycle.create(
        "alice", actor=Actor.owner("alice"), source=Source.API, new=lifecycle.NewRequest()
    )  # fmt: skip
    for _ in range(40):
        pass_time(8)
    create.refresh_from_db()
    assert create.is_active
    assert world.faults.hits(number) > 5
    world.faults.remove(number)
    settle_in(world, create)
    assert create.status == "succeeded"
