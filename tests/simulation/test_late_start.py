"""A call that nobody answered, and what somebody in Daytona does meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.core.vocabulary import Action, Actor
from tests.simulation.run import Run

if TYPE_CHECKING:
    from tests.simulation.store import Row

ALICE = Actor.owner("alice")


@pytest.fixture
def run() -> Run:
    """The first sandboxes are made and run; nothing goes wrong but what the test does, and no sweep helps."""
    calm = Run(3)
    calm.is_hostile, calm.daytona.faults = False, 0.0
    calm.time.run(until=200)
    return calm


def stopped(run: Run) -> Row:
    row = next(row for row in run.store.rows if not row.sandbox.ephemeral and row.sandbox.status == "running")
    assert run.store.request(row, Action.STOP, actor=ALICE)
    wait(run, 90)
    assert row.sandbox.status == "stopped"
    return row


def wait(run: Run, seconds: float) -> None:
    run.time.run(until=run.time.seconds + seconds)


@pytest.mark.parametrize("late", [130.0, 200.0, 239.0])
def test_a_start_that_runs_late_after_somebody_elses_is_stopped_again(run: Run, late: float) -> None:
    row = stopped(run)
    run.daytona.held_up = late
    assert run.store.request(row, Action.START, actor=ALICE)
    wait(run, 5)
    box = run.daytona.find(row.sandbox)
    assert box is not None
    run.daytona.begin("start", box)  # in Daytona's dashboard
    wait(run, 60)
    assert (box.state, row.sandbox.status) == ("started", "running")
    assert row.sandbox.intent_met_at is not None
    assert run.store.request(row, Action.STOP, actor=ALICE)
    wait(run, late - 66)
    assert (box.state, row.sandbox.status) == ("stopped", "stopped")
    wait(run, 600)
    assert box.late_at > 0
    assert (box.state, row.sandbox.status) == ("stopped", "stopped")
    assert (row.sandbox.intent_met_at is not None, row.sandbox.fetch_due_at) == (True, None)


def test_a_stop_by_daytona_of_what_an_unanswered_start_was_seen_to_start_is_left(run: Run) -> None:
    row = stopped(run)
    run.daytona.held_up = 1.0
    assert run.store.request(row, Action.START, actor=ALICE)
    wait(run, 60)
    box = run.daytona.find(row.sandbox)
    assert box is not None
    assert (box.state, row.sandbox.status) == ("started", "running")
    run.daytona.begin("stop", box)
    wait(run, 600)
    assert (box.state, row.sandbox.status) == ("stopped", "stopped")
