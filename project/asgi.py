"""Serve the WSGI application from threads behind an event loop.

A request gets a thread when it has been read whole, and its answer leaves the thread whole: a slow client costs a
connection and a small buffer, never a thread. `/live` needs no thread at all, `/ready` and `/metrics` have two of
their own, so that a process whose threads are all busy is never taken for a dead one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import Any

from project import refusals
from project.environ import environ_of, head_size
from sandboxes.core.codes import Code

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Body = SpooledTemporaryFile[bytes]
Answer = tuple[int, refusals.Headers, Body]

MEMORY = 65_536  # bytes of a body that are held in memory; the rest goes to a temporary file
PROBES = frozenset({"/ready", "/metrics"})
PROBE_THREADS = 2


class TooLarge(Exception):
    """The body is larger than MAX_BODY_BYTES."""


class Gone(Exception):
    """The client has left."""


class Bridge:
    """The ASGI application around a WSGI one."""

    def __init__(self, wsgi: Wsgi, *, threads: int, max_head: int, max_body: int) -> None:
        self._wsgi = wsgi
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="web")
        self._probes = ThreadPoolExecutor(PROBE_THREADS, thread_name_prefix="probe")
        self._max_head, self._max_body = max_head, max_body

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            with suppress(Gone), SpooledTemporaryFile[bytes](MEMORY) as body:
                status, headers, content = await self._answer(scope, receive, body)
                with content:
                    await _send(send, status, headers, content)

    async def _answer(self, scope: Message, receive: Receive, body: Body) -> Answer:
        path = scope["path"]
        if head_size(scope) > self._max_head:
            status, headers, content = refusals.answer(Code.HEAD_TOO_LARGE)
            return _whole(status, [*headers, ("Connection", "close")], content)
        if path == "/live":
            return _whole(HTTPStatus.OK, [("Content-Type", "application/json")], b'{"process": "ok"}')
        try:
            length = await self._read(receive, body)
        except TooLarge:
            return _whole(*refusals.answer(Code.PAYLOAD_TOO_LARGE, path))
        threads = self._probes if path in PROBES else self._threads
        environ = environ_of(scope, body, length)
        return await asyncio.get_running_loop().run_in_executor(threads, run, self._wsgi, environ)

    async def _read(self, receive: Receive, body: Body) -> int:
        """Read the body to its end, however slowly it comes: the protocol has the deadline."""
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            part = message.get("body", b"")
            length += len(part)
            if length > self._max_body:
                raise TooLarge
            body.write(part)
            more = message.get("more_body", False)
        body.seek(0)
        return length


def run(wsgi: Wsgi, environ: dict[str, Any]) -> Answer:
    """The whole answer of the WSGI application, in the thread that calls."""
    started: list[Any] = []

    def start_response(status: str, headers: refusals.Headers, exc_info: Any = None) -> None:
        started[:] = [int(status[:3]), headers]

    content = SpooledTemporaryFile[bytes](MEMORY)
    parts = wsgi(environ, start_response)
    try:
        for part in parts:
            content.write(part)
    finally:
        getattr(parts, "close", lambda: None)()
    content.seek(0)
    return started[0], started[1], content


def _whole(status: int, headers: refusals.Headers, body: bytes) -> Answer:
    content = SpooledTemporaryFile[bytes](MEMORY)
    content.write(body)
    content.seek(0)
    return status, headers, content


async def _send(send: Send, status: int, headers: refusals.Headers, content: Body) -> None:
    # Django puts a blank before a cookie, which HTTP's grammar does not have.
    raw = [(name.lower().encode("latin-1"), value.strip().encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    more = True
    while more:
        part = content.read(MEMORY)
        more = len(part) == MEMORY
        await send({"type": "http.response.body", "body": part, "more_body": more})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
