"""Finding sandboxes the way their actor may: another owner's does not exist."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from sandboxes.codes import Code, Refused
from sandboxes.models import Sandbox
from sandboxes.services.rows import one
from sandboxes.states import Actor, ActorKind


def visible_to(actor: Actor) -> QuerySet[Sandbox]:
    """All sandboxes this actor may see."""
    if actor.kind == ActorKind.OWNER:
        return Sandbox.objects.filter(owner_id=actor.id)
    if actor.on_behalf_of is not None:
        return Sandbox.objects.filter(owner_id=actor.on_behalf_of)
    return Sandbox.objects.all()


def find(id_or_daytona_id: str, *, actor: Actor) -> Sandbox:
    """The sandbox of this id, ours or Daytona's.

    Raises:
        Refused: SANDBOX_NOT_FOUND, for an unknown id and for another owner's alike.
    """
    row = one(visible_to(actor).select_related("owner").filter(named(id_or_daytona_id)))
    if row is None:
        raise not_found(id_or_daytona_id)
    return row


@contextmanager
def held(id_or_daytona_id: str, *, actor: Actor) -> Iterator[Sandbox]:
    """One transaction in which nobody else changes this sandbox; for a decision by what it is now.

    Raises:
        Refused: SANDBOX_NOT_FOUND, for an unknown id and for another owner's alike.
    """
    with transaction.atomic():
        rows = visible_to(actor).select_related("owner").select_for_update(of=("self",))
        row = one(rows.filter(named(id_or_daytona_id)))
        if row is None:
            raise not_found(id_or_daytona_id)
        yield row


def identify(id_or_daytona_id: str, *, actor: Actor) -> UUID:
    """Our id of this sandbox; reads nothing else of it.

    Raises:
        Refused: SANDBOX_NOT_FOUND, for an unknown id and for another owner's alike.
    """
    found = visible_to(actor).filter(named(id_or_daytona_id)).values_list("pk", flat=True)[:1]
    for pk in found:
        return pk
    raise not_found(id_or_daytona_id)


def named(id_or_daytona_id: str) -> Q:
    """What has this id, ours or Daytona's."""
    wanted = Q(daytona_id=id_or_daytona_id)
    with suppress(ValueError):
        wanted |= Q(pk=UUID(id_or_daytona_id))
    return wanted


def check(actor: Actor, row: Sandbox) -> None:
    """Refuse an actor that may not see this sandbox as if it did not exist."""
    if not actor.may_see(row.owner_id):
        raise not_found(row.pk)


def not_found(which: object) -> Refused:
    return Refused(Code.SANDBOX_NOT_FOUND, f"No sandbox {which}.")
