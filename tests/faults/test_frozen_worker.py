"""A worker that stands still for longer than its leases, and goes on: what it held was another's, and is left."""

from __future__ import annotations

import signal
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from sandboxes.core.vocabulary import Action, Actor, OperationStatus, Source, Status
from sandboxes.models import DaytonaCall, Operation, Sandbox
from sandboxes.services import lifecycle
from tests.faults.workers import QUICK, workers
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.emulator import Emulator

NUMBER = 5  # as many as an owner may have
# A call is answered when the worker that made it stands still.
SLOW = 2.0


@pytest.mark.postgres
def test_what_a_frozen_worker_held_is_done_by_another_and_nothing_twice(
    outlasting: Emulator, tmp_path: Path
) -> None:
    actor = Actor.owner("alice")
    with workers(outlasting, tmp_path, **QUICK, WORKER_SILENT_SECONDS="3", HEARTBEAT_SECONDS="0.5") as crew:
        frozen = crew.start()
        boxes = [
            lifecycle.create(actor.id, actor=actor, source=Source.API, new=lifecycle.NewRequest(name=f"box-{n}"))
            for n in range(NUMBER)
        ]
        _wait_for_the_end()
        held = outlasting.faults.add("delay", path="/stop$", seconds=SLOW)
        for box in boxes:
            lifecycle.request(box.sandbox_id, Action.STOP, actor=actor, source=Source.API)
        wait_until(lambda: outlasting.faults.hits(held) == NUMBER, what="all calls under way")
        frozen.process.send_signal(signal.SIGSTOP)
        outlasting.faults.clear()
        other = crew.start()
        _wait_for_the_end()
        assert "dead_worker_freed" in other.output, "before the end of its leases"
        before = _written()
        frozen.process.send_signal(signal.SIGCONT)
        wait_until(lambda: frozen.output.count("lease_lost") == NUMBER, what="the frozen worker to find all taken")
        assert _written() == before
    done = Counter((line["name"], line["action"]) for line in outlasting.log(system="daytona"))
    names = Sandbox.objects.values_list("daytona_name", flat=True)
    assert done == {(name, action): 1 for name in names for action in ("create", "stop")}
    assert set(Sandbox.objects.values_list("status", flat=True)) == {Status.STOPPED}
    assert set(Operation.objects.values_list("status", flat=True)) == {OperationStatus.SUCCEEDED}


def _wait_for_the_end() -> None:
    wait_until(lambda: not Operation.objects.active().exists(), what="the end of all operations")


def _written() -> list[object]:
    """All that is known of operations and of their calls."""
    return [*Operation.objects.order_by("id").values(), *DaytonaCall.objects.order_by("id").values()]
