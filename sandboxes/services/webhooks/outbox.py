"""From the feed to deliveries: each event becomes a row for each receiver that is told of it, exactly once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction

from sandboxes.core.codes import Refused
from sandboxes.core.vocabulary import Actor
from sandboxes.models import Delivery, Receiver
from sandboxes.services import feed
from sandboxes.services.rows import one

if TYPE_CHECKING:
    from sandboxes.models import SandboxEvent

EVENTS = 500  # that are looked at together
RECEIVERS = 50  # of one round


def fill() -> int:
    """Make the deliveries of what was committed since; returns how many. What is left is made by the next round."""
    last = feed.number_events().last
    behind = Receiver.objects.of_events().enabled().filter(position__lt=last).order_by("position")
    return sum(_fill(pk) for pk in list(behind.values_list("pk", flat=True)[:RECEIVERS]))


@transaction.atomic
def _fill(receiver_id: str) -> int:
    """The deliveries and the position in one transaction, under the lock of the receiver."""
    rows = (
        Receiver.objects.of_events()
        .enabled()
        .select_related("key")
        .select_for_update(of=("self",), skip_locked=True)
    )
    receiver: Receiver | None = one(rows.filter(pk=receiver_id))
    if receiver is None:  # another worker is at it
        return 0
    page = _read(receiver)
    made = [
        Delivery(receiver=receiver, number=event.seq, stream=_sandbox(event))
        for event in page.events
        if event.seq is not None  # none that was read is
    ]
    if made:
        Delivery.objects.bulk_create(made)
        receiver.deliveries.filter(stream__in={one.stream for one in made}).make_first_due()
    receiver.position = page.cursor
    receiver.save(update_fields=["position"])
    return len(made)


def _read(receiver: Receiver) -> feed.FeedPage:
    assert receiver.key is not None, "it is a receiver of events"
    actor = Actor.service(receiver.key.name, on_behalf_of=receiver.owner or None)
    kinds = receiver.shown_kinds
    try:
        return feed.read_page(actor, after=str(receiver.position), limit=EVENTS, kinds=kinds)
    except Refused:  # it was disabled for longer than events are kept: from the oldest that there is
        return feed.read_page(actor, after="", limit=EVENTS, kinds=kinds)


def _sandbox(event: SandboxEvent) -> str:
    return str(event.sandbox_id or event.data["sandbox"])
