"""kill -9 between two lines that belong together: what the next worker finds is only half of the truth.

Each call hangs at the moment that is wanted, so nothing has to be timed. All moments are in one worker, which is
killed once.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core.vocabulary import ACTIVE, Action, Actor, Source, Status
from sandboxes.models import Operation, Sandbox
from sandboxes.services import lifecycle
from tests.faults.history import History
from tests.faults.truth import agree
from tests.faults.workers import QUICK, workers
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.emulator import Emulator

SETTLED_WITHIN = 60.0
# A call hangs for as long as it takes to get all the others there.
PATIENT = {
    **QUICK, "DAYTONA_READ_TIMEOUT": "8", "DAYTONA_HOLD_TIMEOUT": "8", "CONVEX_READ_TIMEOUT": "8",
    "LEASE_SECONDS": "10",
}  # fmt: skip
HANGS: dict[str, Any] = {"kind": "hang", "times": 1}
ACCEPTED: dict[str, Any] = {**HANGS, "execute_after": 0.0}  # but nobody is told
FULL = {"cpu": 1, "memory": 500, "disk": 2000, "gpu": 0}
NEW, RUNS, STOPPED = (), (Action.CREATE,), (Action.CREATE, Action.STOP)

pytestmark = pytest.mark.postgres


@dataclass(frozen=True)
class Moment:
    """A sandbox of this name was asked for what is in `before`; the call that `fault` hits is the last one.

    `ends`: what it is when another worker has settled it.
    """

    name: str
    before: tuple[Action, ...]
    action: Action
    fault: dict[str, Any]
    ends: Status
    target: str = "us"


MOMENTS = [
    Moment("claimed", RUNS, Action.STOP, HANGS | {"method": "GET"}, Status.STOPPED),
    Moment("created", NEW, Action.CREATE, ACCEPTED | {"method": "POST", "path": "/api/sandbox$"}, Status.RUNNING),
    Moment("started", STOPPED, Action.START, ACCEPTED | {"path": "/start$"}, Status.RUNNING),
    Moment("stopped", RUNS, Action.STOP, ACCEPTED | {"path": "/stop$"}, Status.STOPPED),
    Moment("archived", STOPPED, Action.ARCHIVE, ACCEPTED | {"path": "/archive$"}, Status.ARCHIVED),
    Moment("deleted", RUNS, Action.DELETE, ACCEPTED | {"method": "DELETE"}, Status.GONE),
    Moment("shown", NEW, Action.CREATE, ACCEPTED | {"system": "convex", "body": "createInternal"}, Status.RUNNING),
    # Two starts are refused; the third comes when a victim was stopped.
    Moment("given-room", STOPPED, Action.START, HANGS | {"path": "/start$", "skip": 2}, Status.RUNNING, "eu"),
]


@dataclass
class Stage:
    emulator: Emulator
    history: History = field(default_factory=History)
    rows: dict[str, Sandbox] = field(default_factory=dict)

    def ask(self, name: str, action: Action, target: str = "us") -> None:
        began = time.time()
        actor = Actor.owner("crowded" if target == "eu" else f"owner of {name}")
        if action == Action.CREATE:
            new = lifecycle.NewRequest(name=name, target=target)
            operation = lifecycle.create(actor.id, actor=actor, source=Source.API, new=new)
            self.rows[name] = operation.sandbox
        else:
            operation = lifecycle.request(self.rows[name].pk, action, actor=actor, source=Source.API)
        self.history.note(operation, action, began=began)

    def prepare(self) -> None:
        for action in (Action.CREATE, Action.STOP):
            for moment in MOMENTS:
                if action in moment.before:
                    self.ask(moment.name, action, moment.target)
            self._settle()
        self.ask("victim", Action.CREATE, "eu")
        self._settle()
        self.emulator.settings(quotas={"eu/container": FULL})

    def reach_every_moment(self) -> None:
        """Returns with each moment's call under way."""
        add, hits = self.emulator.faults.add, self.emulator.faults.hits
        rules = {moment.name: add(**moment.fault, sandbox=self._id(moment.name)) for moment in MOMENTS}
        for moment in MOMENTS:
            self.ask(moment.name, moment.action, moment.target)

        def is_reached() -> bool:
            missing = [name for name, rule in rules.items() if not hits(rule)]
            return not missing

        wait_until(is_reached, what="calls under way", pause=0.05)

    def accepted(self, name: str) -> Counter[str]:
        """What Daytona has carried out for it."""
        remote = self.rows[name].daytona_name
        return Counter(line["action"] for line in self.emulator.log(system="daytona") if line["name"] == remote)

    def _id(self, name: str) -> str:
        """What calls about it contain: its id, or its name where it has none yet."""
        known = Sandbox.objects.filter(name=name).first()
        return str(known.daytona_id) if known else name

    def _settle(self) -> None:
        active = Operation.objects.filter(status__in=ACTIVE)
        wait_until(lambda: not active.exists(), what="end of all operations", pause=0.1)


def test_a_worker_killed_in_the_middle_of_everything(outlasting: Emulator, tmp_path: Path) -> None:
    stage = Stage(outlasting)
    with workers(outlasting, tmp_path, **PATIENT, EVICTION_MIN_IDLE="0") as crew:
        crew.start()
        stage.prepare()
        stage.reach_every_moment()
        crew.kill()
        outlasting.faults.clear()
        crew.start()
        settled = agree(outlasting, within=SETTLED_WITHIN, wishes=stage.history.last_wishes)
    rows = {row.name: row for row in Sandbox.objects.all()}
    assert {moment.name: rows[moment.name].status for moment in MOMENTS} == {m.name: m.ends for m in MOMENTS}
    for moment in MOMENTS:
        once = dict.fromkeys([*moment.before, moment.action], 1)
        assert stage.accepted(moment.name) == Counter(once), f"{moment.name}: nothing twice, nothing left out"
    assert stage.accepted("victim") == Counter({"create": 1, "stop": 1})
    assert rows["victim"].intent == "running", "making room is nobody's wish"
    assert stage.history.contradictions(outlasting.log(system="daytona")) == []
    print({"moments": len(MOMENTS), "settled after": round(settled, 1)})
