"""One GET, and what it proves. Remote calls only; nothing is written here."""

from __future__ import annotations

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
    from sandboxes.models import Sandbox
    from sandboxes.providers.daytona.gateway import DaytonaGateway


def fetch(daytona: DaytonaGateway, row: Sandbox, *, now: datetime | None = None) -> Fetched:
    """GET the sandbox by id, or by name while we have no id (a create whose outcome is unknown).

    `now` is the database's time, from a caller that has just read it.

    Raises:
        DaytonaError: it could not be asked, or said nothing of the sandbox.
    """
    started = now or clock.now()
    try:
        remote = blocking.run(daytona.get(row.daytona_id or row.daytona_name))
    except NotFound:
        return Fetched(started, confirmed=row.daytona_id is not None and _is_confirmed(daytona, row, started))
    if row.daytona_id is None and remote.labels.get("sandkeeper_id") != str(row.pk):
        return Fetched(started, foreign=True)
    return Fetched(started, remote)


def _is_confirmed(daytona: DaytonaGateway, row: Sandbox, started: datetime) -> bool:
    """Whether this 404 is to be believed: a second one long enough after the first, and no row in the list.

    With Daytona's database down every GET says 404 even of a living sandbox, but the list says 500
    (recording 15_outages). A call of ours that ends a sandbox explains the first 404.
    """
    if not may_have_ended(sandbox_facts(row), calls_of(row)):
        if row.missing_since is None:
            return False
        if started - row.missing_since < timedelta(seconds=settings.MISSING_CONFIRM_SECONDS):
            return False
    page = blocking.run(daytona.list_page(id_prefix=row.daytona_id, limit=10))
    return not page.bad_rows and all(item.id != row.daytona_id for item in page.items)
