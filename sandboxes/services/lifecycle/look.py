"""Looking: one GET, and what it proves. Remote calls only; nothing is written here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from sandboxes import clock
from sandboxes.gateways.daytona import DaytonaGateway, RemoteSandbox
from sandboxes.gateways.daytona_errors import NotFound
from sandboxes.models import Operation, Sandbox, SandboxEvent
from sandboxes.services import record


@dataclass(frozen=True, slots=True)
class Look:
    """What a GET that began at `started` said: a sandbox, or a 404.

    `confirmed`: the 404 is believed, because Daytona's list answers without the sandbox as well.
    `foreign`: a sandbox of this name exists and is not ours.
    """

    started: datetime
    remote: RemoteSandbox | None = None
    confirmed: bool = False
    foreign: bool = False


def look(daytona: DaytonaGateway, row: Sandbox, *, now: datetime | None = None) -> Look:
    """GET the sandbox by id, or by name while we have no id (a create whose outcome is unknown).

    `now` is the database's time, from a caller that has just read it.
    """
    started = now or clock.now()
    try:
        remote = daytona.get(row.daytona_id or row.daytona_name)
    except NotFound:
        return Look(started, confirmed=row.daytona_id is not None and _is_confirmed(daytona, row, started))
    if row.daytona_id is None and remote.labels.get("sandkeeper_id") != str(row.pk):
        return Look(started, foreign=True)
    return Look(started, remote)


def _is_confirmed(daytona: DaytonaGateway, row: Sandbox, started: datetime) -> bool:
    """Whether this 404 is to be believed: a second one long enough after the first, and no row in the list.

    With Daytona's database down every GET says 404 even of a living sandbox, but the list says 500
    (recording 15_outages). A call of ours that ends a sandbox explains the first 404.
    """
    if not _may_have_ended(row):
        if row.missing_since is None:
            return False
        if started - row.missing_since < timedelta(seconds=settings.MISSING_CONFIRM_SECONDS):
            return False
    page = daytona.list_page(id_prefix=row.daytona_id, limit=10)
    return not page.bad_rows and all(item.id != row.daytona_id for item in page.items)


def note(row: Sandbox, seen: Look, *, now: datetime, during: Operation | None) -> None:
    """Record what was seen on the locked row; after the last moment at which a call of ours may run late, it
    settles that call."""
    _note(row, seen, now=now, during=during)
    is_told = seen.remote is not None or row.deleted_at is not None
    if is_told and row.unsettled_until is not None and row.unsettled_until <= seen.started:
        row.unsettled_until = None


def _note(row: Sandbox, seen: Look, *, now: datetime, during: Operation | None) -> None:
    if seen.remote is not None:
        record.observed(row, seen.remote, started=seen.started, now=now, during=during)
        return
    if row.daytona_id is None or row.deleted_at is not None:
        return
    if seen.confirmed or _was_ending(row):
        record.gone(row, now=now, during=during)
    elif row.missing_since is None:
        row.missing_since = seen.started
        record.event(row, SandboxEvent.Kind.OBSERVATION, "Daytona did not find it; not believed yet", at=now)


def _was_ending(row: Sandbox) -> bool:
    """After our DELETE was accepted, or Daytona showed it ending, the first 404 is the end."""
    accepted = row.last_call.get("name") == "delete" and row.last_call["outcome"] == "accepted"
    return accepted or row.desired_state == "destroyed"


def _may_have_ended(row: Sandbox) -> bool:
    """Our latest call was a DELETE, or the stop of an ephemeral sandbox, and Daytona may have carried it out."""
    ends = row.last_call.get("name") in (("delete", "stop") if row.ephemeral else ("delete",))
    return ends and row.last_call["outcome"] != "refused"
