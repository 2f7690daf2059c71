"""A stand-in for Daytona's sandbox calls that is not the bottleneck: one process, no framework, no log.

    .venv/bin/python -m bench.fast_daytona [--port 0]

The bodies are those of the emulator, and so of the recordings. It knows no quotas, faults, keys or caches: what
Daytona does is the emulator's matter, this one is only fast. It answers after `latency`; a start or a create takes
`start` seconds and its POST is held until then, `hold` seconds at the most (hosted Daytona: 30; 0: answered at
once); any other change takes `stop` seconds and is answered at once.

It also answers the two functions of Convex that the replaced sweep calls (bench/replaced_reconcile.mjs), for rows
that were seeded with an owner and the status that Convex shows.

Control: POST /control/settings, /control/seed (rows of id, name, state, labels, owner, shown), /control/reset; GET
/control/counts (calls by name), /control/started (when each sandbox was running, seconds since 1970).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, unquote
from uuid import uuid4

import uvloop

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
# What a call makes of a sandbox: the state meanwhile, and the one that it ends in.
CHANGES = {
    "create": ("creating", "started"),
    "start": ("starting", "started"),
    "recover": ("starting", "started"),
    "stop": ("stopping", "stopped"),
    "archive": ("archiving", "archived"),
    "delete": ("destroying", "destroyed"),
}
ENDS = dict(CHANGES.values())
HELD = ("create", "start", "recover")
BODY = (
    '{{"id":"{id}","organizationId":"11111111-1111-4111-8111-111111111111","name":{name},"target":"us",'
    '"snapshot":"ubuntu:22.04","user":"daytona","env":{{}},"cpu":1,"gpu":0,"memory":1,"disk":3,"public":false,'
    '"networkBlockAll":false,"networkAllowList":null,"domainAllowList":null,"labels":{labels},"volumes":[],'
    '"state":"{state}","desiredState":"{desired}","errorReason":null,"recoverable":false,"backupState":"None",'
    '"autoStopInterval":15,"autoArchiveInterval":10080,"autoDeleteInterval":-1,"sandboxClass":"container",'
    '"createdAt":"2026-11-27T17:17:26.683Z","updatedAt":"2026-11-27T17:17:26.758Z",'
    '"lastActivityAt":"2026-11-27T17:17:26.758Z","daemonVersion":"v0.190.0",'
    '"runnerId":"37ce84e4-d88e-4713-ad05-2d98956900b6","toolboxProxyUrl":"http://127.0.0.1:54000/toolbox"}}'
)
NEVER = float("inf")
NOT_FOUND = (
    '{{"path":"/api/sandbox/{key}","timestamp":"2026-11-27T17:17:27.093Z","statusCode":404,"error":"Not Found",'
    '"message":"Sandbox with ID or name {key} not found"}}'
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All in seconds."""

    latency: float = 0.0
    start: float = 5.0
    stop: float = 0.3
    hold: float = 30.0


@dataclass(slots=True)
class Box:
    """A sandbox: what it is, and what it becomes at `due` (of the wall clock); a state that was seeded stays."""

    id: str
    name: str
    labels: str
    state: str
    desired: str
    due: float = NEVER

    def begin(self, doing: str, to: str, seconds: float) -> None:
        self.state, self.desired, self.due = doing, to, time.time() + seconds

    def settle(self) -> None:
        if self.state != self.desired and time.time() >= self.due:
            self.state = self.desired

    def body(self) -> bytes:
        self.settle()
        return BODY.format(
            id=self.id, name=self.name, labels=self.labels, state=self.state, desired=self.desired
        ).encode()


