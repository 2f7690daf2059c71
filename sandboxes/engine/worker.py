"""One worker process: an event loop with thousands of turns in it, a few threads for the database."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import structlog
import uvloop
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from sandboxes.core.facts import CallAnswered
from sandboxes.engine import lanes, picks
from sandboxes.engine.batches import Batches
from sandboxes.engine.budgets import Budgets
from sandboxes.engine.database import DatabaseThreads
from sandboxes.engine.dead import free_the_held, holder_of
from sandboxes.engine.deliveries import Deliveries
from sandboxes.engine.lanes import Lane
from sandboxes.engine.listening import listen
from sandboxes.engine.steps_back import notice_steps_back
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.providers.daytona.errors import NotConfigured
from sandboxes.services import heartbeat, jobs, loops, policies, projection, touches
from sandboxes.services.heartbeat import Heartbeat
from sandboxes.services.lifecycle import attempts, turns

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from uuid import UUID

    from sandboxes.core.facts import Answer
    from sandboxes.providers.daytona.throttle import Resting
    from sandboxes.services.lifecycle.turns import Turn, TurnOutcome

    Answers = tuple[Answer, ...]

log = structlog.get_logger(__name__)
T = TypeVar("T")

PLACES = 2500
POLL = 0.25  # seconds between two looks at what is due, when nobody wakes us
BREATH = 0.02  # seconds between two claims while there is more to claim
BATCH = 100  # decisions written together: what comes in meanwhile waits for them
GRACE = 10.0  # seconds that turns have to end in when the worker stops
REVIEW_EVERY = 15.0  # seconds
PUSHES, PUSHED_TOGETHER, TOUCHES = 4, 100, 200
BESIDE = (
    picks.PUSHES, picks.TOUCHES, picks.UNREAD, picks.DELIVERIES, picks.JOBS, picks.POLICIES, picks.CHANGED_POLICIES,
)  # fmt: skip
MOST_FILES = 65536
GARBAGE = (50_000, 20, 50)


class Worker:
    """Claims what is due until `stop`; then lets the turns end, gives back what it holds, and returns."""

    def __init__(self, *, places: int = PLACES) -> None:
        self.heartbeat = Heartbeat(places=places)
        self.lanes = [
            Lane("people", picks.PEOPLE, places=places),
            Lane("system", picks.SYSTEM, places=places // 2),
            Lane("fetches", picks.FETCHES, places=max(places // 8, min(places, 16))),
        ]
        self._holder = holder_of(self.heartbeat.worker_id)
        self._decisions = DatabaseThreads(2, name="decide")
        self._claims = DatabaseThreads(1, name="claim")
        self._others = DatabaseThreads(4, name="other")
        self._pushes = DatabaseThreads(PUSHES, name="push", again=False)
        self._decide: Batches[tuple[Turn, Answers], TurnOutcome | None] = Batches(
            self._decide_together, give_up=self._put_back, is_away=self._is_away, size=BATCH, side_by_side=2
        )
        self._deliveries = Deliveries(holder=self._holder, woken=lambda: self._woken.set())
        self._turns: dict[asyncio.Task[None], Turn] = {}
        self._pushing: set[UUID] = set()
        self._touching = self._at_jobs = self._judging = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._budgets: Budgets | None = None

    async def run(self) -> None:
        log.info("worker_started", worker=self.heartbeat.worker_id, places=self.heartbeat.places)
        background = [
            asyncio.create_task(self._repeat("heartbeat", self._beat, every=settings.HEARTBEAT_SECONDS)),
            asyncio.create_task(self._repeat("review", self._review, every=REVIEW_EVERY)),
            asyncio.create_task(self._repeat("budgets", self._refresh_budgets, every=1.0)),
            asyncio.create_task(listen(self._woken.set)),
        ]
        with suppress(NotConfigured):  # its library takes a while to load: not while rows wait under our lease
            (await asyncio.to_thread(daytona.gateway)).share(self._budgets_with)
        try:
            await self._repeat("claims", self._claim_what_is_due, every=0.0, until=self._stopping.is_set)
            await self._end_turns()
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            with suppress(DatabaseError, InterfaceError):  # it then counts as fallen silent
                await self._others(self.heartbeat.stop)
            for threads in (self._decisions, self._claims, self._others, self._pushes):
                await asyncio.to_thread(threads.close)
            await self._deliveries.close()
            with suppress(NotConfigured):
                await daytona.gateway().close()
        log.info("worker_stopped", worker=self.heartbeat.worker_id)

    def stop(self) -> None:
        log.info("worker_stopping", worker=self.heartbeat.worker_id)
        self._stopping.set()
        self._woken.set()

    # --- claims

    async def _claim_what_is_due(self) -> None:
        self._woken.clear()
        queues = (*[lane.queue for lane in self.lanes], *BESIDE)
        found = await self._claims(picks.due, queues)
        *in_lanes, pushes, touched, unread, deliveries, job, ruled, changed = found
        began = 0
        self._deliveries.begin(unread=unread, due=deliveries)
        for lane, is_due in zip(self.lanes, in_lanes, strict=True):
            if is_due and lane.free > 0:
                began += await self._claim(lane)
        if pushes:
            began += await self._push_what_is_due()
        if touched and not self._touching:
            began += await self._touch_what_is_due()
        if job and not self._at_jobs:
            self._at_jobs = True
            self._spawn(self._work_at_jobs())
        if (ruled or changed) and not self._judging:
            self._judging = True
            self._spawn(self._judge())
        if began:
            await asyncio.sleep(BREATH)
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), POLL)

    async def _claim(self, lane: Lane) -> int:
        claimed, after = await self._claims(lanes.claim, lane.wishes(), self._holder, turns.claim)
        lane.went_on(after)
        for turn in claimed:
            lane.take(turn.owner)
            task = asyncio.create_task(self._take(lane, turn))
            self._turns[task] = turn
            task.add_done_callback(self._turns.pop)
        return len(claimed)

    async def _take(self, lane: Lane, turn: Turn) -> None:
        try:
            await attempts.run(turn, database=self._patiently, decide=self._decided)
        except Exception as error:
            loops.tell("turn_failed", error, sandbox_id=str(turn.sandbox_id))
        finally:
            lane.leave(turn.owner)
            self._woken.set()

    async def _decided(self, turn: Turn, answers: Answers) -> TurnOutcome | None:
        if self._stopping.is_set():
            turn.ends = float("-inf")
        # Whose call was made goes first: nobody waits to see what became of it behind those who have not begun.
        called = any(isinstance(one, CallAnswered) for one in answers)
        return await self._decide((turn, answers), owner=turn.owner, first=called)

    async def _decide_together(self, asked: Sequence[tuple[Turn, Answers]]) -> Sequence[TurnOutcome | None]:
        return await self._decisions(turns.decide_together, asked)

    async def _put_back(self, asked: tuple[Turn, Answers], error: Exception) -> None:
        await self._others(turns.put_back, asked[0], error)

    async def _patiently(self, function: Callable[..., T], /, *arguments: Any) -> T:
        """Run it when the database is there: a turn does not end because it is away for a moment.

        It may have come back since: only what fails again with the database there is raised.
        """
        was_away = True
        while True:
            try:
                return await self._others(function, *arguments)
            except (OperationalError, InterfaceError):
                is_away = await self._is_away()
                if not (is_away or was_away):
                    raise
                was_away = is_away
            await asyncio.sleep(POLL)

    async def _is_away(self) -> bool:
        """Whether the database does not answer now."""
        try:
            await self._others(_ask)
        except (OperationalError, InterfaceError):
            return True
        return False

    # --- Convex, touches, jobs, and policies

    async def _push_what_is_due(self) -> int:
        room = PUSHES * PUSHED_TOGETHER - len(self._pushing)
        if room <= 0:
            return 0
        ids, together = await self._claims(projection.due, room + len(self._pushing))
        new = [pk for pk in ids if pk not in self._pushing]
        size = PUSHED_TOGETHER if together else 1
        parts = [new[start : start + size] for start in range(0, len(new), size)][: PUSHES * 4]
        for part in parts:
            self._pushing.update(part)
            self._spawn(self._push(part))
        return len(parts)

    async def _push(self, ids: list[UUID]) -> None:
        token = uuid4().hex
        try:
            await self._pushes(projection.push_many, ids, token)
        except (OperationalError, InterfaceError) as error:
            loops.tell("push_broken_off", error)
            await self._patiently(projection.abandon, ids, token)
        except Exception as error:
            # What it claimed waits for the end of the lease: it would fail as often as it is tried.
            loops.tell("push_failed", error)
        finally:
            self._pushing.difference_update(ids)
            self._woken.set()

    async def _touch_what_is_due(self) -> int:
        touched = await self._claims(touches.take, TOUCHES)
        if touched:
            self._touching = True
            self._spawn(self._touch(touched))
        return len(touched)

    async def _touch(self, touched: list[touches.Touched]) -> None:
        try:
            told = await touches.tell_daytona(touched)
            if told:
                await self._pushes(touches.tell_convex, told)
        except Exception as error:
            loops.tell("touch_failed", error)
        finally:
            self._touching = False

    async def _work_at_jobs(self) -> None:
        """Step by step, until no job is due; one thread of a worker is at jobs, whatever else it does."""
        try:
            while not self._stopping.is_set() and await self._others(partial(jobs.work, holder=self._holder)):
                pass
        except Exception as error:
            loops.tell("job_failed", error)
        finally:
            self._at_jobs = False

    async def _judge(self) -> None:
        """Lifecycle policies: what they bring about is operations, which have a lane."""
        try:
            await self._others(policies.apply_some)
        except Exception as error:
            loops.tell("policies_failed", error)
        finally:
            self._judging = False
            self._woken.set()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- signs of life

    async def _beat(self) -> None:
        lanes = {lane.name: [lane.taken, lane.places] for lane in (*self.lanes, self._deliveries.lane)}
        await self._others(self.heartbeat.beat, lanes)
        await self._others(free_the_held)

    def _budgets_with(self, resting: Resting) -> Budgets:
        self._budgets = Budgets(self._patiently, resting)
        return self._budgets

    async def _refresh_budgets(self) -> None:
        if self._budgets is not None:
            await self._budgets.refresh()

    async def _review(self) -> None:
        await self._others(notice_steps_back)
        await self._others(heartbeat.tidy)

    async def _repeat(
        self,
        name: str,
        step: Callable[[], Awaitable[None]],
        *,
        every: float,
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        """Without an end but `until`; what a step raises is logged, and it runs again after a growing pause."""
        failures = 0
        while not until():
            try:
                await step()
                failures, pause = 0, every
            except Exception as error:
                failures += 1
                pause = loops.pause_after(failures)
                loops.tell_failure(name, error, pause)
            await asyncio.sleep(pause)

    # --- the end

    async def _end_turns(self) -> None:
        """Turns end with their next decision; those that wait for an answer for longer are broken off."""
        running = {*self._turns, *self._tasks, *self._deliveries.tasks}
        if running:
            _, late = await asyncio.wait(running, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


def _ask() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@contextmanager
def beside(*, places: int = PLACES) -> Iterator[Worker]:
    """A worker in a thread of this process, for as long as the block lasts."""
    started: Future[tuple[Worker, asyncio.AbstractEventLoop]] = Future()

    async def whole() -> None:
        worker = Worker(places=places)
        started.set_result((worker, asyncio.get_running_loop()))
        await worker.run()

    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(uvloop.run, whole())
        worker, loop = started.result()
        try:
            yield worker
        finally:
            loop.call_soon_threadsafe(worker.stop)
            ended.result()


def run_until_signal(*, places: int) -> None:
    """Be a worker until SIGTERM or SIGINT; a second one ends the process at once."""

    async def whole() -> None:
        worker = Worker(places=places)
        received: list[int] = []

        def on_signal(number: int) -> None:
            received.append(number)
            if len(received) > 1:
                os._exit(1)
            worker.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
        await worker.run()

    _allow_many_connections()
    # Thousands of turns are many objects that live for seconds: looking through them each time that 700 were made
    # took a sixth of the CPU of a burst.
    gc.set_threshold(*GARBAGE)
    uvloop.run(whole())


def _allow_many_connections() -> None:
    """Each call in flight is an open file, of which a process may have 1,024 unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < MOST_FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (MOST_FILES if hard < 0 else min(MOST_FILES, hard), hard))
