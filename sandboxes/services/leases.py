"""Named rights that one process holds at a time: the sweep, the room of a region."""

from __future__ import annotations

from dataclasses import dataclass

from sandboxes.models import Lease


@dataclass(frozen=True, slots=True)
class HeldLease:
    name: str
    token: str


def take(name: str, *, holder: str, seconds: float) -> HeldLease | None:
    """Take the lease, or None while somebody else holds it."""
    Lease.objects.get_or_create(name=name)
    token = Lease.objects.filter(name=name).claim(seconds, holder=holder)
    return HeldLease(name, token) if token else None


def renew(held: HeldLease, *, seconds: float) -> bool:
    """Keep the lease longer; False when it is no longer ours."""
    return Lease.objects.filter(name=held.name).renew(held.token, seconds) == 1


def release(held: HeldLease) -> None:
    Lease.objects.filter(name=held.name).release(held.token)


def end(held: HeldLease) -> None:
    """Give the lease back for good: its row goes, too."""
    Lease.objects.filter(name=held.name).held(held.token).delete()


def holder_of(name: str) -> Lease | None:
    """Who holds the lease now, if anybody."""
    return Lease.objects.filter(name=name).taken().first()
