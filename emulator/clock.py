"""The emulator's time: the wall clock plus what a test advanced it by.

Everything that waits (holds, transitions, crons, throttle windows) waits on this clock, so that a
test can let half an hour pass in a few milliseconds.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from contextlib import suppress

Timer = tuple[float, int, Callable[[], object]]


class Clock:
    def __init__(self) -> None:
        self._offset = 0.0
        self._frozen: float | None = None
        self._stopped = False
        self._timers: list[Timer] = []
        self._cancelled: set[int] = set()
        self._order = itertools.count()
        self._alarm: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """Seconds since the epoch as the emulated systems see them."""
        return self._frozen if self._frozen is not None else time.time() + self._offset

    def micros(self) -> int:
        """Now in microseconds, rounded down to a millisecond as JavaScript writes it."""
        return int(self.now() * 1000) * 1000

    def call_later(self, seconds: float, function: Callable[[], object]) -> int:
        number = next(self._order)
        heapq.heappush(self._timers, (self.now() + max(0.0, seconds), number, function))
        if self._timers[0][1] == number:
            self._arm()
        return number

    def cancel(self, number: int) -> None:
        self._cancelled.add(number)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        number = self.call_later(seconds, lambda: _finish(waiter))
        try:
            await waiter
        except asyncio.CancelledError:
            self.cancel(number)
            raise

    async def advance(self, seconds: float | None = None) -> None:
        """Let `seconds` pass at once, timer by timer, each seeing the time that it was due at.

        Without `seconds`: until the next timer is due.
        """
        self._drop_cancelled()
        if seconds is None:
            seconds = max(0.0, self._timers[0][0] - self.now()) if self._timers else 0.0
        target = self.now() + seconds
        while self._timers and self._timers[0][0] <= target:
            self._frozen = max(self.now(), self._timers[0][0])
            self._run_due()
            for _ in range(5):
                await asyncio.sleep(0)
        self._frozen = target
        if not self._stopped:
            self.run()

    def stop(self) -> None:
        """From now on time passes by `advance` only."""
        self._stopped, self._frozen = True, self.now()

    def run(self) -> None:
        """Time passes by itself again, from where it is."""
        self._offset, self._frozen, self._stopped = self.now() - time.time(), None, False
        self._arm()

    def reset(self) -> None:
        """Back to the wall clock; nothing that was waiting will be called."""
        self._timers.clear()
        self._cancelled.clear()
        self._offset, self._frozen, self._stopped = 0.0, None, False
        self._arm()

    def _drop_cancelled(self) -> None:
        while self._timers and self._timers[0][1] in self._cancelled:
            self._cancelled.discard(heapq.heappop(self._timers)[1])

    def _run_due(self) -> None:
        now = self.now()
        while self._timers and self._timers[0][0] <= now:
            _, number, function = heapq.heappop(self._timers)
            if number in self._cancelled:
                self._cancelled.discard(number)
            else:
                function()

    def _ring(self) -> None:
        self._alarm = None
        if self._frozen is None:
            self._run_due()
            self._arm()

    def _arm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if not self._timers or self._stopped:
            return
        with suppress(RuntimeError):  # no loop yet: armed again when the server starts
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(max(0.0, self._timers[0][0] - self.now()), self._ring)

    def start(self) -> None:
        """Called once inside the running loop: arms what was scheduled before it ran."""
        self._arm()


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
