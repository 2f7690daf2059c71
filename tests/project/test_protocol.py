"""What the web process does with a connection whose client takes no answer."""

from __future__ import annotations

import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from project import protocol
from tests.support.processes import free_port, listens
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGE = 50_000_000  # more than the kernel's buffers of a connection hold
cut = threading.Event()


class Watched(protocol.Protocol):
    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if isinstance(exc, TimeoutError):
            cut.set()


async def large(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * LARGE})


@pytest.fixture
def port() -> Iterator[int]:
    number = free_port()
    server = uvicorn.Server(
        uvicorn.Config(
            large, port=number, http=Watched, lifespan="off", log_config=None, timeout_graceful_shutdown=1
        )
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: listens(number), what="the server")
    yield number
    server.should_exit = True
    thread.join(PATIENCE)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does it, and only Linux does")
def test_a_client_that_takes_none_of_its_answer_is_cut(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cut.clear()
    monkeypatch.setattr(protocol, "UNREAD_SECONDS", 1)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(cut.is_set, timeout=15, what="the cut")
