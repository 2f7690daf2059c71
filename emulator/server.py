"""The one ASGI application: faults and latency first, then Daytona, Convex or the control API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette

from emulator.control import Control
from emulator.daytona.api import Daytona
from emulator.daytona.events import PATH as SOCKET_PATH
from emulator.http import Answer, Request

if TYPE_CHECKING:
    from starlette.routing import Route

    from emulator.core import Core
    from emulator.faults import Fault

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CONVEX = ("/api/query", "/api/mutation", "/api/action", "/api/function", "/api/run/", "/version", "/instance")
# The event loop wakes sleepers up to two milliseconds late; a latency of 50 ms is to be 50 ms.
LOOP_DELAY = 0.002
KEEP_ALIVE = [(b"Keep-Alive", b"timeout=5")]


class Server:
    def __init__(self, core: Core, *, convex: Callable[[Core], list[Route]] | None = None) -> None:
        self.core = core
        self.daytona = Daytona(core)
        self.convex = Starlette(routes=convex(core) if convex else [])
        self.control = Starlette(routes=Control(core, self).routes())
        self.calls: dict[asyncio.Task[Any], asyncio.Transport] = {}
        self._late: set[asyncio.Task[None]] = set()
        self._redis_up = asyncio.Event()
        self._redis_up.set()
        core.on_settings.append(self._notice_redis)
        core.on_reset.append(self._forget_calls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket" or scope["path"].startswith(SOCKET_PATH):
            await self.daytona.events.app(scope, receive, send)
        elif scope["path"].startswith("/_emulator/convex/"):
            await self.convex(scope, receive, send)
        elif scope["path"].startswith("/_emulator/"):
            await self.control(scope, receive, send)
        else:
            await self._call(scope, receive, send)

    def drop_calls(self) -> None:
        """Close the connection of every call that is still unanswered; what it began goes on."""
        for transport in self.calls.values():
            transport.abort()

    @property
    def open_calls(self) -> int:
        """Calls whose client still waits for an answer."""
        return sum(not transport.is_closing() for transport in self.calls.values())

    def _forget_calls(self) -> None:
        self.drop_calls()
        for task in [*self.calls, *self._late]:
            task.cancel()

    # calls

    async def _call(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        transport = scope.get("emulator.transport")
        if task is not None and transport is not None:
            self.calls[task] = transport
        try:
            request = await _read(scope, receive)
            if request is None:
                return
            system = "convex" if request.path.startswith(CONVEX) else "daytona"
            self.core.count(system, route_name(system, request))
            answer = await self._answer(system, request)
            if answer is None:
                scope["emulator.transport"].abort()
            else:
                await _send(answer, send)
        finally:
            if task is not None:
                self.calls.pop(task, None)

    async def _answer(self, system: str, request: Request) -> Answer | None:
        """None: close the connection without an answer."""
        fault = self.core.faults.for_call(system=system, method=request.method, path=request.url, body=request.body)
        if self.core.settings.latency:
            await asyncio.sleep(self.core.settings.latency - LOOP_DELAY)
        if fault is None:
            return await self._execute(system, request)
        return await self._spoiled(fault, system, request)

    async def _spoiled(self, fault: Fault, system: str, request: Request) -> Answer | None:
        if fault.execute_after is not None:
            self._execute_late(fault.execute_after, system, request)
        if fault.kind == "delay":
            await self.core.clock.sleep(fault.seconds or 0)
            return await self._execute(system, request)
        if fault.kind == "hang":
            await self._hang(fault.seconds)
            return None
        if fault.kind == "drop_after" or fault.execute:
            await self._execute(system, request)
        if fault.kind in ("drop_before", "drop_after"):
            return None
        return _canned(fault)

    async def _hang(self, seconds: float | None) -> None:
        if seconds is None:
            await asyncio.Event().wait()
        else:
            await self.core.clock.sleep(seconds)

    async def _execute(self, system: str, request: Request) -> Answer:
        if system == "convex":
            return await _through(self.convex, request)
        if not self._redis_up.is_set():
            await self._redis_up.wait()
        return await self.daytona.answer(request)

    def _execute_late(self, seconds: float, system: str, request: Request) -> None:
        async def run() -> None:
            await self.core.clock.sleep(seconds)
            await self._execute(system, request)

        task = asyncio.ensure_future(run())
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _notice_redis(self) -> None:
        if self.core.settings.redis == "up":
            self._redis_up.set()
        else:
            self._redis_up.clear()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.daytona.begin()
                self.core.clock.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                self.core.store.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def route_name(system: str, request: Request) -> str:
    """`GET /sandbox/{id}`, `mutation sandboxes:updateStatus`: what `GET /_emulator/counts` counts by."""
    parts = request.path.split("/")
    if system == "daytona":
        if len(parts) > 3 and parts[3] != "paginated":
            parts[3] = "{id}"
        if len(parts) > 5:
            parts[5] = "{minutes}"
        return f"{request.method} /{'/'.join(parts[2:])}"
    try:
        return f"{parts[2]} {json.loads(request.body)['path']}"
    except (ValueError, KeyError, TypeError, IndexError):
        return f"{request.method} {request.path}"


async def _read(scope: Scope, receive: Receive) -> Request | None:
    """None: the caller was gone before all of it had arrived."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return Request(
        method=scope["method"],
        path=scope.get("raw_path", scope["path"].encode()).split(b"?")[0].decode("latin-1"),
        query=scope["query_string"].decode("latin-1"),
        headers=dict(scope["headers"]),
        body=body,
        address=(scope.get("client") or ("", 0))[0],
    )


async def _send(answer: Answer, send: Send) -> None:
    headers = [*answer.headers, (b"Content-Length", str(len(answer.body)).encode()), *KEEP_ALIVE]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _through(app: Starlette, request: Request) -> Answer:
    """Run a Starlette application on a request that was already read, and collect its answer."""
    answer = Answer(500)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = [pair for pair in message["headers"] if pair[0].lower() != b"content-length"]
        else:
            answer.body += message.get("body", b"")

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.path,
        "raw_path": request.path.encode("latin-1"),
        "query_string": request.query.encode("latin-1"),
        "root_path": "",
        "headers": list(request.headers.items()),
        "client": (request.address, 0),
        "server": ("127.0.0.1", 0),
    }
    await app(scope, receive, send)
    return answer


def _canned(fault: Fault) -> Answer:
    """The answer of a `status` rule: text as it is (HTML from a proxy), anything else as JSON."""
    if isinstance(fault.answer, str):
        body, kind = fault.answer.encode(), b"text/html; charset=utf-8"
    else:
        body = b"" if fault.answer is None else json.dumps(fault.answer).encode()
        kind = b"application/json; charset=utf-8"
    given = {key.lower() for key in fault.headers}
    headers = [(key.encode(), value.encode()) for key, value in fault.headers.items()]
    if "content-type" not in given:
        headers.append((b"Content-Type", kind))
    return Answer(fault.status, body, headers)
