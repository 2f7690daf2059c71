"""Deliveries that are due: claimed, sent, and what came of it written down."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import transaction

from project.readable import cut
from sandboxes import clock
from sandboxes.core import signature
from sandboxes.core.deliveries import Patience, Reply, judge
from sandboxes.models import Delivery, Receiver, SandboxEvent
from sandboxes.providers import receivers
from sandboxes.services import feed
from sandboxes.services.rows import one
from sandboxes.services.webhooks import secrets
from sandboxes.services.webhooks.registering import disable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

log = structlog.get_logger(__name__)
LOST_PEPPER = "Its secret cannot be read: SERVICE_KEY_PEPPERS has changed. Rotate it, and enable it again."


@dataclass(frozen=True, slots=True)
class Parcel:
    """One delivery under our lease, with all that sending it needs. `owner`: the receiver, who takes turns."""

    delivery: UUID
    token: str
    owner: str
    message: str
    url: str
    body: bytes
    secrets: tuple[str, ...]


def claim(ids: Sequence[UUID], *, holder: str) -> list[Parcel]:
    """Lease those of the deliveries that nobody holds; they are due again when the lease ends, should we die."""
    token, seconds = f"{holder}:{uuid4().hex}"[:40], _lease_seconds()
    until = clock.present(plus=timedelta(seconds=seconds))
    rows = Delivery.objects.pending().filter(pk__in=ids, due_at__lte=clock.present())
    if rows.claim(seconds, token=token, due_at=until) is None:
        return []
    held = list(Delivery.objects.filter(pk__in=ids).held(token).select_related("receiver__key"))
    events = SandboxEvent.objects.in_bulk([row.number for row in held], field_name="seq")
    now = clock.now()
    packed = [_pack(row, events.get(row.number), token, now) for row in held]
    return [parcel for parcel in packed if parcel is not None]


def _lease_seconds() -> float:
    """Longer than an attempt may take, with as much again to write down what came of it."""
    return float(settings.LEASE_SECONDS + settings.WEBHOOK_TIMEOUT)


def _pack(row: Delivery, event: SandboxEvent | None, token: str, now: datetime) -> Parcel | None:
    """None where there is nothing to send: the delivery is ended, or its receiver disabled."""
    receiver: Receiver = row.receiver
    if event is None:  # erased with its owner, or too old to be kept
        _end_unsent(row.pk, receiver.pk, token)
        return None
    if receiver.key.expires_at is not None and receiver.key.expires_at <= now:
        _end_unsent(row.pk, receiver.pk, token, disable_for="Its key is expired.")
        return None
    try:
        keys = secrets.in_force(receiver, now)
    except secrets.Unreadable:
        _end_unsent(row.pk, receiver.pk, token, disable_for=LOST_PEPPER)
        return None
    return Parcel(row.pk, token, receiver.pk, row.message, receiver.url, _body(event), tuple(keys))


def _body(event: SandboxEvent) -> bytes:
    """The event as the feed shows it to programs, in the envelope of Standard Webhooks."""
    shown = feed.shown(event, for_staff=False)
    whole = {"type": shown["type"], "timestamp": shown["at"], "data": shown}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


async def send(parcel: Parcel) -> Reply:
    """One attempt; each has a time and signatures of its own, and all of a delivery the same id."""
    at = int(clock.here().timestamp())
    headers = signature.headers(parcel.secrets, message=parcel.message, at=at, body=parcel.body)
    return await receivers.post(parcel.url, body=parcel.body, headers=headers)


@transaction.atomic
def finish(parcel: Parcel, reply: Reply) -> None:
    """Write down what came of an attempt; the next one of the sandbox is due when this one is over."""
    receiver, row = _held(parcel.delivery, parcel.owner, parcel.token)
    if receiver is None or row is None:  # deleted meanwhile, or our lease ran out and another has it
        return
    now = clock.now()
    receiver.failing_since = None if reply.is_success else receiver.failing_since or now
    first_at = row.first_at or now
    verdict = judge(
        reply,
        attempt=row.attempt,
        age=(now - first_at).total_seconds(),
        failing_for=(now - (receiver.failing_since or now)).total_seconds(),
        patience=Patience(settings.WEBHOOK_RETRY_SECONDS, settings.WEBHOOK_DISABLE_SECONDS),
        jitter=random.random(),
    )
    if reply.is_success:
        row.delete()
    else:
        row.first_at, row.attempt, row.error = first_at, row.attempt + 1, cut(reply.error, 500)
        row.lease_token, row.lease_until = "", None
        row.died_at = now if verdict.is_dead else None
        row.due_at = None if verdict.again_in is None else now + timedelta(seconds=verdict.again_in)
        row.save()
    _go_on(receiver, row, disable_for=verdict.disable)


def _go_on(receiver: Receiver, row: Delivery, *, disable_for: str = "") -> None:
    if disable_for and receiver.disabled_at is None:
        disable(receiver, disable_for)
        log.warning("webhook_disabled", webhook=receiver.pk, reason=disable_for)
    receiver.save(update_fields=["failing_since", "disabled_at", "disabled_reason"])
    if receiver.disabled_at is None:
        receiver.deliveries.filter(stream=row.stream).make_first_due()
    else:
        receiver.deliveries.filter(pk=row.pk).update(due_at=None)


@transaction.atomic
def _end_unsent(delivery: UUID, receiver_id: str, token: str, *, disable_for: str = "") -> None:
    receiver, row = _held(delivery, receiver_id, token)
    if receiver is None or row is None:
        return
    if disable_for:
        receiver.failing_since = receiver.failing_since or clock.now()
        receiver.deliveries.filter(pk=row.pk).release(token)
    else:
        row.delete()
    _go_on(receiver, row, disable_for=disable_for)


def _held(delivery: UUID, receiver_id: str, token: str) -> tuple[Receiver | None, Delivery | None]:
    """The receiver, locked before its deliveries as by everybody, and the delivery if it is still ours."""
    receiver = one(Receiver.objects.select_for_update().filter(pk=receiver_id))
    return receiver, one(Delivery.objects.filter(pk=delivery).held(token))
