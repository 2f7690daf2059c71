"""Sandboxes of Daytona's without a row here: sweeps note them, staff decide, and the next sweep carries it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from project.readable import UnreadableText, checked_owner_id, cut
from sandboxes import clock
from sandboxes.core.asked import NAME_LABEL, OWNER_LABEL
from sandboxes.core.codes import Code, Refused, invalid
from sandboxes.core.vocabulary import AuditAction, OrphanDecision
from sandboxes.models import Orphan
from sandboxes.models.bulk import update_each
from sandboxes.services import audit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from sandboxes.core.facts import RemoteSandbox
    from sandboxes.core.vocabulary import Actor

SEEN = ("name", "owner", "state", "target", "cpu", "memory_gb", "disk_gb", "created_at", "seen_at")


def note(items: Iterable[RemoteSandbox], *, seen_at: datetime) -> None:
    """Write down what a page of the list shows of them: one statement; what was decided stays."""
    rows = [
        Orphan(
            daytona_id=item.id, name=cut(item.labels.get(NAME_LABEL) or item.name, 255),
            owner=cut(item.labels.get(OWNER_LABEL, ""), 255),
            state=cut(item.state, 50), target=cut(item.target, 100),
            cpu=item.cpu, memory_gb=item.memory_gb, disk_gb=item.disk_gb, created_at=item.created_at,
            first_seen_at=seen_at, seen_at=seen_at,
        )
        for item in items
    ]  # fmt: skip
    if rows:
        Orphan.objects.bulk_create(rows, update_conflicts=True, unique_fields=["daytona_id"], update_fields=SEEN)


def decided(items: Sequence[RemoteSandbox]) -> dict[str, Orphan]:
    """Those of them that staff have decided about, by Daytona's id."""
    if not items:
        return {}
    rows = Orphan.objects.filter(pk__in=[item.id for item in items]).exclude(decision="")
    return {row.pk: row for row in rows}


def settled(adopted: Collection[str], left: Mapping[str, str]) -> None:
    """These have a row now; the others were left alone, and why."""
    if adopted:
        Orphan.objects.filter(pk__in=adopted).delete()
    if left:
        with transaction.atomic():
            rows = list(Orphan.objects.filter(pk__in=left).exclude(decision="").order_by("pk").select_for_update())
            for row in rows:
                row.message = cut(left[row.pk], 500)
            update_each(rows, ["message"])


def forget_unseen(since: datetime) -> None:
    """What a sweep that saw everything has not seen is no orphan any more."""
    Orphan.objects.filter(seen_at__lt=since).delete()


def undecided() -> int:
    """Those with an owner that nobody has decided about."""
    return Orphan.objects.filter(decision="").exclude(owner="").count()


def decide(
    daytona_id: str, decision: OrphanDecision | None, *, actor: Actor, reason: str = "", owner: str = ""
) -> None:
    """What the next sweep is to do with it; None: what was decided is taken back. `owner`: whose it is to be.

    Raises:
        Refused: SANDBOX_NOT_FOUND when it is no orphan any more, INVALID_REQUEST without a usable owner.
    """
    with transaction.atomic():
        row = Orphan.objects.select_for_update().filter(pk=daytona_id).first()
        if row is None:
            raise Refused(Code.SANDBOX_NOT_FOUND, "It is no orphan any more.")
        if decision in (OrphanDecision.ADOPT, OrphanDecision.DELETE):
            _check_owner(owner or row.owner)
        before = {"decision": row.decision}
        row.decision, row.reason, row.message = decision or "", cut(reason, 500), ""
        row.adopt_for = owner if owner != row.owner else ""
        row.decided_by, row.decided_at = str(actor), clock.now()
        row.save()
        audit.write(
            AuditAction.ORPHAN, actor=actor, about=row, owner=owner or row.owner, reason=reason, before=before,
            after={"decision": row.decision},
        )  # fmt: skip


def _check_owner(owner: str) -> None:
    if not owner:
        raise invalid("owner", "Say whose it is: it has no owner by its labels.")
    try:
        checked_owner_id(owner)
    except UnreadableText as error:
        raise invalid("owner", str(error)) from None
