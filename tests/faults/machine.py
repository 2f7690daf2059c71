"""A state machine that asks, spoils, loses, skews and waits, and says what must be true all the while."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from django.db import connections
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sandboxes import clock
from sandboxes.core.codes import Refused
from sandboxes.core.parameters import Parameters
from sandboxes.core.vocabulary import ACTIVE, Action, Actor, Intent, OperationStatus, Source, Status
from sandboxes.models import CircuitBreaker, Lease, Notice, Operation, Owner, Sandbox, Schedule
from sandboxes.providers.convex import gateway as convex
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import intent, lifecycle, owners, sandbox_store
from tests.faults import queue
from tests.faults.trouble import CALLS, FROM_OUTSIDE, HOSTS, OUTAGES, ROOM, SPOILED, WELL
from tests.faults.truth import disagreements, is_quiet, waiting
from tests.faults.wishes import People, against_the_rules, contradictions, on_hold, undone, unmet
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from uuid import UUID

    from tests.support.emulator import Emulator

STAFF = Actor.staff("admin")
PICK = st.integers(0, 4)
PLACE = st.integers(0, 3)
SKEWS = st.sampled_from([0.0, 0.0, -600.0, 600.0])
PAUSES = st.sampled_from([0.3, 1.0, 3.0, 6.0, 11.0, 25.0, 61.0, 130.0, 310.0])
ACTIONS = st.sampled_from([a for a in Action if a != Action.CREATE])


class Machine(RuleBasedStateMachine):
    emulator: ClassVar[Emulator]
    figures: ClassVar[Counter[str]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.people = People()
        self.moved: dict[UUID, datetime] = {}  # by others, and when
        self.vanished: set[UUID] = set()
        self.read = 0
        self.judged: set[UUID] = set()  # stops for room

    @initialize()
    def begin(self) -> None:
        clock.restore()
        for model in (Sandbox, Owner, Lease, CircuitBreaker, Schedule, Notice):
            model.objects.all().delete()
        self.emulator.reset(**WELL)
        self.emulator.stop_clock()
        forget_the_process()
        for owner in ("ada", "ada", "bob"):
            self.create(owner, False)
        for _ in range(8):
            self._work_everything()
            self._pass(1.0)
        assert not disagreements(self.emulator)

    @invariant()
    def count(self) -> None:
        Machine.figures["steps"] += 1

    def teardown(self) -> None:
        if not self.people.wishes:
            return
        self.emulator.faults.clear()
        self.emulator.settings(**WELL)
        forget_the_process()
        self._until_quiet()
        problems = disagreements(self.emulator) + self._unmet()
        assert not problems, "\n".join([*problems, *timelines(problems)])
        Machine.figures["examples"] += 1
        Machine.figures["mutations"] += len(self.emulator.log(system="daytona"))
        Machine.figures["evictions"] += Operation.objects.filter(source=Source.EVICTION).count()
        Machine.figures["operations"] += Operation.objects.count()

    def _until_quiet(self) -> None:
        """All faults are over: let time pass, as long as something is to be done, at most for half a day."""
        for row in Sandbox.objects.exclude(status=Status.GONE):
            Sandbox.objects.filter(pk=row.pk).update(fetch_due_at=clock.now())  # as the sweep does
        pause, passed = 0.5, 0.0
        while not is_quiet():
            if passed > 12 * 3600:
                problems = disagreements(self.emulator) + waiting()
                raise AssertionError("\n".join(["still not quiet", *problems, *timelines(problems)]))
            self._work_everything()
            self._pass(pause)
            passed += pause
            pause = min(pause * 1.2, 120.0)
        self._check_log()

    def _unmet(self) -> list[str]:
        """Wishes of people that are neither met nor answered."""
        rows = {row.pk: row for row in self._rows()}
        ours = {pk: wish for pk, wish in self.people.wishes.items() if not self._is_drift(rows[pk])}
        return [words for pk, wish in ours.items() if (words := unmet(rows[pk], {str(wish)}))]

    def _is_drift(self, row: Sandbox) -> bool:
        """Somebody else moved it, and nothing that a person asked for has come true since; or took it away."""
        if row.pk in self.vanished and row.status == Status.GONE:
            return True
        if row.pk not in self.moved:
            return False
        done = row.operations.exclude(action=Action.SYNC).filter(status=OperationStatus.SUCCEEDED)
        return not done.filter(finished_at__gte=self.moved[row.pk]).exists()

    # people

    @rule(owner=st.sampled_from(["ada", "bob"]), ephemeral=st.booleans())
    def create(self, owner: str, ephemeral: bool) -> None:
        new = lifecycle.NewRequest(ephemeral=ephemeral)
        with suppress(Refused):
            operation = lifecycle.create(owner, actor=Actor.owner(owner), source=Source.API, new=new)
            self.people.created(operation)
            self.people.used[operation.sandbox_id] = clock.now()

    @rule(pick=PICK, action=ACTIONS, force=st.booleans())
    def ask(self, pick: int, action: Action, force: bool) -> None:
        row = self._row(pick)
        with suppress(Refused):
            operation = lifecycle.request(
                row.pk,
                action,
                actor=Actor.owner(row.owner_id),
                source=Source.API,
                parameters=Parameters(force=force),
            )
            self._asked(operation, action)

    @rule(pick=PICK)
    def ensure_running(self, pick: int) -> None:
        row = self._row(pick)
        with suppress(Refused):
            answer = intent.ensure_running(row.pk, actor=Actor.owner(row.owner_id), source=Source.API)
            if isinstance(answer, Operation) and answer.action != Action.SYNC:
                self._asked(answer, Action.START)

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        operation = self._active(self._row(pick))
        if operation is None:
            return
        with suppress(Refused):
            self._wishes()
            answer = lifecycle.cancel(operation.pk, actor=Actor.owner(operation.sandbox.owner_id))
            self.people.cancelled(operation, answer)

    @rule(pick=PICK, name=st.sampled_from(["atlas", "borealis", "sandbox"]))
    def rename(self, pick: int, name: str) -> None:
        row = self._row(pick)
        with suppress(Refused):
            lifecycle.rename(row.pk, name, actor=Actor.owner(row.owner_id))

    @rule(pick=PICK)
    def protect(self, pick: int) -> None:
        row = self._row(pick)
        with suppress(Refused):
            until = clock.now() + timedelta(hours=1)
            lifecycle.protect(row.pk, actor=Actor.owner(row.owner_id), until=until)
            self.people.protected[row.pk] = until

    @rule(pick=PICK)
    def use(self, pick: int) -> None:
        row = self._row(pick)
        with suppress(Refused):
            intent.touch(row.pk, actor=Actor.owner(row.owner_id))
            self.people.used[row.pk] = clock.now()

    @rule(owner=st.sampled_from(["ada", "bob"]), destroy_ephemeral=st.booleans())
    def hold(self, owner: str, destroy_ephemeral: bool) -> None:
        before = {row.pk: row.intent_at for row in self._rows()}
        owners.hold(owner, actor=STAFF, reason="unpaid", destroy_ephemeral=destroy_ephemeral)
        for row in self._rows():
            if row.intent_at != before[row.pk]:
                self._asked(self._active(row) or row.operations.latest("created_at"), Action.STOP)

    @rule(owner=st.sampled_from(["ada", "bob"]))
    def lift(self, owner: str) -> None:
        owners.lift(owner, actor=STAFF)

    # what goes wrong

    @rule(call=st.sampled_from(sorted(CALLS)), how=st.sampled_from(sorted(SPOILED)), times=st.integers(1, 3))
    def spoil(self, call: str, how: str, times: int) -> None:
        self.emulator.faults.add(**SPOILED[how], **CALLS[call], times=times)

    @rule(how=st.sampled_from(sorted(HOSTS)), operation=st.sampled_from(["create", "start", "restore"]))
    def a_host_fails(self, operation: str, how: str) -> None:
        self.emulator.faults.add("host", operation=operation, times=1, **HOSTS[how])

    @rule(what=st.sampled_from(sorted(OUTAGES)))
    def outage(self, what: str) -> None:
        self.emulator.settings(**OUTAGES[what])

    @rule(cpus=st.integers(1, 4))
    def little_room(self, cpus: int) -> None:
        self.emulator.settings(quota={"cpu": cpus, **ROOM})

    @rule(owner=st.sampled_from(["ada", "bob"]))
    def one_more_than_there_is_room_for(self, owner: str) -> None:
        """All have been idle for long enough to be stopped for it."""
        running = len(self.emulator.state(state="started")["sandboxes"])
        self.emulator.settings(quota={"cpu": max(1, running), **ROOM})
        self._work_everything()
        self._pass(130.0)
        self.create(owner, False)
        for _ in range(4):
            self._work_everything()
            self._pass(1.0)

    @rule()
    def recover_from_outages(self) -> None:
        self.emulator.settings(**WELL)
        self.emulator.faults.clear()

    @rule(pick=PICK, change=st.sampled_from(sorted(FROM_OUTSIDE)))
    def change_from_outside(self, pick: int, change: str) -> None:
        row = self._row(pick)
        if self._is_there(row):
            self.emulator.change(str(row.daytona_id), **FROM_OUTSIDE[change])
            self._hint(row)

    @rule(pick=PICK, minutes=st.sampled_from([-1, 0, 600]))
    def set_auto_delete(self, pick: int, minutes: int) -> None:
        """In Daytona's dashboard; nobody here learns of it before the next look."""
        row = self._row(pick)
        if self._is_there(row):
            self.emulator.change(str(row.daytona_id), autoDeleteInterval=minutes)

    @rule(pick=PICK)
    def vanish(self, pick: int) -> None:
        row = self._row(pick)
        if self._is_there(row):
            self.emulator.vanish(str(row.daytona_id))
            self.vanished.add(row.pk)
            self._hint(row)

    @rule(pick=PICK)
    def a_worker_is_killed_after_the_claim(self, pick: int) -> None:
        sandbox_store.claim(self._row(pick).pk)

    @rule(place=PLACE)
    def a_worker_is_killed_with_what_it_claimed(self, place: int) -> None:
        queue.lose(place)

    # work

    @rule(place=PLACE, turns=st.integers(1, 4), skew=SKEWS)
    def work(self, place: int, turns: int, skew: float) -> None:
        for _ in range(turns):
            before = self._wishes()
            if not queue.run(place, skew=skew):
                return
            self._check_log(before)

    @rule(place=PLACE)
    def two_workers_find_the_same_row(self, place: int) -> None:
        before = self._wishes()
        queue.repeat(place)
        self._check_log(before)

    @rule(seconds=PAUSES)
    def time_passes(self, seconds: float) -> None:
        self._pass(seconds)

    @rule(pick=PICK, action=ACTIONS, during=st.integers(0, 1), takeover=st.booleans())
    def a_request_comes_during_a_call(self, pick: int, action: Action, during: int, takeover: bool) -> None:
        """While one worker waits for Daytona, a person asks for something, or another worker takes over."""
        busy = [operation for row in self._rows() if (operation := self._active(row))]
        if not busy:  # no precondition: which rules there are may not hang on what a busy machine was quick to do
            return
        operation = busy[pick % len(busy)]
        before = self._wishes()
        rule = self.emulator.faults.add("delay", system="daytona", skip=during, times=1, seconds=0.5)
        worker = threading.Thread(target=_advance, args=(operation.pk,))
        worker.start()
        wait_until(lambda: self.emulator.faults.hits(rule) or not worker.is_alive(), what="call of the attempt")
        if takeover:
            clock.move(61)
            lifecycle.attempt(operation.pk)
        else:
            with suppress(Refused):
                row = operation.sandbox
                asked = lifecycle.request(row.pk, action, actor=Actor.owner(row.owner_id), source=Source.API)
                self._asked(asked, action)
        self.emulator.advance(0.6)
        worker.join()
        self.emulator.faults.remove(rule)
        self._check_log(before)

    # what is always true

    def _check_log(self, before: dict[UUID, set[str]] | None = None) -> None:
        """What was accepted since the last look agrees with what people want."""
        lines = self.emulator.log(since=self.read)
        self.read = lines[-1]["seq"] if lines else self.read
        if before is None:
            return
        wishes = {pk: before.get(pk, set()) | now for pk, now in self._wishes().items()}
        evicted = set(Operation.objects.filter(source=Source.EVICTION).values_list("sandbox_id", flat=True))
        new = Operation.objects.filter(source=Source.EVICTION).exclude(pk__in=self.judged)
        victims = list(new.select_related("sandbox", "caused_by__sandbox"))
        self.judged |= {stop.pk for stop in victims}
        found = contradictions(lines, wishes, evicted) + against_the_rules(self.people, victims) + on_hold()
        assert not found, found

    def _wishes(self) -> dict[UUID, set[str]]:
        for failed in Operation.objects.filter(status=OperationStatus.FAILED, calls=None):
            self.people.refused_for_good(failed)
        wishes = {pk: {str(wish)} for pk, wish in self.people.wishes.items()}
        for pk in undone().values_list("pk", flat=True):
            wishes[pk].add(Intent.DELETED)  # what it may have left is taken away
        for create in Operation.objects.filter(action=Action.CREATE, status__in=ACTIVE):
            wishes[create.sandbox_id].add(Intent.RUNNING)  # a hold lets it go on to its end
        return wishes

    # help

    def _rows(self) -> list[Sandbox]:
        return list(Sandbox.objects.order_by("created_at"))

    def _row(self, pick: int) -> Sandbox:
        """Rather one that lives."""
        rows = self._rows()
        alive = [row for row in rows if row.status != Status.GONE] or rows
        return alive[pick % len(alive)]

    def _active(self, row: Sandbox) -> Operation | None:
        return sandbox_store.active_operation(row.pk)

    def _asked(self, operation: Operation, action: Action) -> None:
        self._wishes()
        self.people.asked(operation, action)

    def _is_there(self, row: Sandbox) -> bool:
        remote = self.emulator.sandbox(row.daytona_id or "")
        return remote is not None and remote["desired"] != "destroyed"

    def _hint(self, row: Sandbox) -> None:
        """What the socket or the sweep says of a change that nobody here made."""
        self.moved[row.pk] = clock.now()
        Sandbox.objects.filter(pk=row.pk).update(fetch_due_at=clock.now())

    def _pass(self, seconds: float) -> None:
        clock.move(seconds)
        self.emulator.advance(seconds)
        self._check_log()

    def _work_everything(self) -> None:
        before = self._wishes()
        queue.empty()
        self._check_log(before)


def timelines(problems: list[str]) -> list[str]:
    """What happened to the sandboxes that something is wrong with."""
    lines = []
    for row in Sandbox.objects.all():
        if any(str(row.pk) in words for words in problems):
            lines += [f"--- {row.pk} {row.daytona_id} {row.intent} met {row.intent_met_at}"]
            lines += [f"{e.at:%H:%M:%S} {e.kind} {e.text} {e.actor}" for e in row.events.order_by("pk")]
    return lines


def _advance(operation_id: UUID) -> None:
    try:
        lifecycle.attempt(operation_id)
    finally:
        connections.close_all()


def forget_the_process() -> None:
    """As a worker that was started anew."""
    daytona.reset()
    convex.reset()
