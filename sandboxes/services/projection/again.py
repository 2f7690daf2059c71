"""Pushing once more though nothing of ours changed: a person asks for it, or Convex can show more than before."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Least

from sandboxes import clock
from sandboxes.codes import Code, Refused
from sandboxes.models import Sandbox, SandboxEvent
from sandboxes.services import lookup, record
from sandboxes.services.projection import outcome
from sandboxes.services.queue import enqueue
from sandboxes.states import Actor

NO_ID = "Convex names its rows by Daytona's id, and there is none yet."


def push_again(sandbox_id: UUID, *, actor: Actor) -> None:
    """Have it looked up in Convex and every value sent, whether or not it differs from what was sent before.

    What its user took off the list there is put back: a person wants it now.

    Raises:
        Refused: SANDBOX_NOT_FOUND, SANDBOX_CREATING while Daytona has not given it an id.
    """
    with lookup.locked(sandbox_id, actor=actor) as row:
        if row.daytona_id is None:
            raise Refused(Code.SANDBOX_CREATING, NO_ID)
        now = clock.now()
        # A call that got lost may still be carried out: `convex_again_at` stays as it is.
        row.convex_revision = min(row.convex_revision, row.revision - 1)
        row.convex_sent = {"again": True} | {
            key: row.convex_sent[key] for key in ("late",) if key in row.convex_sent
        }
        row.convex_removed = False
        row.convex_attempt = 0
        row.convex_next_push_at = now
        record.event(row, SandboxEvent.Kind.CONVEX, "Push to Convex requested again", actor=actor, at=now)
        enqueue("push_sandbox", row.pk)


@transaction.atomic
def push_what_was_lacking() -> int:
    """Rows that met a function that was not there are due; returns how many."""
    now = clock.now()
    lacking = Sandbox.objects.filter(convex_error__startswith=f"{outcome.LACKS}:").order_by("pk")
    ids = list(lacking.select_for_update().values_list("pk", flat=True))
    return Sandbox.objects.filter(pk__in=ids).update(
        convex_revision=Least("convex_revision", F("revision") - 1),
        dirty_since=Coalesce("dirty_since", now),
        convex_next_push_at=now,
    )
