"""A mixed load: what owners and staff do with their sandboxes, at random, one request after the other."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from sandboxes.core.codes import Refused
from sandboxes.core.parameters import Parameters
from sandboxes.core.vocabulary import Action, Actor, Source, Status
from sandboxes.models import Sandbox
from sandboxes.services import lifecycle
from tests.faults.history import History
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

OWNERS = [f"owner-{number}" for number in range(8)]
MIX = {
    "create": 10, "start": 24, "stop": 24, "archive": 8, "delete": 6, "recover": 6, "sync": 8, "rename": 8,
}  # fmt: skip
EPHEMERAL = 0.15
PAUSE = 0.03  # seconds between two requests, on average


class Load:
    """`run(n)` has n requests accepted, some thirty a second. What the services refuse is counted, not repeated."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.history = History()
        self.done: Counter[str] = Counter()
        self._pace = threading.Event()  # never set: people do not ask all at once

    def begin(self, number: int) -> None:
        """Sandboxes that run, before the load."""
        made = [self._one("create", time.time()) for _ in range(number)]
        rows = Sandbox.objects.exclude(status=Status.CREATING)
        wait_until(lambda: rows.count() >= len(made), what="sandboxes", pause=0.1)

    def run(self, number: int, *, meanwhile: Callable[[int], None]) -> None:
        """`meanwhile` is called after each accepted or refused request, with the number of accepted ones."""
        accepted = 0
        while accepted < number:
            kind = self.random.choices(list(MIX), weights=list(MIX.values()))[0]
            began = time.time()
            try:
                accepted += self._one(kind, began)
                self.done[kind] += 1
            except Refused as error:
                self.done[f"{kind}: {error.code}"] += 1
            meanwhile(accepted)
            self._pace.wait(self.random.uniform(0.0, 2 * PAUSE))

    def _one(self, kind: str, began: float) -> int:
        if kind == "create":
            owner = OWNERS[len(self.history.asked) % len(OWNERS)]
            new = lifecycle.NewRequest(name=f"box {began:.0f}", ephemeral=self.random.random() < EPHEMERAL)
            operation = lifecycle.create(owner, actor=Actor.owner(owner), source=Source.API, new=new)
            self.history.note(operation, Action.CREATE, began=began)
            return 1
        row = self._row()
        if row is None:
            return 0
        if kind == "rename":
            lifecycle.rename(row.pk, f"box {self.random.randrange(1000)}", actor=Actor.owner(row.owner_id))
            return 1
        actor = self.random.choice([Actor.owner(row.owner_id), Actor.staff("admin")])
        said = Parameters(force=self.random.random() < 0.3)
        operation = lifecycle.request(row.pk, Action(kind), actor=actor, source=Source.API, parameters=said)
        self.history.note(operation, Action(kind), began=began)
        return 1

    def _row(self) -> Sandbox | None:
        rows = list(Sandbox.objects.exclude(status=Status.GONE).order_by("created_at"))
        return self.random.choice(rows) if rows else None
