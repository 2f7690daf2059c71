"""POST /sandbox."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from emulator.daytona import intervals, quota
from emulator.daytona.errors import Refusal
from emulator.daytona.sandbox import Sandbox
from emulator.daytona.usage import Amounts

if TYPE_CHECKING:
    from emulator.core import Core
    from emulator.daytona.host import Host
    from emulator.daytona.lifecycle import Lifecycle
    from emulator.daytona.world import World

DEFAULT_SIZE = {"cpu": 1, "memory": 1, "disk": 3, "gpu": 0}
# What Daytona calls unsafe in a name that others will see.
UNSAFE = re.compile(
    r"<[a-zA-Z/][^>]*>|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
    r"|(?i:https?://|ftps?://|sftp://|ssh://|wss?://|file://|ldaps?://|javascript:|data:|mailto:|tel:|www\.)"
)
TEXTS = ("name", "snapshot", "user", "target")
OBJECTS = ("env", "labels")
NUMBERS = ("cpu", "gpu", "memory", "disk", "autoStopInterval", "autoArchiveInterval", "autoDeleteInterval")


class Creation:
    def __init__(self, core: Core, world: World, host: Host, lifecycle: Lifecycle) -> None:
        self.core = core
        self.world = world
        self.host = host
        self.lifecycle = lifecycle

    async def create(self, organization: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer is the row as it was inserted, even when it is started by then (01_create_get)."""
        _validate(body)
        row = self._row(organization, body)
        await self._admit(row)
        self.world.insert(row)
        self.core.log.add("daytona", "create", row.id, name=row.name, detail={"labels": row.labels})
        first = self.world.present(row, first=True)
        self.world.publish(organization, "sandbox.created", lambda: first)
        if row.state == "pending_build":
            self._build(row)
            return first
        self.host.begin(row, "create")
        await self.lifecycle.settle(row)
        return first

    async def _admit(self, row: Sandbox) -> None:
        """Maxima, suspension, quota, a host, the name: in this order (recording 07_quota)."""
        amounts = Amounts(row.cpu, row.memory, row.gpu, row.disk)
        quota.check_shape(self.core, amounts)
        quota.check_suspended(self.core)
        bucket = (row.organization, row.target, row.sandbox_class)
        reservation = await quota.reserve(self.core, self.world.usage, bucket, amounts)
        try:
            if self.core.settings.runner in ("unresponsive", "none"):
                raise Refusal(400, "No available runners")
            await self.core.clock.sleep(self.core.settings.race)
            if self.world.taken(row.organization, row.name):
                raise Refusal(409, f"Sandbox with name {row.name} already exists")
        finally:
            self.world.usage.release(reservation)

    def _row(self, organization: str, body: dict[str, Any]) -> Sandbox:
        settings = self.core.settings
        target = body.get("target") or settings.default_region
        if target not in settings.regions:
            raise Refusal(404, "Region not found")
        snapshot, size = self._size(body)
        key, now = str(uuid.uuid4()), self.world.micros()
        return Sandbox(
            id=key,
            organization=organization,
            name=body.get("name") or key,
            target=target,
            snapshot=snapshot,
            user=body.get("user") or "daytona",
            env=body.get("env") or {},
            labels=body.get("labels") or {},
            public=bool(body.get("public", False)),
            state="unknown" if snapshot else "pending_build",
            auto_stop=intervals.of_create("autostop", body),
            auto_archive=intervals.of_create("autoarchive", body),
            auto_delete=intervals.of_create("autodelete", body),
            sandbox_class=size.get("class", "container"),
            cpu=size["cpu"],
            gpu=size["gpu"],
            memory=size["memory"],
            disk=size["disk"],
            created_at=now,
            updated_at=now,
            last_activity_at=now,
            daemon_version=None,
        )

    def _size(self, body: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        asked = {key: body[key] for key in DEFAULT_SIZE if body.get(key) is not None}
        if body.get("buildInfo") is not None:
            return None, DEFAULT_SIZE | asked
        name = body.get("snapshot") or self.core.settings.default_snapshot
        if name not in self.core.settings.snapshots:
            text = f"Snapshot {name} not found. Did you add it through the Daytona Dashboard?"
            raise Refusal(400, text)
        if asked:
            raise Refusal(400, "Cannot specify Sandbox resources when using a snapshot")
        return name, DEFAULT_SIZE | self.core.settings.snapshots[name]

    def _build(self, row: Sandbox) -> None:
        """An image of one's own is built first; the answer does not wait for it."""
        pace = self.core.settings.transition

        def built() -> None:
            if row.state == "building_snapshot":
                self.world.write(row, state="unknown")
                self.host.begin(row, "create")

        def build() -> None:
            if row.state == "pending_build" and row.desired == "started":
                self.world.write(row, state="building_snapshot")
                self.core.clock.call_later(pace, built)

        self.core.clock.call_later(pace, build)


def _validate(body: dict[str, Any]) -> None:
    name = body.get("name")
    problems = []
    if name is not None and (not isinstance(name, str) or UNSAFE.search(name)):
        problems.append("name must not contain HTML tags, URLs, or control characters")
    problems += [f"{key} must be a string" for key in TEXTS if not isinstance(body.get(key, ""), str | None)]
    problems += [f"{key} must be an object" for key in OBJECTS if not isinstance(body.get(key, {}), dict | None)]
    problems += [
        f"{key} must be a number conforming to the specified constraints"
        for key in NUMBERS
        if body.get(key) is not None and (isinstance(body[key], bool) or not isinstance(body[key], int | float))
    ]
    if problems:
        raise Refusal(400, ", ".join(problems))
