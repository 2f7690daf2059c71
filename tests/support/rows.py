"""Rows put straight into the database, for tests of what is shown of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db.models import F

from sandboxes import clock
from sandboxes.core.asked import labels_of
from sandboxes.core.vocabulary import ACTIVE, Action, ActorKind, EventKind, Intent, OperationStatus, Source, Status
from sandboxes.models import ConvexProjection, DaytonaCall, Operation, Owner, Sandbox, SandboxEvent

STATE_OF = {
    Status.CREATING: "creating",
    Status.STARTING: "starting",
    Status.RUNNING: "started",
    Status.STOPPING: "stopping",
    Status.STOPPED: "stopped",
    Status.ARCHIVED: "archived",
    Status.ERROR: "error",
    Status.GONE: "destroyed",
}


def ago(**length: float) -> datetime:
    return clock.here() - timedelta(**length)


def owner(name: str = "user_alice", **fields: Any) -> Owner:
    row, _ = Owner.objects.update_or_create(pk=name, defaults=fields)
    return row


def sandbox(
    name: str = "atlas",
    *,
    of: str = "user_alice",
    status: str = Status.RUNNING,
    projection: dict[str, Any] | None = None,
    **fields: Any,
) -> Sandbox:
    """A sandbox as it stands after a quiet life: observed, pushed, its intent met."""
    moment = ago(hours=1)
    values: dict[str, Any] = {
        "name": name,
        "owner": owner(of),
        "daytona_id": str(uuid4()),
        "status": status,
        "observed_state": STATE_OF[Status(status)],
        "desired_state": STATE_OF[Status(status)],
        "observed_at": ago(seconds=20),
        **intervals(0 if fields.get("ephemeral") else -1),
        "intent": INTENT_FOR.get(Status(status), Intent.RUNNING),
        "intent_actor_kind": ActorKind.OWNER,
        "intent_actor_id": of,
        "intent_at": moment,
        "intent_met_at": moment,
        "status_changed_at": moment,
        "last_accessed_at": ago(minutes=5),
        "created_at": ago(days=2),
        "cpu": 1,
        "memory_gb": 1,
        "disk_gb": 3,
        "target": "eu",
        "sandbox_class": "container",
        "deleted_at": moment if status == Status.GONE else None,
    }
    row = Sandbox(**{**values, **fields})
    row.daytona_name = fields.get("daytona_name", row.compose_daytona_name())
    row.labels = fields.get("labels", labels_of(row))
    row.save(force_insert=True)
    pushed = {
        "wanted_generation": 1,
        "pushed_generation": 1,
        "known": True,
        "sent": {"row": True, "status": str(status), "error": "", "name": name},
        "pushed_at": moment,
    }
    project(row, **pushed | (projection or {}))
    return row


def project(row: Sandbox, **fields: Any) -> ConvexProjection:
    """The projection of a sandbox: behind, and due, where the wanted generation is higher than the pushed one."""
    made = ConvexProjection(sandbox=row, **fields)
    if made.wanted_generation > made.pushed_generation:
        made.behind_since = made.behind_since or clock.here()
        made.due_at = made.due_at or clock.here()
    made.save(force_insert=True)
    return made


def level(row: Sandbox, **fields: Any) -> None:
    """Convex was told all that there is to tell."""
    rows = ConvexProjection.objects.filter(pk=row.pk)
    rows.update(pushed_generation=F("wanted_generation"), behind_since=None, due_at=None, **fields)


def intervals(auto_delete: int) -> dict[str, int]:
    """As asked for, and as Daytona holds them."""
    held = {"auto_stop": 15, "auto_archive": 10080, "auto_delete": auto_delete}
    return {f"{name}_minutes": value for name, value in held.items()} | {
        f"observed_{name}": value for name, value in held.items()
    }


INTENT_FOR = {
    Status.STOPPED: Intent.STOPPED,
    Status.STOPPING: Intent.STOPPED,
    Status.ARCHIVED: Intent.ARCHIVED,
    Status.GONE: Intent.DELETED,
}


def operation(
    of: Sandbox, action: str = Action.STOP, status: str = OperationStatus.SUCCEEDED, **fields: Any
) -> Operation:
    moment = fields.pop("at", None) or ago(minutes=10)
    ended = status not in ACTIVE
    values: dict[str, Any] = {
        "owner": of.owner_id,
        "actor_kind": ActorKind.STAFF,
        "actor_id": "admin",
        "source": Source.ADMIN,
        "created_at": moment,
        "started_at": moment,
        "finished_at": moment + timedelta(seconds=2) if ended else None,
        "step": "" if ended else "Daytona is stopping it",
    }
    return Operation.objects.create(sandbox=of, action=action, status=status, **{**values, **fields})


def event(
    of: Sandbox, kind: str = EventKind.CHANGE, text: str = "Something changed", **fields: Any
) -> SandboxEvent:
    values: dict[str, Any] = {"at": ago(minutes=3), "actor": "staff:admin"}
    return SandboxEvent.objects.create(sandbox=of, owner=of.owner_id, kind=kind, text=text, **{**values, **fields})


def call(of: Operation, name: str, outcome: str = "unknown", **fields: Any) -> DaytonaCall:
    values: dict[str, Any] = {"made_at": of.created_at, "first_at": of.created_at, "outcome": outcome}
    return DaytonaCall.objects.create(sandbox=of.sandbox, operation=of, name=name, **{**values, **fields})
