"""Make the call that was decided, and say what it came to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes.core.asked import labels_of
from sandboxes.core.facts import Result
from sandboxes.core.results import ResultKind
from sandboxes.core.vocabulary import Action
from sandboxes.providers import blocking
from sandboxes.providers.daytona.errors import DaytonaError
from sandboxes.providers.daytona.gateway import DaytonaGateway, NewSandbox

if TYPE_CHECKING:
    from sandboxes.models import Sandbox


def execute(gateway: DaytonaGateway, row: Sandbox, name: str) -> Result:
    """Make this call for the sandbox: one of create, start, stop, archive, recover, delete."""
    try:
        argument = _new(row) if name == Action.CREATE else row.daytona_id
        remote = blocking.run(getattr(gateway, name)(argument))
    except DaytonaError as error:
        return error.as_result()
    return Result(ResultKind.ACCEPTED, remote=remote)


def _new(row: Sandbox) -> NewSandbox:
    """The snapshot of the tier, or its resources; never both (Daytona refuses both)."""
    sized = not row.snapshot
    return NewSandbox(
        name=row.daytona_name,
        snapshot=row.snapshot or None,
        cpu=row.cpu if sized else None,
        memory_gb=row.memory_gb if sized else None,
        disk_gb=row.disk_gb if sized else None,
        labels=labels_of(row),
        target=row.target,
        auto_stop=row.auto_stop_minutes,
        auto_archive=row.auto_archive_minutes,
        auto_delete=row.auto_delete_minutes,
    )
