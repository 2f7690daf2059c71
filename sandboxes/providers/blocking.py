"""Coroutines for callers that are not async: commands and sweeps."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")
LAST_SECONDS = 2.0  # for what is still open when the process ends


class InCaller(Protocol):
    """Runs a function in the thread that waits for the coroutine."""

    async def __call__(self, function: Callable[..., T], /, *arguments: Any) -> T: ...


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run the coroutine on this process's background event loop, in the caller's context, and wait for its result.

    Safe from any thread. What ends the wait, such as a KeyboardInterrupt, cancels the coroutine.
    """
    future = asyncio.run_coroutine_threadsafe(coroutine, _background.loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
    finally:
        del future  # it holds the error, whose traceback holds this frame


def run_with_caller(start: Callable[[InCaller], Coroutine[Any, Any, T]]) -> T:
    """The same for a coroutine that has parts to run in the calling thread, such as those that use its database.

    `start` is given how to run one: `await in_caller(function, *arguments)`. What ends the wait cancels the
    coroutine, whose last parts still run.
    """
    parts = _Parts()

    async def whole() -> T:
        try:
            return await start(parts.run)
        finally:
            parts.end()

    future = asyncio.run_coroutine_threadsafe(whole(), _background.loop())
    try:
        parts.carry_out()
        return future.result()
    except BaseException:
        if future.cancel():
            with suppress(Empty):  # what it does to end, such as giving back a lease
                parts.carry_out(timeout=LAST_SECONDS)
        raise
    finally:
        del future  # it holds the error, whose traceback holds this frame


class _Parts:
    """What a coroutine hands over to the thread that waits for it."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    async def run(self, function: Callable[..., T], /, *arguments: Any) -> T:
        """For the coroutine: have this called by the thread, and wait for its result."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(partial(_call, function, arguments, answer))
        return await answer

    def end(self) -> None:
        """For the coroutine: nothing more comes."""
        self._queue.put(None)

    def carry_out(self, timeout: float | None = None) -> None:
        """For the thread: call what comes, until the end. Raises Empty when nothing came for `timeout` seconds."""
        while (part := self._queue.get(timeout=timeout)) is not None:
            part()


def _call(function: Callable[..., T], arguments: tuple[Any, ...], answer: asyncio.Future[T]) -> None:
    loop = answer.get_loop()
    try:
        found = function(*arguments)
    except Exception as error:
        loop.call_soon_threadsafe(_fail, answer, error)
    else:
        loop.call_soon_threadsafe(_answer, answer, found)


def _answer(future: asyncio.Future[Any], found: Any) -> None:
    if not future.done():
        future.set_result(found)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)


class _Background:
    """One event loop in one daemon thread, both made at the first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="blocking", daemon=True)
                self._thread.start()
            return self._loop

    def stop(self) -> None:
        if self._loop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(LAST_SECONDS)


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run the loop until it is stopped, then end what still runs and close what was kept open for it."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


_background = _Background()
_inherited: list[_Background] = []


def _after_fork() -> None:
    """A child has its parent's loop, but no thread that runs it. It is kept, so that nothing of it is closed."""
    global _background
    _inherited.append(_background)
    _background = _Background()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(lambda: _background.stop())
