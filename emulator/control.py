"""The control API under `/_emulator/`: what tests, demos and benches drive the emulator with."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse
from starlette.routing import Route

from emulator.daytona.sandbox import STORED, Sandbox, micros_of
from emulator.faults import BadFault
from emulator.settings import ORGANIZATION, BadSetting

if TYPE_CHECKING:
    from starlette.requests import Request

    from emulator.core import Core
    from emulator.server import Server

ALIASES = {
    "desiredState": "desired",
    "organizationId": "organization",
    "errorReason": "error_reason",
    "backupState": "backup_state",
    "backupCreatedAt": "backup_created_at",
    "autoStopInterval": "auto_stop",
    "autoArchiveInterval": "auto_archive",
    "autoDeleteInterval": "auto_delete",
    "sandboxClass": "sandbox_class",
    "createdAt": "created_at",
    "updatedAt": "updated_at",
    "lastActivityAt": "last_activity_at",
    "daemonVersion": "daemon_version",
    "runnerId": "runner_id",
}
TIMES = ("created_at", "updated_at", "last_activity_at", "backup_created_at")


class BadRow(ValueError):
    """A row that cannot be seeded or changed so; the text says why."""


class Control:
    def __init__(self, core: Core, server: Server) -> None:
        self.core = core
        self.server = server

    def routes(self) -> list[Route]:
        return [
            Route("/_emulator/log", self._guard(self.log), methods=["GET"]),
            Route("/_emulator/counts", self._guard(self.counts), methods=["GET"]),
            Route("/_emulator/state", self._guard(self.state), methods=["GET"]),
            Route("/_emulator/settings", self._guard(self.get_settings), methods=["GET"]),
            Route("/_emulator/settings", self._guard(self.patch_settings), methods=["PATCH"]),
            Route("/_emulator/faults", self._guard(self.list_faults), methods=["GET"]),
            Route("/_emulator/faults", self._guard(self.add_faults), methods=["POST"]),
            Route("/_emulator/faults", self._guard(self.remove_faults), methods=["DELETE"]),
            Route("/_emulator/faults/{number:int}", self._guard(self.remove_faults), methods=["DELETE"]),
            Route("/_emulator/sandboxes", self._guard(self.seed), methods=["POST"]),
            Route("/_emulator/sandboxes/{key}", self._guard(self.change), methods=["PATCH"]),
            Route("/_emulator/sandboxes/{key}", self._guard(self.vanish), methods=["DELETE"]),
            Route("/_emulator/clock", self._guard(self.clock), methods=["POST"]),
            Route("/_emulator/connections", self._guard(self.drop), methods=["DELETE"]),
            Route("/_emulator/events", self._guard(self.send_event), methods=["POST"]),
            Route("/_emulator/reset", self._guard(self.reset), methods=["POST"]),
        ]

    def _guard(self, handler: Any) -> Any:
        async def guarded(request: Request) -> JSONResponse:
            try:
                return JSONResponse(await handler(request))
            except (BadFault, BadSetting, BadRow, TypeError, ValueError) as error:
                return JSONResponse({"error": str(error)}, status_code=400)
            except KeyError as error:
                return JSONResponse({"error": f"no such object: {error}"}, status_code=404)

        return guarded

    async def log(self, request: Request) -> Any:
        since = int(request.query_params.get("since", 0))
        wanted = {
            key: request.query_params[key] for key in ("system", "action", "id") if key in request.query_params
        }
        entries = self.core.log.since(since)
        if wanted:
            entries = [entry for entry in entries if all(entry[key] == wanted[key] for key in wanted)]
        return {"last": self.core.log.last, "entries": entries}

    async def counts(self, request: Request) -> Any:
        counts: dict[str, Any] = {system: dict(counter) for system, counter in self.core.counts.items()}
        counts["sockets"] = self.server.daytona.events.clients
        counts["calls"] = self.server.open_calls
        return counts

    async def state(self, request: Request) -> Any:
        """Rows of one system; Daytona's in the order of their ids, `limit` after the id `after`."""
        query = dict(request.query_params)
        system = query.get("system", "daytona")
        if system != "daytona":
            return self.core.dumps[system](query)
        known = self.server.daytona.world.rows
        if "id" in query:
            rows = [known[query["id"]]] if query["id"] in known else []
        else:
            rows = sorted(known.values(), key=lambda row: row.id)
        picked = [row for row in rows if row.id > query.get("after", "") and _wanted(row, query)]
        limit = int(query.get("limit", 1000))
        return {"total": len(known), "sandboxes": [row.stored() for row in picked[:limit]]}

    async def get_settings(self, request: Request) -> Any:
        return self.core.settings.as_dict()

    async def patch_settings(self, request: Request) -> Any:
        self.core.change_settings(await request.json())
        return self.core.settings.as_dict()

    async def list_faults(self, request: Request) -> Any:
        return [rule.as_dict() for rule in self.core.faults.rules]

    async def add_faults(self, request: Request) -> Any:
        return self.core.faults.add(await request.json()).as_dict()

    async def remove_faults(self, request: Request) -> Any:
        return {"removed": self.core.faults.remove(request.path_params.get("number"))}

    async def seed(self, request: Request) -> Any:
        """`{"sandboxes": [row, …]}` or `{"count": n, "template": row}`; answers with the ids."""
        data = await request.json()
        templates = data.get("sandboxes") or [data.get("template", {})] * int(data.get("count", 0))
        now = self.server.daytona.world.micros()
        rows = [_row(template, number, now) for number, template in enumerate(templates)]
        self.server.daytona.world.insert_many(rows)
        return {"ids": [row.id for row in rows]}

    async def change(self, request: Request) -> Any:
        """A change that nobody asked Daytona for: a crash, another tool, its own housekeeping."""
        world = self.server.daytona.world
        row = self._asked_for(request)
        changes = _columns(await request.json())
        quiet = changes.pop("quiet", False)
        if {"state", "desired"} & set(changes):
            row.turn += 1
        if "state" in changes:
            changes = {
                "job": None,
                "desired": changes.get("desired", _desired(changes["state"], row)),
            } | changes
        before = world.publish
        try:
            if quiet:
                world.publish = lambda organization, event, payload: None
            world.write(row, **changes)
        finally:
            world.publish = before
        return row.stored()

    async def vanish(self, request: Request) -> Any:
        """The row is gone without a trace: no event, 404 from now on."""
        world = self.server.daytona.world
        row = self._asked_for(request)
        world.remove(row)
        return {"id": row.id}

    def _asked_for(self, request: Request) -> Sandbox:
        """By id or name; here even one that Daytona hides because it was deleted in error."""
        key = request.path_params["key"]
        world = self.server.daytona.world
        return world.rows[world.names.get((ORGANIZATION, key), key)]

    async def clock(self, request: Request) -> Any:
        """`{"advance": seconds}`, `{"advance": null}` (to the next timer), `{"stop": true}`, `{"run": true}`."""
        data, clock = await request.json(), self.core.clock
        if data.get("stop"):
            clock.stop()
        if "advance" in data:
            await clock.advance(data["advance"])
        if data.get("run"):
            clock.run()
        return {"now": clock.now()}

    async def drop(self, request: Request) -> Any:
        """As when the API is killed: calls lose their connection, what they began goes on."""
        self.server.drop_calls()
        await self.server.daytona.events.drop_all()
        return {}

    async def send_event(self, request: Request) -> Any:
        data = await request.json()
        for _ in range(data.get("times", 1)):
            self.server.daytona.events.send(data["event"], data.get("data"))
        return {}

    async def reset(self, request: Request) -> Any:
        body = await request.body()
        data = await request.json() if body else {}
        self.core.reset(seed=data.get("seed"))
        if data.get("settings"):
            self.core.change_settings(data["settings"])
        return {}


