"""Daytona's routes: from a request to an answer."""

from __future__ import annotations

import json
import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from emulator.daytona import intervals
from emulator.daytona.access import AUTHENTICATED, CREATE, LIFECYCLE, Access
from emulator.daytona.activity import Activity
from emulator.daytona.create import Creation
from emulator.daytona.crons import Crons
from emulator.daytona.errors import Refusal, broken, not_found
from emulator.daytona.events import Events
from emulator.daytona.host import Host
from emulator.daytona.lifecycle import Lifecycle
from emulator.daytona.listing import Listing
from emulator.daytona.sandbox import Sandbox, iso
from emulator.daytona.stale import Ghosts
from emulator.daytona.world import World
from emulator.http import Answer, Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from emulator.core import Core

POWERED = (b"X-Powered-By", b"Express")
VERSION_HEADER = (b"X-Daytona-Api-Version", b"v0.190.0")
JSON = (b"Content-Type", b"application/json; charset=utf-8")
WRITE, DELETE = "write:sandboxes", "delete:sandboxes"

# method, last part of the path -> bucket, permission
VERBS: dict[tuple[str, str], tuple[str, str | None]] = {
    ("POST", "start"): (LIFECYCLE, WRITE),
    ("POST", "stop"): (LIFECYCLE, WRITE),
    ("POST", "archive"): (LIFECYCLE, WRITE),
    ("POST", "recover"): (LIFECYCLE, WRITE),
    ("POST", "pause"): (LIFECYCLE, WRITE),
    ("POST", "last-activity"): (AUTHENTICATED, None),
    ("PUT", "labels"): (AUTHENTICATED, WRITE),
    ("GET", "toolbox-proxy-url"): (AUTHENTICATED, None),
}


