"""The cap: how many sandboxes an owner may have."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from django.conf import settings

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Status
from sandboxes.models import Owner, Sandbox


@dataclass(frozen=True, slots=True)
class Cap:
    """How many sandboxes an owner has and may have, and whether a hold keeps all of them from being started.

    `hold_reason` is the public one.
    """

    used: int
    limit: int
    on_hold: bool = False
    hold_reason: str = ""

    @property
    def has_room(self) -> bool:
        return self.used < self.limit

    def as_data(self) -> dict[str, Any]:
        return asdict(self)


def cap(owner_id: str) -> Cap:
    """How many sandboxes the owner has, and may have. What is gone or forgotten does not count."""
    owner = Owner.objects.filter(pk=owner_id).first()
    return cap_of(owner) if owner else Cap(0, settings.SANDBOXES_PER_OWNER)


def cap_of(owner: Owner) -> Cap:
    counted = Sandbox.objects.filter(owner=owner, forgotten_at=None).exclude(status=Status.GONE)
    return Cap(counted.count(), limit_of(owner), owner.on_hold, owner.hold_public_reason if owner.on_hold else "")


def limit_of(owner: Owner) -> int:
    return settings.SANDBOXES_PER_OWNER if owner.sandbox_limit is None else owner.sandbox_limit


def reserve(owner_id: str) -> Owner:
    """Lock the owner's row for the rest of the transaction and see that there is room for one more sandbox.

    Raises:
        Refused: OWNER_ON_HOLD, SANDBOX_LIMIT_REACHED.
    """
    Owner.objects.get_or_create(pk=owner_id)
    # The UPDATE locks the row, so of two creates at once the second counts the first one's sandbox.
    Owner.objects.filter(pk=owner_id).update(updated_at=clock.now())
    owner = Owner.objects.get(pk=owner_id)
    room = cap_of(owner)
    if room.on_hold:
        raise Refused(Code.OWNER_ON_HOLD, "The owner is on hold.", **room.as_data())
    if not room.has_room:
        detail = f"The owner has {room.used} of {room.limit} sandboxes."
        raise Refused(Code.SANDBOX_LIMIT_REACHED, detail, **room.as_data())
    return owner
