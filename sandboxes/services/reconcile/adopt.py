"""Rows for sandboxes that Daytona has and we do not: adopted as they are, or deleted when their row here is.

Nothing of Daytona changes by an adoption, and a second run finds nothing left to adopt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.conf import settings
from django.db import DataError, IntegrityError, transaction

from sandboxes import clock
from sandboxes.gateways.daytona import DaytonaError, DaytonaGateway, NotFound, RemoteSandbox
from sandboxes.models import Owner, Sandbox, SandboxEvent
from sandboxes.services import record
from sandboxes.services.facts import facts_of
from sandboxes.services.lifecycle.begin import begin
from sandboxes.services.reconcile.compare import Known, is_ending, is_of
from sandboxes.services.reconcile.examine import NOT_ALL
from sandboxes.services.reconcile.ownership import LABEL
from sandboxes.services.reconcile.pages import words
from sandboxes.services.reconcile.result import Finding, Kind
from sandboxes.services.reconcile.run import Run
from sandboxes.states import STATUS_OF_STATE, Action, Actor, Intent, Source, Status

log = structlog.get_logger(__name__)
ADOPTER = Actor.system("adopt")
SWEEPER = Actor.system("sweep")
OWNER_LIMIT = 255
BATCH = 50  # rows in one transaction
AS_FOUND = "Taken over as it was found"

INTENT_OF_DESIRED = {"started": Intent.RUNNING, "stopped": Intent.STOPPED, "archived": Intent.ARCHIVED}
INTENT_OF_STATUS = {Status.STOPPED: Intent.STOPPED, Status.ARCHIVED: Intent.ARCHIVED}


@dataclass(frozen=True, slots=True)
class Found:
    """A sandbox without a row, as a GET that began at `started` showed it."""

    remote: RemoteSandbox
    started: datetime


def adopt(run: Run, daytona: DaytonaGateway, orphans: list[RemoteSandbox], *, owners: Mapping[str, str]) -> None:
    """Make the rows of those that a GET still shows; the list alone proves nothing. `owners` by Daytona's id."""
    found = [one for one in run.side_by_side(lambda item: look(run, daytona, item), orphans) if one is not None]
    for start in range(0, len(found), BATCH):
        with transaction.atomic():
            for one in found[start : start + BATCH]:
                run.report.add(_adopt(run, one, owners[one.remote.id]))


def _adopt(run: Run, found: Found, owner: str) -> Finding:
    if len(owner) > OWNER_LIMIT:
        return finding(Kind.UNMATCHED, found.remote, f"its owner's id has more than {OWNER_LIMIT} characters")
    try:
        with transaction.atomic():
            row = _take_over(found, owner=owner, is_verified=run.options.verify_convex)
    except (DataError, IntegrityError) as error:  # one bad row spoils no other
        log.warning("not_adopted", daytona_id=found.remote.id, error=str(error))
        return finding(Kind.UNMATCHED, found.remote, f"the database refuses it: {type(error).__name__}")
    return finding(Kind.ADOPTED, found.remote, f"{row.status}; {row.resource_tier}", row=row, owner=owner)


def look(run: Run, daytona: DaytonaGateway, item: RemoteSandbox) -> Found | None:
    """GET what the list showed; None when it is ending, is somebody else's by now, or Daytona does not answer."""
    started = clock.now()
    try:
        remote = daytona.get(item.id)
    except NotFound:
        run.report.count("list_lied")
        return None
    except DaytonaError as error:
        run.partial(NOT_ALL)
        run.report.add(finding(Kind.UNANSWERED, item, words(error)))
        return None
    return None if is_ending(remote) else Found(remote, started)


def delete_leftover(run: Run, daytona: DaytonaGateway, item: RemoteSandbox, row: Known) -> None:
    """A create of ours that ran late, after its row was deleted: it gets a row of its own, which is deleted."""
    text = f"made for “{row.name or row.daytona_name}”, which is deleted here; it is deleted, too"
    if not run.options.dry_run:
        found = look(run, daytona, item)
        if found is None or not is_of(row, found.remote):
            return
        _delete(found, row)
    run.report.add(finding(Kind.LEFTOVER, item, text))


