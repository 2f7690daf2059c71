"""What many ask at the same time is answered together: batches that grow with the load and wait for nothing."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from contextvars import Context
from typing import TYPE_CHECKING, Generic, TypeVar

import structlog
from django.db import InterfaceError, OperationalError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")
log = structlog.get_logger(__name__)
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0  # seconds between two tries while the database is away
SHARE_OF_OTHERS = 8  # one of so many places of a batch, however many are to come first
MOST_TRIES = 3  # of one batch that fails alone, with a database that answers


class _Waiting(Generic[T]):
    """What has to wait, by owner: they take turns, so that nobody waits behind the hundreds of another."""

    def __init__(self) -> None:
        self._by_owner: OrderedDict[str, deque[T]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._by_owner)

    def add(self, owner: str, one: T) -> None:
        self._by_owner.setdefault(owner, deque()).append(one)

    def take(self, most: int) -> list[T]:
        taken: list[T] = []
        while self._by_owner and len(taken) < most:
            owner, theirs = self._by_owner.popitem(last=False)
            taken.append(theirs.popleft())
            if theirs:
                self._by_owner[owner] = theirs
        return taken


class Batches(Generic[A, R]):
    """Answers what is asked, up to `size` together; what comes during a batch goes into the next one.

    What is asked with `first` goes before what is not, but for a part of each batch; in both, owners take turns.
    `answer` does one batch. One that raises is divided until the one that breaks it stands alone, which is given to
    `give_up`. While the database is away (`is_away`) nothing is given up: it is asked again until it is there.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[A]], Awaitable[Sequence[R]]],
        *,
        give_up: Callable[[A, Exception], Awaitable[R]],
        is_away: Callable[[], Awaitable[bool]],
        size: int,
        side_by_side: int,
    ) -> None:
        self._answer, self._give_up, self._is_away = answer, give_up, is_away
        self._size, self._free = size, side_by_side
        self._first: _Waiting[tuple[A, asyncio.Future[R]]] = _Waiting()
        self._others: _Waiting[tuple[A, asyncio.Future[R]]] = _Waiting()
        self._running: set[asyncio.Task[None]] = set()

    async def __call__(self, asked: A, *, owner: str, first: bool = False) -> R:
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        (self._first if first else self._others).add(owner, (asked, future))
        self._begin()
        return await future

    def _begin(self) -> None:
        if self._free == 0 or not (self._first or self._others):
            return
        self._free -= 1
        # Of nobody's context: what is logged in a batch is of none of those who asked, but as it says itself.
        task = asyncio.get_running_loop().create_task(self._run(), context=Context())
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self) -> None:
        try:
            await asyncio.sleep(0)  # what else is ready in this moment comes along
            batch = self._next()
            if batch:
                await self._settle(batch)
        finally:
            self._free += 1
            self._begin()

    def _next(self) -> list[tuple[A, asyncio.Future[R]]]:
        taken = self._first.take(self._size - self._size // SHARE_OF_OTHERS)
        taken += self._others.take(self._size - len(taken))
        return taken + self._first.take(self._size - len(taken))

    async def _settle(self, batch: list[tuple[A, asyncio.Future[R]]]) -> None:
        try:
            answers = await self._patiently([asked for asked, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                await self._break_off(*batch[0], error)
                return
            middle = len(batch) // 2
            await self._settle(batch[:middle])
            await self._settle(batch[middle:])
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            if not future.done():
                future.set_result(answer)

    async def _break_off(self, asked: A, future: asyncio.Future[R], error: Exception) -> None:
        try:
            answer = await self._give_up(asked, error)
        except Exception as second:
            if not future.done():
                future.set_exception(second)
            return
        if not future.done():
            future.set_result(answer)

    async def _patiently(self, asked: list[A]) -> Sequence[R]:
        pause, tries = FIRST_PAUSE, 0
        while True:
            try:
                return await self._answer(asked)
            except (OperationalError, InterfaceError) as error:
                if not await self._is_away():
                    tries += 1
                    if tries >= MOST_TRIES:
                        raise
                log.warning("database_away", error=str(error).strip(), again_in=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
