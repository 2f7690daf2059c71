"""Tasks that touch nothing else, to see a worker at work."""

from __future__ import annotations

from pathlib import Path

from django_tasks import task

from tests.support.waiting import wait_until


@task()
def write(path: str) -> None:
    Path(path).write_text("done")


@task()
def write_when(path: str, gate: str) -> None:
    """Says that it began, waits for the file `gate`, then writes."""
    Path(f"{path}.began").touch()
    wait_until(Path(gate).exists, what=gate)
    Path(path).write_text("done")


@task()
def fail() -> None:
    raise ValueError("a task that fails")