def _take_over(found: Found, *, owner: str, is_verified: bool) -> Sandbox:
    now = clock.now()
    row = _row(found.remote, owner=owner, now=now)
    row.intent, row.intent_actor_kind, row.intent_actor_id = _intent_of(found.remote), ADOPTER.kind, ADOPTER.id
    row.intent_reason, row.intent_at, row.intent_met_at = AS_FOUND, now, now
    # Convex may have a row. One that is to be verified counts as pushed: only what differs there is sent.
    row.convex_known = True
    row.convex_revision = row.revision if is_verified else 0
    row.convex_next_push_at = None if is_verified else now
    _save(row, found, words_=AS_FOUND, actor=ADOPTER, now=now)
    return row


@transaction.atomic
def _delete(found: Found, origin: Known) -> None:
    now = clock.now()
    reason = f"Made for {origin.pk}, which is deleted"
    row = _row(found.remote, owner=origin.owner_id, now=now)
    row.intent, row.intent_actor_kind, row.intent_actor_id = Intent.DELETED, SWEEPER.kind, SWEEPER.id
    row.intent_reason, row.intent_at = reason, now
    _save(row, found, words_=reason, actor=SWEEPER, now=now)
    with record.telling(row, since=facts_of(row)):
        begin(row, Action.DELETE, actor=SWEEPER, source=Source.SWEEP, now=now, reason=reason)
        row.save()


def _row(remote: RemoteSandbox, *, owner: str, now: datetime) -> Sandbox:
    labels = remote.labels
    row = Sandbox(
        owner=Owner.objects.get_or_create(pk=owner)[0],
        daytona_id=remote.id,
        daytona_name=remote.name[:255],
        name=labels.get("harness_name", "")[:200],
        harness_id=labels.get("harness_id", "")[:255],
        language=labels.get("code-toolbox-language", "python")[:50],
        resource_tier=labels.get("harness_resource_tier", "")[:50] or _tier_of(remote),
        last_accessed_at=remote.last_activity_at,
        created_at=remote.created_at or now,
        status_changed_at=now,
    )
    for name in ("auto_stop", "auto_archive", "auto_delete"):
        minutes = getattr(remote, f"{name}_interval")
        if minutes is not None:
            setattr(row, f"{name}_minutes", minutes)
    return row


def _save(row: Sandbox, found: Found, *, words_: str, actor: Actor, now: datetime) -> None:
    row.save(force_insert=True)
    with record.telling(row, since={}):
        record.event(row, SandboxEvent.Kind.CREATED, words_, actor=actor, at=now)
        record.observed(row, found.remote, started=found.started, now=now)
        record.settle(row, active=None, now=now)
        row.dirty_since = now if row.is_dirty else None
        row.save()


def _intent_of(remote: RemoteSandbox) -> Intent:
    """What it is, or is on its way to, is what is wanted from now on."""
    of_status = INTENT_OF_STATUS.get(STATUS_OF_STATE.get(remote.state, Status.RUNNING), Intent.RUNNING)
    return INTENT_OF_DESIRED.get(remote.desired_state, of_status)


def _tier_of(remote: RemoteSandbox) -> str:
    size = (remote.cpu, remote.memory_gb, remote.disk_gb)
    fits = (
        name for name, tier in settings.TIERS.items() if (tier["cpu"], tier["memory_gb"], tier["disk_gb"]) == size
    )
    return next(fits, "basic")


def finding(
    kind: Kind, remote: RemoteSandbox, text: str, *, row: Sandbox | None = None, owner: str = ""
) -> Finding:
    return Finding(
        kind=kind,
        text=text,
        daytona_id=remote.id,
        sandbox_id=row.pk if row else None,
        name=remote.labels.get("harness_name") or remote.name,
        owner=owner or remote.labels.get(LABEL, ""),
    )
