"""Daytona's Socket.IO stream: everything of the token's organisation (recording 20_socketio_events)."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.daytona.access import Access

PATH = "/api/socket.io"


class Events:
    def __init__(self, access: Access) -> None:
        self._access = access
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: dict[str, str] = {}

    @cached_property
    def server(self) -> Any:
        """Made for the first client: the import is half of the emulator's start-up time."""
        import socketio

        server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*", transports=["websocket"])
        server.on("connect", self._connect)
        server.on("disconnect", self._disconnect)
        return server

    @cached_property
    def app(self) -> Any:
        import socketio

        return socketio.ASGIApp(self.server, socketio_path=PATH)

    @property
    def clients(self) -> int:
        return len(self._clients)

    def publish(self, organization: str, event: str, payload: Callable[[], dict[str, Any]]) -> None:
        """Send to all clients of the organisation; the payload is only made when somebody listens."""
        if organization in self._clients.values():
            self.send(event, payload(), room=organization)

    def send(self, event: str, payload: Any, *, room: str | None = None) -> None:
        """Also used to send events that no real server would (malformed ones)."""
        if not self._clients:
            return
        task = asyncio.ensure_future(self.server.emit(event, payload, room=room))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drop_all(self) -> None:
        """Close every connection, as a restart of the API does."""
        for client in list(self._clients):
            await self.server.disconnect(client)

    async def _connect(self, client: str, environ: dict[str, Any], auth: Any = None) -> bool:
        token = auth.get("token") if isinstance(auth, dict) else None
        organization = self._access.organization_of(token) if isinstance(token, str) else None
        if organization is None:
            return False
        self._clients[client] = organization
        await self.server.enter_room(client, organization)
        return True

    async def _disconnect(self, client: str, *reason: Any) -> None:
        self._clients.pop(client, None)
