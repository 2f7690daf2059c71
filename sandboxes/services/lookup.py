"""Finding sandboxes the way their actor may: another owner's does not exist, and nothing of it is locked or read.

A refusal repeats the id as it was asked for, so that a foreign id and an unknown one are answered alike.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction

from sandboxes.core.codes import Code, Refused
from sandboxes.models import Operation, Sandbox
from sandboxes.models.scope import SandboxRows, as_uuid
from sandboxes.services import sandbox_store
from sandboxes.services.rows import one

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sandboxes.core.vocabulary import Actor


def visible(which: UUID | str, *, actor: Actor) -> SandboxRows:
    """The sandbox of this id, ours or Daytona's, if the actor may see it; else no row."""
    rows: SandboxRows = Sandbox.objects.visible_to(actor)
    return rows.filter(pk=which) if isinstance(which, UUID) else rows.named([which])


def find(which: UUID | str, *, actor: Actor) -> Sandbox:
    """The sandbox of this id, ours or Daytona's.

    Raises:
        Refused: SANDBOX_NOT_FOUND, for an unknown id and for another owner's alike.
    """
    row: Sandbox | None = one(visible(which, actor=actor).select_related("owner"))
    if row is None:
        raise not_found(which)
    return row


def identify(which: str, *, actor: Actor) -> UUID:
    """Our id of this sandbox; reads nothing else of it.

    Raises:
        Refused: SANDBOX_NOT_FOUND, for an unknown id and for another owner's alike.
    """
    found: UUID | None = one(visible(which, actor=actor).values_list("pk", flat=True))
    if found is None:
        raise not_found(which)
    return found


def distinct(ids: Iterable[str]) -> dict[str, list[str]]:
    """All spellings of each id, by the first one that was sent."""
    groups: dict[str, list[str]] = {}
    for text in ids:
        groups.setdefault(_canonical(text), []).append(text)
    return {spellings[0]: spellings for spellings in groups.values()}


def resolve(ids: Iterable[str], *, actor: Actor) -> dict[str, UUID | None]:
    """Our id of each sandbox, by the first spelling of the id that was sent; None where the actor sees none."""
    groups = distinct(ids)
    rows = Sandbox.objects.visible_to(actor).named(text for texts in groups.values() for text in texts)
    known: dict[str | None, UUID] = {}
    for pk, daytona_id in rows.values_list("pk", "daytona_id"):
        known |= {str(pk): pk, daytona_id: pk}
    return {
        first: next((known[text] for text in (_canonical(first), *texts) if text in known), None)
        for first, texts in groups.items()
    }


def _canonical(text: str) -> str:
    return str(as_uuid(text) or text)


@contextmanager
def locked(which: UUID | str, *, actor: Actor) -> Iterator[Sandbox]:
    """Lock and write back the sandbox of this id, as `sandbox_store.lock_sandbox` does, if the actor may see it.

    Raises:
        Refused: SANDBOX_NOT_FOUND, for an unknown id and for another owner's alike.
    """
    try:
        with sandbox_store.lock_sandbox(visible(which, actor=actor)) as row:
            yield row
    except sandbox_store.LostLease:
        raise not_found(which) from None


@contextmanager
def held(which: UUID | str, *, actor: Actor) -> Iterator[Sandbox]:
    """One transaction in which nobody else changes this sandbox; for a decision by what it is now.

    Raises:
        Refused: SANDBOX_NOT_FOUND, for an unknown id and for another owner's alike.
    """
    with transaction.atomic():
        rows = visible(which, actor=actor).select_related("owner").select_for_update(of=("self",), no_key=True)
        row: Sandbox | None = one(rows)
        if row is None:
            raise not_found(which)
        yield row


def find_operation(operation_id: UUID, *, actor: Actor) -> Operation:
    """One operation of a sandbox that the actor may see.

    Raises:
        Refused: OPERATION_NOT_FOUND, for an unknown id and for another owner's alike.
    """
    rows = Operation.objects.visible_to(actor).select_related("sandbox")
    row: Operation | None = one(rows.filter(pk=operation_id))
    if row is None:
        raise Refused(Code.OPERATION_NOT_FOUND, f"No operation {operation_id}.")
    return row


def not_found(which: object) -> Refused:
    """The refusal of an id that names nothing the actor may see."""
    return Refused(Code.SANDBOX_NOT_FOUND, f"No sandbox {which}.")
