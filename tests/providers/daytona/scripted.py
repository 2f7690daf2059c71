"""A server that answers request after request from a script of raw bytes, for what no well-behaved server sends."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

CUT = b""  # close the connection without an answer
HANG = None  # never answer


@dataclass(frozen=True)
class Slowly:
    """Send these bytes one by one, with a pause in seconds before each."""

    answer: bytes
    pause: float


Step = bytes | Slowly | None


@dataclass
class Seen:
    line: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass
class Script:
    """One step a request, the last one for ever. `close_after` ends the connection after each answer."""

    url: str
    steps: list[Step]
    close_after: bool = False
    seen: list[Seen] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    closed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def next_step(self) -> Step:
        return self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]


def answer(status: int, body: object = None, *, headers: dict[str, str] | None = None) -> bytes:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(text)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + text


@contextlib.contextmanager
def scripted(*steps: Step, close_after: bool = False) -> Iterator[Script]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    script = Script(f"http://127.0.0.1:{listener.getsockname()[1]}/api", list(steps), close_after)
    threads = [threading.Thread(target=_accept, args=(listener, script), daemon=True)]
    threads[0].start()
    try:
        yield script
    finally:
        script.closing.set()
        # A thread in accept() does not notice that its socket is closed.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        threads[0].join(timeout=PATIENCE)


def _accept(listener: socket.socket, script: Script) -> None:
    number = 0
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        number += 1
        threading.Thread(target=_serve, args=(connection, number, script), daemon=True).start()


def _serve(connection: socket.socket, number: int, script: Script) -> None:
    with connection, connection.makefile("rb") as stream:
        while True:
            seen = _read(stream, number)
            if seen is None:
                break
            script.seen.append(seen)
            step = script.next_step()
            if step is HANG:
                script.closing.wait(PATIENCE)
                break
            if step == CUT:
                break
            if isinstance(step, Slowly):
                _drip(connection, step, script)
                break
            connection.sendall(step)
            if script.close_after:
                break
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    script.closed.release()


def _drip(connection: socket.socket, step: Slowly, script: Script) -> None:
    with contextlib.suppress(OSError):  # the client has left
        for number in range(len(step.answer)):
            if script.closing.wait(step.pause):
                return
            connection.sendall(step.answer[number : number + 1])


def _read(stream: BinaryIO, number: int) -> Seen | None:
    try:
        line = stream.readline().decode("latin-1").strip()
        headers: dict[str, str] = {}
        while text := stream.readline().decode("latin-1").strip():
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
    except OSError:
        return None
    if not line:
        return None
    return Seen(line, headers, stream.read(int(headers.get("content-length", 0))), number)
