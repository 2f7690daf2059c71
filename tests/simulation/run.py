"""One run from a seed: people, workers that crash and freeze, then calm; the checks look on."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

from sandboxes.core.decide import decide
from sandboxes.core.facts import Answer, CallAnswered, CallResult, Decision, Fetched, FetchFailed, RoomSought
from sandboxes.core.observation import may_have_ended
from sandboxes.core.plan import Call, FindRoom
from sandboxes.core.results import ResultKind
from sandboxes.core.vocabulary import Action, Actor
from tests.core.building import LIMITS
from tests.simulation.checks import Broken, Checks
from tests.simulation.policies import Policies
from tests.simulation.store import LEASE, Row, Store
from tests.simulation.world import ANSWER_WITHIN, Daytona, Reply, Time

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

# Seconds. Many runs are short, for what only the end shows; then an archive may take its hour.
HOSTILE, CALM = (150.0, 300.0, 1500.0), 9000.0
ACTIONS = [
    Action.START, Action.START, Action.START, Action.STOP, Action.STOP, Action.ARCHIVE, Action.DELETE,
    Action.RECOVER, Action.SYNC, Action.RESTART, Action.RESTART,
]  # fmt: skip
CHANGED = {
    Action.START: Action.STOP,
    Action.RECOVER: Action.STOP,
    Action.STOP: Action.START,
    Action.RESTART: Action.STOP,
    Action.ARCHIVE: Action.START,
}
Work = Generator[float | Reply, Any, None]


@dataclass
class Report:
    seed: int
    steps: int
    longest_lie: float


class Run:
    """`trace` hears the story, line by line."""

    def __init__(self, seed: int, trace: Callable[[str], None] | None = None) -> None:
        self.seed, self.rng, self.time, self.trace = seed, Random(seed), Time(), trace
        rows = self.rng.randint(2, 5)
        capacity, disk = rows - self.rng.choice((0, 0, 1, 2)), rows + Random(-seed - 1).choice((-2, -1, 99, 99))
        self.daytona = Daytona(self.time, self.rng, capacity=capacity, disk=disk, say=self.say)
        self.store = Store(lambda: self.time.now, say=self.say, arm=self.arm)
        self.checks = Checks(self.time, self.daytona, self.store)
        self.daytona.hint = self.hint
        self.policies = Policies(seed, self.time, self.store, self._look)
        for number in range(rows):
            self.time.after(self.rng.uniform(0, 60), lambda number=number: self._create(number))  # type: ignore[misc]
        self.is_hostile = True

    def say(self, text: str) -> None:
        if self.trace is not None:
            self.trace(f"{self.time.seconds:9.2f}  {text}")

    def to_the_end(self) -> Report:
        """Raises Broken, with how to replay it."""
        try:
            self.time.after(60, self.daytona.change_weather)
            for what in (self._person, self._sweep, self._stir, self._watch):
                self.time.after(60, what)
            self.policies.begin()
            hostile = self.rng.choice(HOSTILE)
            self.time.run(until=hostile)
            self.is_hostile, self.daytona.faults = False, 0.0
            self.daytona.change_weather()
            self.say("--- calm")
            if self.store.on_hold:
                self.store.set_hold(False)
            self.time.run(until=hostile + self.policies.lasts_into_calm)
            self.policies.end()
            self.time.run(until=hostile + CALM)
            self.checks.quiet()
        except Exception as error:
            replay = f"python -m tests.simulation --seed {self.seed} --trace"
            raise Broken(f"at {self.time.seconds:.2f} s: {error!r}; replay: {replay}") from error
        return Report(self.seed, self.time.steps, self.checks.longest_lie)

    # --- what happens around

    def _create(self, number: int) -> None:
        self.store.create(f"box{number}", ephemeral=self.rng.random() < 0.15)

    def _person(self) -> None:
        if not self.is_hostile:
            return
        self.time.steps += 1
        if self.store.rows:
            row, what = self.rng.choice(self.store.rows), self.rng.random()
            if what < 0.07:
                self.say(f"{row.name}: cancel")
                self.store.cancel(row)
            elif what < (0.25 if self.store.on_hold else 0.09):
                self.store.set_hold(not self.store.on_hold)
            else:
                actor = Actor.owner("alice") if self.rng.random() < 0.8 else Actor.staff("bob")
                action = self.rng.choice(ACTIONS)
                is_accepted = self.store.request(row, action, actor=actor, force=self.rng.random() < 0.15)
                if is_accepted and action in CHANGED and self.rng.random() < 0.5:
                    self.time.after(self.rng.uniform(0.1, 60), lambda: self._change_mind(row, CHANGED[action]))
        if self.rng.random() < (0.1 if self.daytona.disk < 9 else 0.03) and len(self.store.rows) < 8:
            self._create(len(self.store.rows))
        self.time.after(self.rng.choice((0.5, 3, 20, 60, 120)), self._person)

    def _change_mind(self, row: Row, action: Action) -> None:
        if self.is_hostile:
            self.store.request(row, action, actor=Actor.owner("alice"))

    def _stir(self) -> None:
        if self.is_hostile:
            self.daytona.stir()
            self.time.after(self.rng.expovariate(1 / 120), self._stir)

    def _sweep(self) -> None:
        """A comparison with Daytona finds what no event told of."""
        for row in self.store.rows:
            lives = row.sandbox.deleted_at is None and row.sandbox.daytona_id is not None
            if lives or self.daytona.find(row.sandbox) is not None:
                self._look(row)
        self.time.after(60 if self.is_hostile else 900, self._sweep)

    def hint(self, box_id: str) -> None:
        """Daytona's event of a change: most arrive."""
        row = next((row for row in self.store.rows if row.sandbox.daytona_id == box_id), None)
        if row is not None and self.rng.random() < 0.8:
            self._look(row)

    def _look(self, row: Row) -> None:
        if row.active is None:
            row.sandbox = replace(row.sandbox, fetch_due_at=self.time.now)
            row.version += 1
            self.arm(row)

    def _watch(self) -> None:
        if self.is_hostile:  # later there are too few sweeps for what no event tells of
            self.checks.watch()
            self.time.after(10, self._watch)

    def _pushed(self, row: Row) -> None:
        """Convex answers the first push."""
        no_room = self.daytona.chance(0.05)
        row.convex = replace(row.convex, has_answered=not no_room, has_no_room=no_room)

    # --- workers

    def arm(self, row: Row) -> None:
        """Wake a worker when the row is due."""
        due = row.due
        if due is None:
            return
        if row.leased_until is not None:
            due = max(due, row.leased_until)
        if row.armed is None or due < row.armed:
            row.armed = due
            self.time.after((due - self.time.now).total_seconds() + 0.001, lambda: self._wake(row, due))

    def _wake(self, row: Row, armed: datetime) -> None:
        if row.armed != armed:
            return  # it was set to be woken sooner, and was
        row.armed = None
        if row.due is None or row.due > self.time.now:
            self.arm(row)
            return
        if token := self.store.claim(row):
            self._resume(self._attempt(row, token), None)
        self.arm(row)  # whoever holds it may be dead

    def _resume(self, work: Work, value: Any) -> None:
        """Go on with a worker's attempt, unless its process dies here, or is stopped for a while."""
        if self.is_hostile and (fate := self.rng.random()) < 0.02:
            if fate < 0.01:
                self.say("a worker dies")
                work.close()
            else:
                self.say("a worker freezes")
                self.time.after(self.rng.choice((5, 45, 400)), lambda: self._go_on(work, value))
            return
        self._go_on(work, value)

    def _go_on(self, work: Work, value: Any) -> None:
        self.time.steps += 1
        try:
            waits_for = work.send(value)
        except StopIteration:
            return
        if isinstance(waits_for, Reply):
            waits_for.when_given(lambda result: self._resume(work, result))
        else:
            self.time.after(waits_for, lambda: self._resume(work, None))

    def _attempt(self, row: Row, token: str) -> Work:
        """What a worker does with a row that it has leased: fetch, decide, write, call, write."""
        active = row.active
        key = active.id if active is not None else None
        while row.token == token:
            version = row.version
            answer = yield from self._fetch(row)
            decision = self._decide(row, key, answer, token=token, version=version)
            if decision is None:
                continue  # what was changed meanwhile is looked at again
            if isinstance(decision.step, FindRoom) and decision.operation is not None and key is not None:
                yield 0.05
                if row.token != token:
                    return
                search = self.store.search_step(row, key, decision.operation.search or _none())
                decision = self._decide(row, key, RoomSought(search, decision.step.name), token=token)
            if decision is not None and isinstance(decision.step, Call):
                yield from self._call(row, key, decision.step.name, token)
            self.store.release(row, token)

    def _call(self, row: Row, key: UUID | None, name: str, token: str) -> Work:
        yield 0.002
        # A worker that was stopped for so long sees by its own clock that its lease is over.
        if row.leased_until is None or row.leased_until <= self.time.now or row.token != token:
            return
        self.store.renew(row, token, seconds=ANSWER_WITHIN + LEASE)
        result = yield self.daytona.send(name, row.sandbox)
        yield 0.002
        self._decide(row, key, CallAnswered(result), token=token)

    def _fetch(self, row: Row) -> Generator[float | Reply, Any, Answer]:
        """One GET, and what it proves: as services fetch. What nobody has asked for yet is not looked for."""
        if row.active is not None and (row.active.action, row.active.status) == ("create", "queued"):
            return Fetched(self.time.now)
        started, facts, calls = self.time.now, row.sandbox, row.calls
        yield self.rng.uniform(0.01, 0.2)
        found = self.daytona.get(facts)
        yield self.rng.uniform(0.01, 0.2)
        if isinstance(found, ResultKind):
            return FetchFailed(CallResult(found))
        if found is not None:
            return Fetched(started, found)
        since = facts.missing_since
        sure = since is not None and (started - since).total_seconds() >= LIMITS.missing_confirm
        if facts.daytona_id is None or not (sure or may_have_ended(facts, calls)):
            return Fetched(started)
        listed = self.daytona.lists(facts)
        return (
            FetchFailed(CallResult(listed))
            if isinstance(listed, ResultKind)
            else Fetched(started, confirmed=not listed)
        )

    def _decide(
        self, row: Row, key: UUID | None, answer: Answer, *, token: str, version: int | None = None
    ) -> Decision | None:
        """Decide and write; None where the fence let nothing through."""
        if version is not None and version != row.version:
            return None
        facts = self.store.gather(row, key, answer, jitter=self.rng.random())
        decision = decide(facts)
        if not self.store.write(row, key, decision, token=token, version=row.version):
            return None
        self.checks.decided(row, facts, decision)
        if isinstance(decision.step, Call):
            self.policies.may_call(row, facts, decision.step.name)
        if row.sandbox.daytona_id is not None and not row.is_pushed:
            row.is_pushed = True
            self.time.after(self.rng.choice((0.1, 2, 100)), lambda: self._pushed(row))
        return decision


def _none() -> Any:
    raise AssertionError("a search for room without one")
