"""Being the worker's part that delivers, in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sandboxes import clock
from sandboxes.core.vocabulary import Actor
from sandboxes.models import Delivery, Receiver, ServiceKey
from sandboxes.providers import blocking
from sandboxes.services import keys, webhooks
from sandboxes.services.webhooks import outbox, sending

if TYPE_CHECKING:
    from uuid import UUID

STAFF = Actor.staff("admin")


def key(*, scopes: tuple[str, ...] = ("sandboxes:read", "sandboxes:any")) -> ServiceKey:
    made, _ = keys.create_key(f"agents {uuid4()}", scopes=scopes)
    return made


def register(url: str, *, of: ServiceKey | None = None, **more: Any) -> tuple[Receiver, str]:
    options: dict[str, Any] = {"kinds": [], "actor": STAFF, **more}
    return webhooks.register((of or key()).pk, url=url, **options)


def due() -> list[UUID]:
    rows = Delivery.objects.filter(due_at__lte=clock.now()).order_by("number")
    return list(rows.values_list("pk", flat=True))


def claim(holder: str = "test") -> list[sending.Parcel]:
    """Whatever is due, leased."""
    return sending.claim(due(), holder=holder)


def attempt(parcel: sending.Parcel) -> None:
    sending.finish(parcel, blocking.run(sending.send(parcel)))


def deliver(rounds: int = 100) -> int:
    """Make the deliveries, and send all that is due until nothing is; returns how many attempts that were."""
    attempts = 0
    for _ in range(rounds):
        outbox.fill()
        if not (ids := due()):
            break
        parcels = sending.claim(ids, holder="test")
        for parcel in parcels:
            attempt(parcel)
        attempts += len(parcels)
    return attempts
