"""What others still get while hundreds of clients send, or read, a byte a second.

    .venv/bin/python -m bench.drip [--dripping 500] [--seconds 20] [--command "<another server>"]

Three kinds of slow clients in turn: those that never finish their head, or their body, and those that read their
answer (the schema) byte by byte. Meanwhile eight usual clients ask for `ensure-running` and one for `/live`, with
two seconds of patience. Everything is on 127.0.0.1 and ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import resource
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING

from bench.environment import machine, memory, postgres
from bench.web import Web, add_options, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 2.0  # seconds
CLIENTS = 8
HEAD = "POST /api/v1/sandboxes HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
BEGINNINGS = {
    "head": HEAD,
    "body": f"{HEAD}Content-Length: 100000\r\n\r\n" + "{",
    "answer": "GET /api/v1/schema HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}


def main() -> None:
    parser = argparse.ArgumentParser(description="What others get beside slow clients.")
    parser.add_argument("--dripping", type=int, default=500, help="slow clients")
    parser.add_argument("--seconds", type=float, default=20)
    add_options(parser)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended, too
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    print(f"{machine()}, at most {most} open files, {options.dripping} slow clients")
    with (
        postgres("drip") as url,
        tempfile.TemporaryDirectory() as folder,
        serving(url, Path(folder), options, stopped=0) as web,
    ):
        _report("alone", web, options.seconds)
        for kind in BEGINNINGS:
            with dripping(web.port, options.dripping, kind) as slow:
                _report(f"beside a slow {kind}", web, options.seconds)
                print(f"  {slow.open} of the slow still connected")


def _report(name: str, web: Web, seconds: float) -> None:
    live: list[float] = []
    used: list[float] = []
    paths = [f"/api/v1/sandboxes/{one}/ensure-running" for one in web.running]
    askers = [
        threading.Thread(target=ask, args=(web, "POST", paths[number:], used, seconds, 0.0))
        for number in range(CLIENTS)
    ]
    askers.append(threading.Thread(target=ask, args=(web, "GET", ["/live"], live, seconds, 0.05)))
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    print(f"{name}, {memory(web.pid):.0f} MB")
    print(f"  ensure-running  {_figures(used, seconds)}")
    print(f"  /live           {_figures(live, seconds)}")


def _figures(took: list[float], seconds: float) -> str:
    """Answers a second, their median and longest time; a lost one counts as endless."""
    good = sorted(one for one in took if one < PATIENCE)
    lost = len(took) - len(good)
    if not good:
        return f"no answer ({lost} lost)"
    median = statistics.median(good) * 1000
    return f"{len(good) / seconds:.0f}/s, median {median:.1f} ms, at most {good[-1] * 1000:.0f} ms, {lost} lost"


def ask(web: Web, method: str, paths: list[str], took: list[float], seconds: float, pause: float) -> None:
    """Ask on a kept-alive connection, and on a new one after a loss."""
    ends, turn = time.monotonic() + seconds, cycle(paths)
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=PATIENCE)
    while (began := time.monotonic()) < ends:
        try:
            connection.request(method, next(turn), headers=web.headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            took.append(time.monotonic() - began)
        except (OSError, http.client.HTTPException):
            took.append(PATIENCE)
            connection.close()
        time.sleep(pause)
    connection.close()


class Slow:
    """Slow clients of one kind in an event loop of their own."""

    def __init__(self, port: int, count: int, kind: str) -> None:
        self.port, self.count, self.kind = port, count, kind
        self.open = 0
        self.ended = threading.Event()

    async def run(self) -> None:
        await asyncio.gather(*(self._one() for _ in range(self.count)))

    async def _one(self) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as client, suppress(OSError):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", self.port))
            await loop.sock_sendall(client, BEGINNINGS[self.kind].encode())
            self.open += 1
            try:
                await self._drip(client)
            finally:
                self.open -= 1

    async def _drip(self, client: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while not self.ended.is_set():
            await asyncio.sleep(1)
            if self.kind == "answer":
                with suppress(TimeoutError):
                    if not await asyncio.wait_for(loop.sock_recv(client, 1), 1):
                        return
            else:
                await loop.sock_sendall(client, b"x")


@contextmanager
def dripping(port: int, count: int, kind: str) -> Iterator[Slow]:
    slow = Slow(port, count, kind)
    thread = threading.Thread(target=lambda: asyncio.run(slow.run()), daemon=True)
    thread.start()
    time.sleep(3)  # until all are connected and their first bytes are there
    try:
        yield slow
    finally:
        slow.ended.set()
        thread.join(timeout=10)
        time.sleep(2)  # until the server has noticed


if __name__ == "__main__":
    main()
