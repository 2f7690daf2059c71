"""POSTs over kept-alive connections, as many as the other side takes; as little work per request as Python can."""

from __future__ import annotations

import re
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Load:
    """Where to ask, for what in turn, and the only answer that counts."""

    port: int
    paths: Iterator[str]
    headers: Mapping[str, str]
    status: int


def measure(load: Load, *, seconds: float, clients: int) -> float:
    """Answers per second. Raises AssertionError for an answer with another status."""
    counts = [0] * clients
    wrong: list[bytes] = []
    lock = threading.Lock()
    ends = time.monotonic() + seconds

    def ask(number: int) -> None:
        with socket.create_connection(("127.0.0.1", load.port), timeout=30) as connection:
            while time.monotonic() < ends and not wrong:
                with lock:
                    path = next(load.paths, None)
                assert path is not None, "no paths are left: more rows, please"
                connection.sendall(_request(path, load.headers))
                answer = _answer(connection)
                if not answer.startswith(b"HTTP/1.1 %d " % load.status):
                    wrong.append(answer)
                counts[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[0].decode(errors="replace")
    return sum(counts) / (time.monotonic() - began)


def _request(path: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Length: 0"]
    return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in headers.items()), "", ""]).encode()


def _answer(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += _more(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    match = LENGTH.search(head)
    assert match, head
    while len(body) < int(match[1]):
        body += _more(connection)
    return head + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    more = connection.recv(65536)
    assert more, "the connection was closed"
    return more
