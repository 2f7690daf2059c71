"""One sandbox row and the shapes in which Daytona shows it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

STATES = [
    "creating",
    "restoring",
    "destroyed",
    "destroying",
    "started",
    "stopped",
    "starting",
    "stopping",
    "error",
    "build_failed",
    "pending_build",
    "building_snapshot",
    "unknown",
    "pulling_snapshot",
    "archived",
    "archiving",
    "resizing",
    "snapshotting",
    "forking",
    "pausing",
    "paused",
    "resuming",
]
ERRORED = frozenset({"error", "build_failed"})

# GET shows what is about to happen while the row still holds the old state (recording 04_lifecycle).
PROJECTION = {
    ("started", "stopped"): "stopping",
    ("started", "destroyed"): "destroying",
    ("stopped", "started"): "starting",
    ("stopped", "destroyed"): "destroying",
    ("stopped", "archived"): "archiving",
    ("unknown", "started"): "creating",
}

RUNNER_ID = "37ce84e4-d88e-4713-ad05-2d98956900b6"
VERSION = "v0.190.0"


@dataclass(slots=True)
class Sandbox:
    """A row. Times are microseconds since the epoch; `job` names what the host is doing for it."""

    id: str
    organization: str
    name: str
    target: str = "us"
    snapshot: str | None = "ubuntu:22.04"
    user: str = "daytona"
    env: dict[str, Any] = field(default_factory=dict)
    cpu: int = 1
    gpu: int = 0
    memory: int = 1
    disk: int = 3
    public: bool = False
    labels: Any = field(default_factory=dict)
    state: str = "started"
    desired: str = "started"
    error_reason: str | None = None
    recoverable: bool = False
    backup_state: str = "None"
    backup_created_at: int | None = None
    auto_stop: int = 15
    auto_archive: int = 10080
    auto_delete: int = -1
    sandbox_class: str = "container"
    created_at: int = 0
    updated_at: int = 0
    last_activity_at: int | None = None
    daemon_version: str | None = VERSION
    runner_id: str | None = RUNNER_ID
    job: str | None = None
    recovered_at: int | None = None
    recoveries: int = 0
    # not stored
    version: int = 0
    turn: int = 0
    reservation: int | None = None
    rendered: bytes | None = None

    @property
    def pending(self) -> bool:
        """Daytona's hidden flag: a change was accepted and has not happened yet."""
        return self.state != self.desired and self.state not in ERRORED and self.desired != "archived"

    @property
    def hidden(self) -> bool:
        """Deleted while errored: the row stays, no call finds it (recording 08_errored)."""
        return self.state in ERRORED and self.desired == "destroyed"

    def stored(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in STORED}


STORED = [item.name for item in fields(Sandbox) if item.name not in ("version", "turn", "reservation", "rendered")]


def iso(micros: int | None) -> str | None:
    """`2026-11-23T06:11:54.096Z`: milliseconds, as JavaScript writes a Date."""
    if micros is None:
        return None
    moment = datetime.fromtimestamp(micros // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros // 1000 % 1000:03d}Z"


def micros_of(text: str) -> int:
    """The reverse of `iso`, for any ISO-8601 text. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)


def full(row: Sandbox, *, toolbox_url: str, activity: bool = True, first: bool = False) -> dict[str, Any]:
    """The Sandbox of GET and of accepted changes.

    `first`: the answer to a create, which lacks the columns that the database fills in
    (recording 01_create_get). `activity=False`: answers to changes that did not touch the raw state
    lack `lastActivityAt` (recording 04_lifecycle).
    """
    body: dict[str, Any] = {
        "id": row.id,
        "organizationId": row.organization,
        "name": row.name,
        "target": row.target,
        "snapshot": row.snapshot,
        "user": row.user,
        "env": row.env,
        "cpu": row.cpu,
        "gpu": row.gpu,
        "memory": row.memory,
        "disk": row.disk,
        "public": row.public,
        "networkBlockAll": False,
    }
    if not first:
        body |= {"networkAllowList": None, "domainAllowList": None}
    body |= {
        "labels": row.labels,
        "volumes": [],
        "state": PROJECTION.get((row.state, row.desired), row.state),
        "desiredState": row.desired,
    }
    if not first:
        body["errorReason"] = row.error_reason
    body |= {"recoverable": row.recoverable, "backupState": row.backup_state}
    if row.backup_created_at is not None:
        body["backupCreatedAt"] = iso(row.backup_created_at)
    body |= {
        "autoStopInterval": row.auto_stop,
        "autoArchiveInterval": row.auto_archive,
        "autoDeleteInterval": row.auto_delete,
        "sandboxClass": row.sandbox_class,
        "createdAt": iso(row.created_at),
        "updatedAt": iso(row.updated_at),
    }
    if activity and row.last_activity_at is not None:
        body["lastActivityAt"] = iso(row.last_activity_at)
    if not first:
        body["daemonVersion"] = row.daemon_version
    body |= {"runnerId": row.runner_id, "toolboxProxyUrl": toolbox_url}
    return body


def item(row: Sandbox, *, toolbox_url: str) -> dict[str, Any]:
    """A row of GET /sandbox: raw state, and without env, volumes and network (recording 10_list)."""
    body = {
        "id": row.id,
        "organizationId": row.organization,
        "name": row.name,
        "target": row.target,
        "runnerId": row.runner_id,
        "sandboxClass": row.sandbox_class,
        "state": row.state,
        "desiredState": row.desired,
        "snapshot": row.snapshot,
        "user": row.user,
        "errorReason": row.error_reason,
        "recoverable": row.recoverable,
        "public": row.public,
        "cpu": row.cpu,
        "gpu": row.gpu,
        "memory": row.memory,
        "disk": row.disk,
        "labels": row.labels,
        "backupState": row.backup_state,
        "autoStopInterval": row.auto_stop,
        "autoArchiveInterval": row.auto_archive,
        "autoDeleteInterval": row.auto_delete,
        "createdAt": iso(row.created_at),
        "updatedAt": iso(row.updated_at),
        "daemonVersion": row.daemon_version,
        "toolboxProxyUrl": toolbox_url,
    }
    if row.last_activity_at is not None:
        body["lastActivityAt"] = iso(row.last_activity_at)
    return body
