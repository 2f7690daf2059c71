"""Rows that are work for a worker, made on demand: one JSON object a line says what, and each is one transaction.

    {"make": "starts", "prefix": "box", "count": 2000, "owner": "user_0", "spread": 0}

Kinds: `starts` (a person's start of a stopped sandbox, as a request leaves it), `starting` (operations that wait
for Daytona), `looks` (running sandboxes that are due for a fetch), `behind` (of which Convex has still to be
told). Daytona's ids are `<prefix>-<number>`; they became due evenly over the last `spread` seconds, or, where it
is negative, will become so. Answers with the time of the commit, in seconds since 1970. Run by
bench/installation.py as a process of its own, for Django is configured once in each.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import django

django.setup()

from django.db import transaction  # noqa: E402

from bench.stand_in import OBSERVED  # noqa: E402
from sandboxes import clock  # noqa: E402
from sandboxes.models import ConvexProjection, Operation, Owner, Sandbox  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 500
# The status, Daytona's state, the state that it wants, and the status of the operation, if there is one.
KINDS = {
    "starts": ("stopped", "stopped", "stopped", "queued"),
    "starting": ("starting", "starting", "started", "in_progress"),
    "looks": ("running", "started", "started", ""),
    "resting": ("running", "started", "started", ""),
    "behind": ("running", "started", "started", ""),
}


def make(asked: dict[str, Any]) -> float:
    """Write the rows, all or none; the time right after the commit."""
    kind, count = asked["make"], int(asked["count"])
    now, spread = clock.now(), float(asked.get("spread", 0))
    dues = [now - timedelta(seconds=spread * (count - n) / count) for n in range(count)]
    owner, _ = Owner.objects.get_or_create(pk=asked.get("owner", "bench"))
    boxes = [_sandbox(kind, f"{asked['prefix']}-{n}", owner, due, now) for n, due in enumerate(dues)]
    with transaction.atomic():
        Sandbox.objects.bulk_create(boxes, batch_size=BATCH)
        ConvexProjection.objects.bulk_create(_projections(kind, boxes), batch_size=BATCH)
        Operation.objects.bulk_create(_operations(kind, boxes), batch_size=BATCH)
    return time.time()


def _sandbox(kind: str, daytona_id: str, owner: Owner, due: datetime, now: datetime) -> Sandbox:
    """Last looked at half a minute before it was made: one that was looked at since has a later look."""
    status, state, desired, _ = KINDS[kind]
    made = min(due, now)
    return Sandbox(
        owner=owner, name=daytona_id, daytona_id=daytona_id, daytona_name=daytona_id, status=status,
        observed_state=state, desired_state=desired, observed_at=made - timedelta(seconds=30),
        created_at=made, intent="running", intent_at=made, intent_actor_kind="owner",
        intent_actor_id=owner.pk, intent_met_at=made if status == "running" else None,
        fetch_due_at=due if kind == "looks" else None, **OBSERVED,
    )  # fmt: skip


def _projections(kind: str, boxes: list[Sandbox]) -> Iterator[ConvexProjection]:
    for box in boxes:
        due = box.created_at if kind == "behind" else None
        yield ConvexProjection(sandbox=box, wanted_generation=1 if due else 0, behind_since=due, due_at=due)


def _operations(kind: str, boxes: list[Sandbox]) -> list[Operation]:
    status = KINDS[kind][3]
    if not status:
        return []
    return [
        Operation(
            sandbox=box, owner=box.owner_id, action="start", status=status, actor_kind="owner",
            actor_id=box.owner_id, source="api", created_at=box.created_at, due_at=box.created_at,
            started_at=box.created_at if status == "in_progress" else None,
        )
        for box in boxes
    ]  # fmt: skip


if __name__ == "__main__":
    print("ready", flush=True)
    for line in sys.stdin:
        print(make(json.loads(line)), flush=True)