class Daytona:
    def __init__(self, core: Core) -> None:
        self.core = core
        self.world = World(core)
        self.access = Access(core)
        self.host = Host(core, self.world)
        self.lifecycle = Lifecycle(core, self.world, self.host)
        self.creation = Creation(core, self.world, self.host, self.lifecycle)
        self.ghosts = Ghosts(core)
        self.listing = Listing(core, self.world, self.ghosts)
        self.activity = Activity(core, self.world)
        self.events = Events(self.access)
        self.crons = Crons(core, self.world, self.host, self.lifecycle)
        self.world.publish = self.events.publish
        core.on_reset.append(self._reset)

    def begin(self) -> None:
        """Called once in the running loop."""
        self.host.resume_all()
        self.crons.schedule()

    def _reset(self) -> None:
        for part in (self.world, self.access, self.host, self.ghosts, self.activity):
            part.clear()
        self.crons.schedule()

    async def answer(self, request: Request) -> Answer:
        headers: dict[str, str] = {}
        try:
            return await self._route(request, headers)
        except json.JSONDecodeError:
            body = {"message": "Invalid JSON in request body", "error": "Bad Request", "statusCode": 400}
            return Answer(400, _dumps(body), [POWERED, JSON])
        except Refusal as refusal:
            return self._refuse(request, refusal, headers | refusal.headers)
        except Exception:
            # Daytona says no more than this; whoever runs the emulator wants to know.
            traceback.print_exc()
            return self._refuse(request, broken(), headers)

    async def _route(self, request: Request, headers: dict[str, str]) -> Answer:
        parts = [unquote(part) for part in request.path.removesuffix("/").split("/")[2:]]
        if request.method == "OPTIONS":
            return Answer(204, b"", [POWERED])
        if request.method == "HEAD":
            request = replace(request, method="GET")
        if parts[:1] != ["sandbox"] or not (found := _find_route(request.method, parts)):
            raise Refusal(404, f"Cannot {request.method} {request.url}")
        bucket, permission = found
        body = _read(request) if request.method in ("POST", "PUT") else {}
        organization, counted = self.access.enter(
            authorization=request.header("authorization"),
            address=request.address,
            bucket=bucket,
            permission=permission,
        )
        headers.update(counted)
        if len(parts) == 1:
            result = await self._collection(request, organization, body)
        elif parts == ["sandbox", "paginated"]:
            result = self._listed(organization, request, self.listing.numbered)
        else:
            result = await self._member(request, organization, parts[1:], body)
        if isinstance(result, Answer):
            result.headers += [(key.encode(), value.encode()) for key, value in headers.items()]
            return result
        return self._ok(result, headers)

    async def _collection(self, request: Request, organization: str, body: Any) -> Any:
        if request.method == "GET":
            return self._listed(organization, request, self.listing.page)
        self._check_database(None)
        return await self.creation.create(organization, body if isinstance(body, dict) else {})

    def _listed(self, organization: str, request: Request, page: Callable[[str, str], Any]) -> Any:
        self._check_database(None)
        return page(organization, request.query)

    async def _member(self, request: Request, organization: str, parts: list[str], body: Any) -> Any:
        reference = parts[0]
        self._check_database(reference)
        row = self.world.find(organization, reference)
        if len(parts) == 1:
            return self._rendered(row) if request.method == "GET" else await self._delete(row)
        verb = parts[1]
        if verb in intervals.INTERVALS:
            return self._interval(row, verb, parts[2])
        if verb == "last-activity":
            if self.activity.post(reference):
                self.core.log.add("daytona", "last-activity", row.id, name=row.name)
            return Answer(201, b"", [POWERED, VERSION_HEADER])
        if verb == "labels":
            return self._label(row, body)
        if verb == "toolbox-proxy-url":
            return {"url": self.core.settings.toolbox_url}
        if verb == "recover":
            return await self.lifecycle.recover(row, skip_start="skipStart=true" in request.query)
        if verb == "stop" and row.auto_delete == 0:
            self.ghosts.add(row)
        change: Callable[[Sandbox], Awaitable[dict[str, Any]]] = getattr(self.lifecycle, verb)
        return await change(row)

    async def _delete(self, row: Sandbox) -> dict[str, Any]:
        before = row.stored()
        answer = await self.lifecycle.delete(row)
        self.ghosts.add(Sandbox(**before))
        return answer

    def _label(self, row: Sandbox, body: Any) -> dict[str, Any]:
        """Replaces all and validates nothing; without the wrapper changes nothing (18_labels_edge)."""
        given = isinstance(body, dict) and "labels" in body
        detail = body.get("labels") if given else None
        self.core.log.add("daytona", "labels", row.id, name=row.name, detail=detail)
        self.world.write(row, **({"labels": detail} if given else {}))
        answer = self.world.present(row)
        if not given:
            del answer["labels"]
        return answer

    def _interval(self, row: Sandbox, verb: str, text: str) -> Answer:
        minutes = intervals.of_path(verb, text)
        self.core.log.add("daytona", verb, row.id, name=row.name, detail=minutes)
        self.world.write(row, **{intervals.INTERVALS[verb][0]: minutes})
        return self._json(201, _dumps(self.world.present(row)), {})

    def _rendered(self, row: Sandbox) -> Answer:
        if row.rendered is None:
            row.rendered = _dumps(self.world.present(row))
        return self._json(200, row.rendered, {})

    def _check_database(self, reference: str | None) -> None:
        """With its database down Daytona calls every sandbox unknown (recording 15_outages)."""
        if self.core.settings.database == "down":
            if reference is None:
                raise broken()
            raise not_found(reference)

    def _ok(self, body: Any, headers: dict[str, str]) -> Answer:
        return self._json(200, _dumps(body), headers)

    def _json(self, status: int, body: bytes, headers: dict[str, str]) -> Answer:
        more = [(key.encode(), value.encode()) for key, value in headers.items()]
        return Answer(status, body, [POWERED, VERSION_HEADER, JSON, *more])

    def _refuse(self, request: Request, refusal: Refusal, headers: dict[str, str]) -> Answer:
        body = {
            "path": request.url,
            "timestamp": iso(self.world.micros()),
            "statusCode": refusal.status,
            "error": refusal.reason,
            "message": refusal.message,
        }
        return self._json(refusal.status, _dumps(body), headers)


def _find_route(method: str, parts: list[str]) -> tuple[str, str | None] | None:
    """The throttle bucket and the permission of a route, or None where Daytona has none."""
    if len(parts) == 1:
        return {"GET": (AUTHENTICATED, None), "POST": (CREATE, WRITE)}.get(method)
    if len(parts) == 2:
        return {"GET": (AUTHENTICATED, None), "DELETE": (LIFECYCLE, DELETE)}.get(method)
    if len(parts) == 3:
        return VERBS.get((method, parts[2]))
    if len(parts) == 4 and method == "POST" and parts[2] in intervals.INTERVALS:
        return AUTHENTICATED, WRITE
    return None


def _read(request: Request) -> Any:
    """The body as JSON; one of another type is not read at all."""
    json_sent = request.header("content-type").partition(";")[0].strip() == "application/json"
    return json.loads(request.body) if request.body and json_sent else {}


def _dumps(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
