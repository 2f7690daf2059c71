"""The database's part of the work: a few threads, each with a connection of Django's, beside the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import InterfaceError, OperationalError, connection, connections

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class DatabaseThreads:
    """Awaitable: `await threads(function, *arguments)` runs the function in one of them."""

    def __init__(self, number: int, *, name: str, again: bool = True) -> None:
        """Without `again` what a broken connection met is raised at once: it cannot be run a second time."""
        self._number = number
        self._again = again
        self._pool = ThreadPoolExecutor(number, thread_name_prefix=name)

    async def __call__(self, function: Callable[..., T], /, *arguments: Any) -> T:
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, context.run, _call, function, arguments, self._again)

    def close(self) -> None:
        """End the threads, and their connections with them."""
        together = threading.Barrier(self._number)
        for _ in range(self._number):
            self._pool.submit(_close, together)
        self._pool.shutdown()


def _call(function: Callable[..., T], arguments: tuple[Any, ...], again: bool) -> T:
    """A connection that a restart of the database broke is noticed by its failure alone: asking before each use, as
    Django does for a request, would be every second statement of an idle worker."""
    try:
        return function(*arguments)
    except (OperationalError, InterfaceError):
        if connection.connection is not None and connection.is_usable():
            raise
        connection.close()
        if not again:
            raise
    return function(*arguments)


def _close(together: threading.Barrier) -> None:
    together.wait()
    connections.close_all()
