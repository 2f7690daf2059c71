"""Putting a task on the queue, inside the transaction of the row it is about.

A task only says "look at this row now"; the row is the truth, so a lost or repeated task does no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.module_loading import import_string

if TYPE_CHECKING:
    from uuid import UUID


def enqueue(task: str, row_id: UUID) -> None:
    """Enqueue a task of `sandboxes.tasks` by name.

    By name because the tasks call the services, and the services may not import them back.
    """
    import_string(f"sandboxes.tasks.{task}").enqueue(str(row_id))
