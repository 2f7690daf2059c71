"""uvicorn's HTTP protocol, with the connection within reach: faults must be able to cut it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

Scope = MutableMapping[str, Any]


class Protocol(H11Protocol):
    """Hands each call its transport as `scope["emulator.transport"]`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        app = self.app

        def with_transport(scope: Scope, receive: Any, send: Any) -> Awaitable[None]:
            scope["emulator.transport"] = self.transport
            return app(scope, receive, send)

        self.app: Callable[..., Awaitable[None]] = with_transport
