"""Counts the statements that a process sends to PostgreSQL, exactly and from outside: it stands between the two.

Each simple query and each execution of a prepared one counts, BEGIN and COMMIT too. `pg_stat_statements` would say
the same, where the server loads it; this needs nothing of the server. What it costs is in the bench's own process.
The connection through it is not encrypted: an address with sslmode=require is refused.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict

from project.database import conninfo

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNTED = (ord("Q"), ord("E"))  # a query, the execution of a prepared statement
ENCRYPTION = (80877103, 80877104)  # a client asks for TLS or GSSAPI first: the answer is no
FIRST = 8  # bytes of the first message that say what it is
HEAD = 5  # bytes of any later message: its kind and its length


class Counter:
    """How many statements have passed; one for all connections."""

    statements = 0


class Passing(asyncio.Protocol):
    """One direction of a connection. `then` is where the bytes go; a client's messages are counted."""

    def __init__(self, counter: Counter | None) -> None:
        self._counter = counter
        self.other: asyncio.Transport | None = None
        self._early = b""
        self._head = b""
        self._first = True
        self._skip = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self.other is not None:
            self.other.close()

    def data_received(self, data: bytes) -> None:
        if self._counter is not None:
            data = self._counted(data, self._counter)
        if self.other is None:
            self._early += data
        else:
            self.other.write(data)

    def joined(self, other: asyncio.Transport) -> None:
        self.other = other
        other.write(self._early)
        self._early = b""

    def _counted(self, data: bytes, counter: Counter) -> bytes:
        """What is to be passed on: all but a wish for encryption."""
        place = 0
        while place < len(data):
            if self._skip:
                step = min(self._skip, len(data) - place)
                self._skip -= step
            else:
                step = min((FIRST if self._first else HEAD) - len(self._head), len(data) - place)
                self._head += data[place : place + step]
                if self._first and len(self._head) == FIRST and self._wants_encryption():
                    return data[place + step :]
                self._message(counter)
            place += step
        return data

    def _wants_encryption(self) -> bool:
        wants = int.from_bytes(self._head[4:8], "big") in ENCRYPTION
        if wants:
            self._head = b""
            self.transport.write(b"N")
        return wants

    def _message(self, counter: Counter) -> None:
        """Look at a head, once it is whole."""
        if len(self._head) < (FIRST if self._first else HEAD):
            return
        if self._first:
            self._skip = int.from_bytes(self._head[:4], "big") - FIRST
        else:
            self._skip = int.from_bytes(self._head[1:5], "big") - HEAD + 1
            counter.statements += self._head[0] in COUNTED
        self._first, self._head = False, b""


@contextmanager
def counted(url: str) -> Iterator[tuple[str, Counter]]:
    """The address of the same database by way of the counter, and the counter."""
    server = conninfo_to_dict(conninfo(url))
    host, port = str(server.get("host") or "127.0.0.1"), int(server.get("port") or 5432)
    counter, loop, ready = Counter(), asyncio.new_event_loop(), threading.Event()
    ended = asyncio.Event()
    taken: list[int] = []
    open_now: set[asyncio.Transport] = set()
    joining: set[asyncio.Task[None]] = set()

    async def join(client: Passing) -> None:
        transport, server = await loop.create_connection(lambda: Passing(None), host, port)
        open_now.update((transport, client.transport))
        server.joined(client.transport)
        client.joined(transport)

    class Client(Passing):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            joining.add(task := loop.create_task(join(self)))
            task.add_done_callback(joining.discard)

    async def listen() -> None:
        listener = await loop.create_server(lambda: Client(counter), "127.0.0.1", 0)
        taken.append(listener.sockets[0].getsockname()[1])
        ready.set()
        await ended.wait()
        listener.close()
        for transport in open_now:
            transport.abort()
        await asyncio.sleep(0)  # until they are closed

    thread = threading.Thread(target=loop.run_until_complete, args=(listen(),), daemon=True)
    thread.start()
    assert ready.wait(10), "the counter of statements did not start"
    try:
        yield _by_way_of(url, taken[0]), counter
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


def _by_way_of(url: str, port: int) -> str:
    parts = urlsplit(url)
    who = parts.netloc.rpartition("@")[0]
    return parts._replace(netloc=f"{who}@127.0.0.1:{port}" if who else f"127.0.0.1:{port}").geturl()
