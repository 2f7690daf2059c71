"""Sandboxes with something to push, and Convex's rows as the emulator holds them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from sandboxes import clock
from sandboxes.core.vocabulary import Action, ActorKind, EventKind, Intent, OperationStatus, Source, Status
from sandboxes.models import ConvexProjection, Notice, Operation, Owner, Sandbox, SandboxEvent
from sandboxes.providers.convex import gateway
from sandboxes.services import projection, sandbox_store
from tests.support import convex as wire
from tests.support import rows

if TYPE_CHECKING:
    from sandboxes.core.codes import NoticeCode
    from sandboxes.services.verify_convex import Verified
    from tests.support.emulator import Emulator

_numbers = itertools.count(1)


class Convex:
    """What tests ask of Convex's side."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.faults = emulator.faults

    def configure(self, **options: Any) -> None:
        """Other functions or another state of the deployment; this process forgets what it knew of it."""
        present = self.emulator.settings()["convex"]
        self.emulator.settings(convex=present | options)
        gateway.reset()

    def rows(self, sandbox: Sandbox) -> list[dict[str, Any]]:
        return wire.rows(self.emulator, sandbox.daytona_id or "")

    def row(self, sandbox: Sandbox) -> dict[str, Any]:
        (row,) = self.rows(sandbox)
        return row

    def seed(self, sandbox: Sandbox, **fields: Any) -> None:
        wanted = {"userId": sandbox.owner_id, "name": sandbox.name, "status": "stopped"} | fields
        wire.seed(self.emulator, sandboxes=[wire.sandbox_row(sandbox.daytona_id or "", **wanted)])

    def forget(self, sandbox: Sandbox) -> None:
        wire.forget(self.emulator, sandbox.daytona_id or "")

    def accepted(self, function: str = "", sandbox: Sandbox | None = None) -> list[str]:
        """The accepted mutations, oldest first."""
        key = (sandbox.daytona_id or "") if sandbox else ""
        entries = self.emulator.log(system="convex", action=function, key=key)
        return [entry["action"] for entry in entries]

    def calls(self) -> dict[str, int]:
        return dict(self.emulator.counts().get("convex", {}))

    def total(self) -> int:
        return sum(self.calls().values())


def may_not_act(convex: Convex) -> None:
    """The key runs internal functions, and may not act as a user."""
    permissions = [f"deployment:functions:runInternal{kind}" for kind in ("Queries", "Mutations")]
    convex.emulator.settings(
        convex_keys={convex.emulator.convex_key: {"permissions": [*permissions, "deployment:data:view"]}}
    )
    convex.configure()


def sandbox(
    *, owner: str = "alice", pushed: bool = False, projection: dict[str, Any] | None = None, **fields: Any
) -> Sandbox:
    """A running sandbox that Convex has not heard of; `pushed` does that first."""
    number = next(_numbers)
    row = Sandbox.objects.create(
        **{
            "daytona_id": f"daytona-{number}",
            "name": f"box {number}",
            "owner": Owner.objects.get_or_create(pk=owner)[0],
            "status": Status.RUNNING,
            "cpu": 1,
            "memory_gb": 1,
            "disk_gb": 3,
            "created_at": clock.now(),
            **fields,
        }
    )
    is_there = row.daytona_id is not None
    untold = {"wanted_generation": int(is_there), "link_due": bool(row.harness_id), "due_at": clock.now()}
    rows.project(row, **(untold if is_there else {}) | (projection or {}))
    if pushed:
        push(row)
        assert projected(row).error == "", projected(row).error
        assert not projected(row).is_behind
    return reload(row)


def change(row: Sandbox, **fields: Any) -> None:
    """A change as the services make it: the generation goes up with it."""
    with sandbox_store.lock_sandbox(row.pk) as fresh:
        for name, value in fields.items():
            setattr(fresh, name, value)


def delete(row: Sandbox, **fields: Any) -> None:
    """Gone in Daytona, as its owner wanted."""
    change(row, status=Status.GONE, intent=Intent.DELETED, deleted_at=clock.now(), **fields)


def push(row: Sandbox) -> bool:
    return projection.push(row.pk)


def push_until_clean(*rows: Sandbox, rounds: int = 10) -> None:
    """Push again and again, each time when the next push is due."""
    for _ in range(rounds):
        waits = []
        for row in rows:
            push(row)
            due = projected(row).due_at
            if due is not None:
                waits.append((due - clock.now()).total_seconds())
        if not waits:
            return
        clock.move(max(0.0, max(waits)) + 0.01)
    raise AssertionError(f"still due after {rounds} pushes: {[projected(row).error for row in rows]}")


def creating(row: Sandbox) -> Operation:
    """Its create is still active."""
    return Operation.objects.create(
        sandbox=row,
        owner=row.owner_id,
        action=Action.CREATE,
        status=OperationStatus.IN_PROGRESS,
        actor_kind=ActorKind.OWNER,
        actor_id=row.owner_id,
        source=Source.API,
        created_at=clock.now(),
    )


def reload(row: Sandbox) -> Sandbox:
    return Sandbox.objects.get(pk=row.pk)


def projected(row: Sandbox) -> ConvexProjection:
    return ConvexProjection.objects.get(pk=row.pk)


def timeline(row: Sandbox) -> list[str]:
    events = SandboxEvent.objects.filter(sandbox=row, kind=EventKind.CONVEX).order_by("pk")
    return list(events.values_list("text", flat=True))


def is_open(code: NoticeCode) -> bool:
    return Notice.objects.filter(code=code, closed_at=None).exists()


def is_clean(found: Verified) -> bool:
    """A verification went to its end and found nothing."""
    return not found.counts and not found.error
