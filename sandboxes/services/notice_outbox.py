"""From notices to deliveries: each receiver of notices is told when one opens, and when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes.models import Delivery, Notice, Receiver
from sandboxes.services.wake import wake

if TYPE_CHECKING:
    from collections.abc import Sequence


def add(notices: Sequence[Notice], *, closed: bool) -> None:
    """Have them told, in the transaction that opened or closed them."""
    receivers = list(Receiver.objects.of_notices().enabled().order_by("pk").select_for_update())
    made = [
        Delivery(receiver=receiver, number=Delivery.number_of(notice.pk, closed=closed), stream=notice.code)
        for receiver in receivers
        for notice in notices
        if not receiver.kinds or notice.code in receiver.kinds
    ]
    if made:
        Delivery.objects.bulk_create(made)
        streams = {one.stream for one in made}
        Delivery.objects.filter(receiver__in=receivers, stream__in=streams).make_first_due()
        wake()
