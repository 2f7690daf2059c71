"""This worker's part in the budgets of calls that all workers share (services/call_budgets.py)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandboxes import clock
from sandboxes.providers.daytona.errors import RateLimited
from sandboxes.services import call_budgets, loops

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandboxes.providers.daytona.throttle import Resting
    from sandboxes.services.lifecycle.attempts import Database


SHARES = 32  # a worker takes one of so many parts of a window at a time
# While nobody knows whether a bucket has a limit, so many calls go ahead, and the others after so many seconds: a
# call that is one too many is refused at once.
FIRST, FIRST_SECONDS = 8, 0.5
UNLIMITED = 0


@dataclass
class _Bucket:
    limit: int | None = None
    left: int = 0  # calls of the share that was taken
    until: float = 0.0  # when it is void
    ahead: int = FIRST
    is_known: asyncio.Event = field(default_factory=asyncio.Event)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Budgets:
    """Asked before each call to Daytona, and told of each answer."""

    def __init__(self, database: Database, resting: Resting) -> None:
        self._database, self._resting = database, resting
        self._buckets: defaultdict[str, _Bucket] = defaultdict(_Bucket)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    async def enter(self, buckets: Iterable[str]) -> None:
        """Wait for, or take, a place in each of these buckets.

        Raises:
            RateLimited: the window is used up, with the seconds until it ends.
        """
        for name in buckets:
            bucket = self._buckets[name]
            if bucket.limit is None:
                await self._go_ahead(bucket)
            if bucket.limit:
                await self._take(name, bucket)

    async def _go_ahead(self, bucket: _Bucket) -> None:
        if bucket.ahead == FIRST:
            asyncio.get_running_loop().call_later(FIRST_SECONDS, bucket.is_known.set)
        if bucket.ahead > 0:
            bucket.ahead -= 1
        else:
            await bucket.is_known.wait()

    async def _take(self, name: str, bucket: _Bucket) -> None:
        async with bucket.lock:
            if bucket.left == 0 or clock.monotonic() > bucket.until:
                most = max(1, (bucket.limit or 0) // SHARES)
                bucket.left, seconds = await self._database(call_budgets.grant, name, most)
                bucket.until = clock.monotonic() + seconds
            if bucket.left == 0:
                seconds = max(bucket.until - clock.monotonic(), 0.1)
                message = f"Daytona takes {bucket.limit} such calls at a time ({name}): the next in {seconds:.1f} s"
                raise RateLimited(message, retry_after=seconds, bucket=name)
            bucket.left -= 1

    def answered(self, name: str, limit: int | None, remaining: int, reset: float) -> None:
        """An answer of Daytona's came, with the limit of its bucket if that has one."""
        bucket = self._buckets[name]
        is_news = bucket.limit != (limit or UNLIMITED)
        bucket.limit = limit or UNLIMITED
        bucket.is_known.set()
        if limit and (is_news or abs(bucket.until - clock.monotonic() - reset) > 1.0):
            bucket.until = clock.monotonic() + reset
            self._tell(call_budgets.learn, name, limit, remaining, reset)

    def throttled(self, name: str, seconds: float) -> None:
        self._buckets[name].left = 0
        self._tell(call_budgets.close, name, seconds)

    def refused(self, seconds: float) -> None:
        self._is_closed = True
        self._tell(call_budgets.close, call_budgets.KEY, seconds)

    def accepted(self) -> None:
        if self._is_closed:
            self._is_closed = False
            self._tell(call_budgets.reopen, call_budgets.KEY)

    async def refresh(self) -> None:
        """Hear what the others learned."""
        limits, closed = await self._database(call_budgets.read)
        for name, limit in limits.items():
            self._buckets[name].limit = limit
            self._buckets[name].is_known.set()
        for name, seconds in closed.items():
            if name != call_budgets.KEY:
                self._resting.throttle(name, seconds)
        self._resting.refuse_for(closed.get(call_budgets.KEY))

    def _tell(self, function: Any, *arguments: Any) -> None:
        task = asyncio.ensure_future(self._written(function, *arguments))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _written(self, function: Any, *arguments: Any) -> None:
        try:
            await self._database(function, *arguments)
        except Exception as error:
            loops.tell("budget_not_written", error)
