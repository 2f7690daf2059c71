"""The HTTP under the SDK's client: one aiohttp session for each event loop. Used by `wire.py` alone.

It takes the place of the SDK's own REST client, which follows redirects with the key, sends a PUT or DELETE again
when its connection is lost, reads proxies and passwords from the environment, and has no deadline for a whole call.
"""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from sandboxes.providers.daytona.errors import Unknown

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Mapping

# Daytona closes an idle connection after five seconds (`Keep-Alive: timeout=5` in every recording).
KEPT_SECONDS = 4.0
LARGEST_ANSWER = 32 * 2**20  # bytes; a page of 200 sandboxes has less than one MB
_ENDING: set[asyncio.Future[None]] = set()
_DROPPED = (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, OSError)


@dataclass(frozen=True, slots=True)
class Answer:
    """Whatever the server answered, read to its end."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes


@dataclass(slots=True)
class _Raw:
    """What the SDK unwraps. A lost call is returned, not raised: the SDK's frames hold the key."""

    response: Answer | Unknown


@dataclass(slots=True)
class _Progress:
    """How far one request came. Without a connection nothing was sent."""

    connected: bool = False


@dataclass(frozen=True, slots=True)
class _Open:
    """A session, and the generator that closes it."""

    session: aiohttp.ClientSession
    lifetime: AsyncGenerator[aiohttp.ClientSession]

    def end(self) -> None:
        """Close the session soon. Called in its loop."""
        task = asyncio.ensure_future(self._end())
        _ENDING.add(task)  # a loop alone does not keep its tasks
        task.add_done_callback(_ENDING.discard)

    async def _end(self) -> None:
        await self.lifetime.aclose()


class _AnswerTooLong(aiohttp.ClientError):
    pass


class Connections:
    """In the place of `daytona_api_client_async.rest.RESTClientObject`. Safe to share between event loops.

    There is no limit to the calls under way; idle connections are closed after KEPT_SECONDS. A session is closed
    with its loop (`loop.shutdown_asyncgens`, as by asyncio.run), by `close` or by `drop`.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext, connect_timeout: float) -> None:
        self._ssl = ssl_context
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_timeout)
        self._lock = threading.Lock()
        self._open: dict[asyncio.AbstractEventLoop, _Open] = {}

    async def request(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: object = None,
        _request_timeout: float | None = None,
        **_form: object,
    ) -> _Raw:
        """One request, sent once at most. `_request_timeout` is the seconds from here to the end of the answer."""
        progress = _Progress()
        sent = {"Content-Type": "application/json", "Accept-Encoding": "identity"} | headers
        try:
            async with asyncio.timeout(_request_timeout):
                session = await self._session()
                async with session.request(
                    method,
                    url,
                    headers=sent,
                    data=None if body is None else json.dumps(body),
                    timeout=self._timeout,
                    allow_redirects=False,
                    trace_request_ctx=progress,
                ) as answer:
                    return _Raw(Answer(answer.status, answer.headers, await _read(answer)))
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            return _Raw(_lost(error, progress, _request_timeout))

    async def close(self) -> None:
        """Close what is kept open for the running loop."""
        with self._lock:
            kept = self._open.pop(asyncio.get_running_loop(), None)
        if kept is not None:
            await kept.lifetime.aclose()

    def drop(self) -> None:
        """Close all that is kept open, each in its own loop, without waiting for it."""
        with self._lock:
            kept = dict(self._open)
            self._open.clear()
        for loop, one in kept.items():
            with suppress(RuntimeError):  # the loop is closed, and with it all that was open
                loop.call_soon_threadsafe(one.end)

    async def _session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        kept = self._open.get(loop)
        if kept is not None and not kept.session.closed:
            return kept.session
        lifetime = _keep_session(self._ssl)
        session = await anext(lifetime)  # without a pause: no other task of this loop comes between
        with self._lock:
            for ended in [one for one in self._open if one.is_closed()]:
                del self._open[ended]
            self._open[loop] = _Open(session, lifetime)
        return session


async def _keep_session(ssl_context: ssl.SSLContext) -> AsyncGenerator[aiohttp.ClientSession]:
    """A session that is closed with this generator: at the latest by its loop, when that is shut down."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_connected)
    trace.on_connection_reuseconn.append(_connected)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=ssl_context, keepalive_timeout=KEPT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[trace],
    )
    # Else aiohttp sends a PUT or DELETE once more when its connection is lost.
    session._retry_connection = False  # noqa: SLF001 - aiohttp has no public way to say so
    try:
        yield session
    finally:
        await session.close()


async def _connected(_session: aiohttp.ClientSession, context: Any, _params: object) -> None:
    context.trace_request_ctx.connected = True


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise _AnswerTooLong(f"the answer has more than {LARGEST_ANSWER} bytes")
    return bytes(body)


def _lost(error: Exception, progress: _Progress, seconds: float | None) -> Unknown:
    if isinstance(error, TimeoutError) and progress.connected:
        return Unknown(f"no whole answer within {seconds:g} s")
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    dropped = progress.connected and isinstance(error, _DROPPED)
    return Unknown(f"{type(cause).__name__}: {cause}", sent=progress.connected, dropped=dropped)
