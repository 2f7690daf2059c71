"""Notes of staff on owners and sandboxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from sandboxes import clock
from sandboxes.core.vocabulary import Actor, AuditAction
from sandboxes.models import Note, Owner, Sandbox
from sandboxes.services import audit

if TYPE_CHECKING:
    from django.db.models import QuerySet


def add(about: Owner | Sandbox, text: str, *, actor: Actor) -> Note:
    with transaction.atomic():
        audit.write(AuditAction.NOTE, actor=actor, about=about, owner=_owner(about), after={"text": text})
        sandbox = about if isinstance(about, Sandbox) else None
        return Note.objects.create(
            owner_id=_owner(about), sandbox=sandbox, at=clock.now(), author=str(actor), text=text
        )


def of(about: Owner | Sandbox) -> QuerySet[Note]:
    """Those of a sandbox, or of an owner with all their sandboxes; the newest first."""
    rows = about.notes if isinstance(about, Sandbox) else about.notes.select_related("sandbox")
    return rows.order_by("-at", "-pk")


def _owner(about: Owner | Sandbox) -> str:
    return about.owner_id if isinstance(about, Sandbox) else about.pk
