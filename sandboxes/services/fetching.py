"""One GET, and what it proves. Remote calls only; nothing is written here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings

from sandboxes import clock
from sandboxes.core.facts import Fetched
from sandboxes.core.observation import may_have_ended
from sandboxes.providers import blocking
from sandboxes.providers.daytona.errors import NotFound
from sandboxes.services.decisions import calls_of, sandbox_facts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from sandboxes.models import Sandbox
    from sandboxes.providers.protocols import SandboxProvider


@dataclass(frozen=True, slots=True)
class Target:
    """What a fetch needs to know of a sandbox."""

    sandbox_id: UUID
    daytona_id: str | None
    daytona_name: str

    @classmethod
    def of(cls, row: Sandbox) -> Target:
        return cls(row.pk, row.daytona_id, row.daytona_name)


@dataclass(frozen=True, slots=True)
class Absence:
    """What we know of a sandbox that is not found: whether a call of ours explains it, and since when."""

    is_explained: bool
    since: datetime | None


async def fetch(
    daytona: SandboxProvider, target: Target, *, started: datetime, absence: Callable[[], Awaitable[Absence]]
) -> Fetched:
    """GET the sandbox by id, or by name while we have no id (a create whose outcome is unknown).

    Args:
        started: the database's time.
        absence: what we know of a sandbox that Daytona does not find; asked only then.

    Raises:
        DaytonaError: it could not be asked, or said nothing of the sandbox.
    """
    try:
        remote = await daytona.get(target.daytona_id or target.daytona_name)
    except NotFound:
        return Fetched(started, confirmed=await _is_confirmed(daytona, target, started, absence))
    if target.daytona_id is None and remote.labels.get("sandkeeper_id") != str(target.sandbox_id):
        return Fetched(started, foreign=True)
    return Fetched(started, remote)


async def _is_confirmed(
    daytona: SandboxProvider, target: Target, started: datetime, absence: Callable[[], Awaitable[Absence]]
) -> bool:
    """Whether this 404 is to be believed: a second one long enough after the first, and no row in the list.

    With Daytona's database down every GET says 404 even of a living sandbox, but the list says 500
    (recording 15_outages). A call of ours that ends a sandbox explains the first 404.
    """
    if target.daytona_id is None:
        return False
    known = await absence()
    if not known.is_explained:
        if known.since is None:
            return False
        if started - known.since < timedelta(seconds=settings.MISSING_CONFIRM_SECONDS):
            return False
    page = await daytona.list_page(id_prefix=target.daytona_id, limit=10)
    return not page.bad_rows and all(item.id != target.daytona_id for item in page.items)


def absence_of(row: Sandbox) -> Absence:
    return Absence(may_have_ended(sandbox_facts(row), calls_of(row)), row.missing_since)


def fetch_now(daytona: SandboxProvider, row: Sandbox) -> Fetched:
    """The same for a caller that is not async.

    Raises:
        DaytonaError: it could not be asked, or said nothing of the sandbox.
    """
    absence = absence_of(row)

    async def known() -> Absence:
        return absence

    return blocking.run(fetch(daytona, Target.of(row), started=clock.now(), absence=known))
