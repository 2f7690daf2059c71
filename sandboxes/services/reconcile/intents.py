"""Intents that somebody broke from outside: reported, or enforced when asked to.

Only a sandbox that a person stopped or archived and that runs all the same counts. One that should run and does
not was stopped by Daytona's idle clock or by the evictor, as far as anybody can tell, and is started when needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes import clock
from sandboxes.core.states import ERROR_STATES, STATES, Seen, is_met
from sandboxes.core.vocabulary import Intent
from sandboxes.models import Sandbox
from sandboxes.services import sandbox_store
from sandboxes.services.operations import keep_intent
from sandboxes.services.reconcile.result import FindingKind, SweepFinding
from sandboxes.services.rows import in_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from sandboxes.services.reconcile.run import Run

CHUNK = 200


def review(run: Run) -> None:
    """Report each broken intent; with `enforce_intent` issue its action again, in the system's name."""
    for row in _suspects(run):
        if not is_broken(row.intent, row.seen):
            continue
        kind = FindingKind.INTENT_BROKEN
        if run.options.enforce_intent and not run.options.dry_run and _enforce(row.pk):
            kind = FindingKind.ENFORCED
        who = f"{row.intent_actor_kind}:{row.intent_actor_id}"
        run.report.add(
            SweepFinding(
                kind=kind,
                text=f"{who} wants it {row.intent}; it is {row.observed_state}",
                sandbox_id=row.pk,
                daytona_id=row.daytona_id or "",
                name=row.display_name,
                owner=row.owner_id,
            )
        )


def is_broken(intent: str, seen: Seen | None) -> bool:
    """Whether what was seen contradicts an intent that had been met."""
    if seen is None or seen.missing or intent not in (Intent.STOPPED, Intent.ARCHIVED):
        return False
    known = seen.state in STATES and seen.state not in ERROR_STATES and seen.desired_state != "destroyed"
    on_its_way = seen.desired_state in ("stopped", "archived") and seen.state in ("stopping", "archiving")
    return known and not on_its_way and not is_met(intent=intent, seen=seen)


def _suspects(run: Run) -> Iterator[Sandbox]:
    rows = (
        Sandbox.objects.idle()
        .filter(deleted_at=None, intent__in=(Intent.STOPPED, Intent.ARCHIVED), intent_met_at__isnull=False)
        .exclude(intent=Intent.STOPPED, observed_state="stopped")
    )
    rows = rows.exclude(observed_state="archived")
    if run.options.owner:
        rows = rows.filter(owner_id=run.options.owner)
    for chunk in in_chunks(rows, CHUNK):
        run.beat()
        yield from chunk


def _enforce(sandbox_id: UUID) -> bool:
    """Whether it is still as it was read: a person may have asked for something else just now."""
    with sandbox_store.lock_sandbox(sandbox_id) as row:
        if (
            row.intent_met_at is None
            or sandbox_store.active_operation(sandbox_id)
            or not is_broken(row.intent, row.seen)
        ):
            return False
        row.intent_met_at = None
        keep_intent(row, now=clock.now())
        return True