class World:
    """All sandboxes by id and by name, and how often which call was made."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.reset()

    def reset(self) -> None:
        self.boxes: dict[str, Box] = {}
        self.names: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.owned: dict[str, dict[str, str]] = {}  # by owner: what Convex shows of each sandbox
        self.owners: dict[str, str] = {}

    def find(self, key: str) -> Box | None:
        box = self.boxes.get(key) or self.boxes.get(self.names.get(key, ""))
        if box is not None:
            box.settle()
        return None if box is None or box.state == "destroyed" else box

    def add(self, key: str, name: str, state: str, labels: dict[str, str]) -> Box:
        desired = ENDS.get(state, state)
        box = self.boxes[key] = Box(key, json.dumps(name), json.dumps(labels), state, desired)
        self.names[name] = key
        return box

    def page(self, limit: int, cursor: int) -> bytes:
        keys = list(self.boxes)
        boxes = [box for key in keys[cursor : cursor + limit] if (box := self.find(key)) is not None]
        following = f'"{cursor + limit}"' if cursor + limit < len(keys) else "null"
        return (
            b'{"items":[' + b",".join(box.body() for box in boxes) + b'],"nextCursor":' + following.encode() + b"}"
        )

    def convex(self, function: str, args: dict[str, str]) -> Any:
        """What one of Convex's two functions answers."""
        if function == "sandboxes:listForReconcile":
            rows = self.owned.get(args["userId"], {})
            return [{"daytonaSandboxId": key, "status": status} for key, status in rows.items()]
        key = args["daytonaSandboxId"]
        self.owned[self.owners[key]][key] = args["status"]
        return None

    def control(self, path: str, body: bytes) -> Any:
        if path == "/control/settings":
            self.settings = replace(self.settings, **json.loads(body))
            return asdict(self.settings)
        if path == "/control/seed":
            for row in json.loads(body):
                self.add(row["id"], row["name"], row["state"], row.get("labels", {}))
                if "owner" in row:
                    self.owned.setdefault(row["owner"], {})[row["id"]] = row["shown"]
                    self.owners[row["id"]] = row["owner"]
            return {}
        if path == "/control/reset":
            self.reset()
            return {}
        if path == "/control/started":
            return {one.id: one.due for one in self.boxes.values() if one.desired == "started" and one.due != NEVER}
        return self.counts


class Connection(asyncio.Protocol):
    """One kept-alive connection: a request is answered before the next is read, as every client here does it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._loop = asyncio.get_running_loop()
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (ends := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:ends]
            length = LENGTH.search(head)
            whole = ends + 4 + (int(length[1]) if length else 0)
            if len(self._received) < whole:
                return
            body, self._received = self._received[ends + 4 : whole], self._received[whole:]
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            self._handle(method, *target.partition("?")[::2], body)

    def _handle(self, method: str, path: str, query: str, body: bytes) -> None:
        if path.startswith("/control/"):
            self._answer(200, json.dumps(self._world.control(path, body)).encode())
            return
        if path in ("/api/query", "/api/mutation"):
            self._world.counts[path] += 1
            self._later(self._world.settings.latency, lambda: self._call_convex(**json.loads(body)))
            return
        parts = [unquote(part) for part in path.removeprefix("/api/sandbox").strip("/").split("/")]
        name = _name(method, parts)
        self._world.counts[name] += 1
        self._later(self._world.settings.latency, lambda: self._carry_out(name, parts[0], query, body))

    def _call_convex(self, path: str, args: dict[str, str], format: str) -> None:  # noqa: A002
        value = self._world.convex(path, args)
        self._answer(200, json.dumps({"status": "success", "value": value}).encode())

    def _carry_out(self, name: str, key: str, query: str, body: bytes) -> None:
        if name == "list":
            asked = {word: values[0] for word, values in parse_qs(query).items()}
            page = self._world.page(int(asked.get("limit", 100)), int(asked.get("cursor") or 0))
            self._answer(200, page)
            return
        if name == "create":
            given = json.loads(body)
            key = str(uuid4())
            self._world.add(key, given.get("name") or key, "stopped", given.get("labels") or {})
        box = self._world.find(key)
        if box is None:
            self._answer(404, NOT_FOUND.format(key=key).encode())
        elif name in CHANGES:
            self._change(box, name)
        elif name == "last-activity":
            self._answer(201, b"")
        else:
            self._answer(200, box.body())

    def _change(self, box: Box, name: str) -> None:
        settings = self._world.settings
        seconds = settings.start if name in HELD else settings.stop
        box.begin(*CHANGES[name], seconds)
        self._later(min(seconds, settings.hold) if name in HELD else 0, lambda: self._answer(200, box.body()))

    def _later(self, seconds: float, then: Callable[[], None]) -> None:
        if seconds > 0:
            self._loop.call_later(seconds, then)
        else:
            then()

    def _answer(self, status: int, body: bytes) -> None:
        if not self._transport.is_closing():
            head = "HTTP/1.1 %d -\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
            self._transport.write((head % (status, len(body))).encode() + body)


def _name(method: str, parts: list[str]) -> str:
    """What a call is named in the counts."""
    if not parts[0]:
        return "list" if method == "GET" else "create"
    if len(parts) > 1:
        return parts[1]
    return {"GET": "get", "DELETE": "delete"}.get(method, method)


async def serve(port: int) -> None:
    world = World()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(world), "127.0.0.1", port, backlog=4096)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Stand for Daytona, fast.")
    options.add_argument("--port", type=int, default=0)
    uvloop.run(serve(options.parse_args().port))
