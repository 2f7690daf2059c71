"""Fifty people at once on the same ten sandboxes, while two workers are at them whose clocks disagree."""

from __future__ import annotations

import random
import threading
import time
from typing import TYPE_CHECKING

import pytest
from django.db import connection, connections
from django.db.models import Count

from sandboxes.core.vocabulary import ACTIVE, Action, Actor, Source, Status
from sandboxes.models import Operation, Sandbox, WorkerHeartbeat
from sandboxes.services import lifecycle
from tests.faults.history import History
from tests.faults.truth import agree
from tests.faults.workers import QUICK, workers
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.emulator import Emulator
    from tests.support.processes import Running

THREADS, BOXES, EACH = 50, 10, 4
CONNECTIONS = 10  # that they share: the tests beside this one need some too
STAFF = Actor.staff("admin")

pytestmark = pytest.mark.postgres


class Crowd:
    """Each thread asks for starts and stops as fast as it can; then one more for every second sandbox."""

    def __init__(self, boxes: list[Sandbox], history: History) -> None:
        self.boxes = boxes
        self.history = history
        self.errors: list[Exception] = []
        self.threads = [threading.Thread(target=self._run, args=(number,)) for number in range(THREADS)]
        self._pool = threading.Semaphore(CONNECTIONS)
        self._all_there = threading.Barrier(THREADS)
        self._all_done = threading.Barrier(THREADS)

    def _run(self, number: int) -> None:
        dice = random.Random(number)
        try:
            self._all_there.wait(PATIENCE)
            for _ in range(EACH):
                self._ask(dice.choice(self.boxes), dice.choice([Action.START, Action.STOP]))
            self._all_done.wait(PATIENCE)
            if number < BOXES and number % 2 == 0:
                self._ask(self.boxes[number], Action.START if number % 4 == 0 else Action.STOP)
        except Exception as error:
            self.errors.append(error)
            self._all_there.abort()
            self._all_done.abort()

    def _ask(self, box: Sandbox, action: Action) -> None:
        began = time.time()
        with self._pool:
            try:
                operation = lifecycle.request(box.pk, action, actor=STAFF, source=Source.API)
            finally:
                connections.close_all()
        self.history.note(operation, action, began=began)


def begin() -> tuple[list[Sandbox], History]:
    history = History()
    for number in range(BOXES):
        began, owner = time.time(), Actor.owner(f"owner-{number % 2}")
        new = lifecycle.NewRequest(name=f"box {number}")
        operation = lifecycle.create(owner.id, actor=owner, source=Source.API, new=new)
        history.note(operation, Action.CREATE, began=began)
    running = Sandbox.objects.filter(status=Status.RUNNING)
    wait_until(lambda: running.count() == BOXES, what="running sandboxes", pause=0.1)
    return list(Sandbox.objects.order_by("name")), history


def most_active() -> int:
    """The most active operations that any sandbox has."""
    active = Operation.objects.filter(status__in=ACTIVE).values("sandbox").annotate(number=Count("pk"))
    return max((line["number"] for line in active), default=0)


def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


def has_worked(worker: Running) -> bool:
    """Whether this process has made calls that change something in Daytona, by what it counted itself."""
    beat = WorkerHeartbeat.objects.get(pid=worker.process.pid)
    return any(key.split()[:2] in (["daytona", "start"], ["daytona", "stop"]) for key in beat.counters)


def test_fifty_threads_on_ten_sandboxes(outlasting: Emulator, tmp_path: Path) -> None:
    with workers(outlasting, tmp_path, **QUICK, HEARTBEAT_SECONDS="0.5") as crew:
        crew.start(wait=False, skew=-600.0)
        crew.start(wait=False, skew=600.0)
        boxes, history = begin()
        before = deadlocks()
        crowd = Crowd(boxes, history)
        for thread in crowd.threads:
            thread.start()
        seen = []
        while any(thread.is_alive() for thread in crowd.threads):
            seen.append(most_active())
        for thread in crowd.threads:
            thread.join()
        assert crowd.errors == []
        settled = agree(outlasting, within=60, wishes=history.last_wishes)
        for worker, seconds in zip(crew.running, (-600, 600), strict=True):
            assert f"clock ahead by {seconds} s" in worker.output
            wait_until(lambda: has_worked(worker), what=f"work of the one that is {seconds} s ahead")  # noqa: B023
        workers_said = "".join(worker.output for worker in crew.running)
    assert max(seen) == 1, "one active operation at any time"
    assert deadlocks() == before
    assert "IntegrityError" not in workers_said
    assert "deadlock" not in workers_said
    last = [history.last_wishes(box.pk) for box in boxes[::2]]
    assert all(len(wishes) == 1 for wishes in last), "their last request came when the others were over"
    assert history.contradictions(outlasting.log(system="daytona")) == []
    print({"threads": THREADS, "requests": THREADS * EACH, "looks": len(seen), "settled after": round(settled, 1)})