def _row(template: dict[str, Any], number: int, now: int) -> Sandbox:
    columns = _columns(template)
    key = columns.get("id") or str(uuid.uuid4())
    state = columns.get("state", "started")
    defaults: dict[str, Any] = {
        "id": key,
        "organization": ORGANIZATION,
        "name": key,
        "created_at": now + number * 1000,
        "updated_at": now,
        "last_activity_at": now,
        "desired": _desired(state, None),
    }
    row = Sandbox(**(defaults | columns))
    row.name = row.name.replace("{n}", str(number))
    if isinstance(row.labels, dict):
        row.labels = dict(row.labels)
    return row


def _columns(data: dict[str, Any]) -> dict[str, Any]:
    """Accepts the wire's names (`desiredState`) and the columns' own (`desired`)."""
    columns = {ALIASES.get(key, key): value for key, value in data.items()}
    unknown = set(columns) - set(STORED) - {"quiet"}
    if unknown:
        raise BadRow(f"unknown field {sorted(unknown)[0]!r}; known are {', '.join(STORED)}")
    for key in TIMES:
        if isinstance(columns.get(key), str):
            columns[key] = micros_of(columns[key])
    return columns


def _desired(state: str, row: Sandbox | None) -> str:
    """The desired state that a state comes with when nobody says otherwise."""
    settled = {"started", "stopped", "archived", "paused", "destroyed"}
    leading = {"stopping": "stopped", "archiving": "archived", "destroying": "destroyed", "pausing": "paused"}
    if state in settled:
        return state
    if state in leading:
        return leading[state]
    return row.desired if row else "started"


def _wanted(row: Sandbox, query: dict[str, str]) -> bool:
    return all(
        str(getattr(row, key)) == query[key] for key in ("id", "name", "state", "organization") if key in query
    )
