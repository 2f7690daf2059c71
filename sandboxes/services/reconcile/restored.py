"""After the database was restored from a backup: what was in flight in it is of the past, and is not carried out.

Since then its people may have wanted, and done, otherwise: a stop or delete that went on from a backup would be
nobody's wish. A create goes on, because repeating it finds the sandbox that it made. Names come from Daytona's
labels, which were told of every rename since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import Q, QuerySet

from sandboxes import clock
from sandboxes.core.codes import Code
from sandboxes.core.vocabulary import Action, Actor, Intent, OperationStatus
from sandboxes.models import DaytonaCall, Operation, Sandbox
from sandboxes.services import feed, sandbox_store
from sandboxes.services.decisions import refresh
from sandboxes.services.lifecycle import rename
from sandboxes.services.operations import close_operation, revert_intent, set_intent
from sandboxes.services.rows import in_chunks

if TYPE_CHECKING:
    from uuid import UUID

    from sandboxes.services.reconcile.run import Run

CHUNK = 200
RESTORER = Actor.system("restore")
WORDS = "It was in flight when the backup was made from which the database was restored."


def steps(run: Run) -> None:
    """End the operations that were in flight and let every intent count as met: none is issued again."""
    if not run.options.dry_run:
        feed.begin_anew()
        # What a backup says of use is old: nothing is stopped or deleted for it.
        sandbox_store.count_policies_anew(_of_owner(run, Sandbox.objects.all()))
    in_flight = Operation.objects.active().exclude(action=Action.CREATE)
    unmet = Q(intent_met_at=None, deleted_at=None, daytona_id__isnull=False)
    creating = Operation.objects.active().filter(action=Action.CREATE)
    untold = ~Q(pending_changes={})
    concerned = Sandbox.objects.filter(unmet | untold | Q(pk__in=in_flight.values("sandbox_id")))
    rows = _of_owner(run, concerned).exclude(pk__in=creating.values("sandbox_id"))
    for chunk in in_chunks(rows, CHUNK):
        run.report.count("were_in_flight", len(chunk))
        for row in [] if run.options.dry_run else chunk:
            run.beat()
            _forget(row.pk)


def take_names(run: Run) -> None:
    """Give each sandbox the name of its label, which the sweep has just read where it differed.

    What waits to be told to Daytona is at most the old name: nobody else is at work, and `steps` has forgotten
    what waited in the backup.
    """
    for chunk in in_chunks(_of_owner(run, Sandbox.objects.idle().filter(deleted_at=None)), CHUNK):
        labelled = ((row, str(row.labels.get("harness_name", "")).strip()[:200]) for row in chunk)
        renamed = [(row.pk, label) for row, label in labelled if label not in ("", row.name)]
        run.report.count("renamed", len(renamed))
        for sandbox_id, name in [] if run.options.dry_run else renamed:
            run.beat()
            rename(sandbox_id, name, actor=RESTORER)


def _of_owner(run: Run, rows: QuerySet[Sandbox]) -> QuerySet[Sandbox]:
    return rows.filter(owner_id=run.options.owner) if run.options.owner else rows


def _forget(sandbox_id: UUID) -> None:
    with sandbox_store.lock_sandbox(sandbox_id) as row:
        now = clock.now()
        active = sandbox_store.active_operation(sandbox_id)
        if active is not None:
            revert_intent(row, active, now=now)
            close_operation(row, active, OperationStatus.CANCELLED, now=now, code=Code.CANCELLED, message=WORDS)
        if row.intent == Intent.DELETED and row.deleted_at is None:
            set_intent(row, Intent.RUNNING, actor=RESTORER, reason=WORDS, now=now)
        row.pending_changes = {}
        DaytonaCall.objects.filter(sandbox=row).in_doubt().update(in_doubt_until=None)
        row.known_calls = None
        row.intent_met_at = row.intent_met_at or now
        refresh(row, active=None, now=now)
