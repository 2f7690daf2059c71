"""Named rights that one process holds at a time: the sweep, the room of a region."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

from django.db.models import F, Q

from sandboxes import clock
from sandboxes.models import Lease


@dataclass(frozen=True, slots=True)
class Held:
    name: str
    token: str
    epoch: int


def take(name: str, *, holder: str, seconds: float) -> Held | None:
    """Take the lease, or None while somebody else holds it. The epoch goes up with each holder."""
    now = clock.now()
    token = uuid4().hex
    Lease.objects.get_or_create(name=name)
    free = Lease.objects.filter(Q(until=None) | Q(until__lt=now), name=name)
    taken = free.update(token=token, holder=holder, until=now + timedelta(seconds=seconds), epoch=F("epoch") + 1)
    if taken != 1:
        return None
    return Held(name, token, Lease.objects.values_list("epoch", flat=True).get(name=name))


def renew(held: Held, *, seconds: float) -> bool:
    """Keep the lease longer; False when it is no longer ours."""
    until = clock.now() + timedelta(seconds=seconds)
    return Lease.objects.filter(name=held.name, token=held.token).update(until=until) == 1


def release(held: Held) -> None:
    Lease.objects.filter(name=held.name, token=held.token).update(until=None, token="")


def end(held: Held) -> None:
    """Give the lease back for good: nobody asks for its epoch again."""
    Lease.objects.filter(name=held.name, token=held.token).delete()


def holder_of(name: str) -> Lease | None:
    """Who holds the lease now, if anybody."""
    return Lease.objects.filter(name=name, until__gte=clock.now()).first()
