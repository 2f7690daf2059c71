"""Tasks for bench/ticks.py: `ids.json task` makes one for each id; nothing prints how many failed and were done."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

django.setup()

from django_tasks_db.models import DBTaskResult, get_date_max  # noqa: E402

from sandboxes import clock  # noqa: E402
from sandboxes.models import ConvexProjection, Lease, Operation, Owner, Sandbox  # noqa: E402

PATHS = {"look": "bench.bare_loop.look", "advance_operation": "sandboxes.tasks.advance_operation"}


def make(ids: list[str], task: str) -> None:
    """Operations in flight as the pump has just enqueued them."""
    for model in (DBTaskResult, Operation, Sandbox, Lease):
        model.objects.all().delete()
    owner, _ = Owner.objects.get_or_create(pk="bench")
    now = clock.now()
    boxes = [
        Sandbox(
            owner=owner, name="box", daytona_id=key, status="starting", observed_state="starting",
            desired_state="started", created_at=now, intent="running", intent_at=now, observed_at=now,
        )
        for key in ids
    ]  # fmt: skip
    operations = [
        Operation(
            sandbox=box, action="start", status="in_progress", actor_kind="owner", actor_id="bench", source="api",
            created_at=now, started_at=now, due_at=now + timedelta(seconds=20),
            deadline=now + timedelta(seconds=60),
        )
        for box in boxes
    ]  # fmt: skip
    arguments = ids if task == "look" else [str(operation.pk) for operation in operations]
    tasks: list[DBTaskResult[Any, Any]] = [
        DBTaskResult(
            task_path=PATHS[task], args_kwargs={"args": [argument], "kwargs": {}}, backend_name="default",
            run_after=get_date_max(),
        )
        for argument in arguments
    ]  # fmt: skip
    Sandbox.objects.bulk_create(boxes, batch_size=500)
    ConvexProjection.objects.bulk_create([ConvexProjection(sandbox=one) for one in boxes], batch_size=500)
    Operation.objects.bulk_create(operations, batch_size=500)
    DBTaskResult.objects.bulk_create(tasks, batch_size=500)


def tell() -> list[int]:
    tasks = DBTaskResult.objects
    done = tasks.successful().exclude(return_value=False).count()
    return [tasks.failed().count(), done]


if sys.argv[1:]:
    make(json.loads(Path(sys.argv[1]).read_text()), sys.argv[2])
else:
    print(json.dumps(tell()))
