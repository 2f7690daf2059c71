"""Tasks: each calls one service. They say "look at this row now"; the row is the truth."""

from __future__ import annotations

from uuid import UUID

from django_tasks import task

from sandboxes.services import intent, lifecycle, projection


@task()
def advance_operation(operation_id: str) -> bool:
    return lifecycle.attempt(UUID(operation_id))


@task()
def observe_sandbox(sandbox_id: str) -> bool:
    return lifecycle.observe(UUID(sandbox_id))


@task()
def push_sandbox(sandbox_id: str) -> bool:
    return projection.push(UUID(sandbox_id))


@task()
def push_batch(sandbox_ids: list[str]) -> int:
    return projection.push_many([UUID(one) for one in sandbox_ids])


@task()
def forward_touch(sandbox_id: str) -> bool:
    return intent.forward_touch(UUID(sandbox_id))
