"""Deliveries that are due: claimed, sent, and what came of it written down."""

from __future__ import annotations

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
from sandboxes.core.vocabulary import Form
from sandboxes.models import Delivery, Notice, Receiver, SandboxEvent
from sandboxes.providers import mail, receivers
from sandboxes.services.rows import one
from sandboxes.services.webhooks import secrets
from sandboxes.services.webhooks.contents import Content, of_event, of_notice
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
    form: str
    url: str
    content: Content
    secrets: tuple[str, ...]


def claim(ids: Sequence[UUID], *, holder: str) -> list[Parcel]:
    """Lease those of the deliveries that nobody holds; they are due again when the lease ends, should we die."""
    token, seconds = f"{holder}:{uuid4().hex}"[:40], _lease_seconds()
    until = clock.present(plus=timedelta(seconds=seconds))
    due = Delivery.objects.pending().free().filter(pk__in=ids, due_at__lte=clock.present())
    with transaction.atomic():
        # Without waiting: two workers that claim the same rows cannot wait for each other.
        ours = list(due.select_for_update(skip_locked=True, no_key=True).values_list("pk", flat=True))
        if not ours or Delivery.objects.filter(pk__in=ours).claim(seconds, token=token, due_at=until) is None:
            return []
    held = list(Delivery.objects.filter(pk__in=ids).held(token).select_related("receiver__key"))
    contents = _contents(held)
    now = clock.now()
    packed = [_pack(row, contents.get(row.pk), token, now) for row in held]
    return [parcel for parcel in packed if parcel is not None]


def _contents(rows: Sequence[Delivery]) -> dict[UUID, Content]:
    """What each of them tells; without those whose event or notice is not kept any more."""
    of_events = [row for row in rows if row.receiver.key_id is not None]
    of_notices = [row for row in rows if row.receiver.key_id is None]
    events = SandboxEvent.objects.in_bulk([row.number for row in of_events], field_name="seq") if of_events else {}
    notices = Notice.objects.in_bulk([row.notice_id for row in of_notices]) if of_notices else {}
    told = {row.pk: of_event(events[row.number]) for row in of_events if row.number in events}
    return told | {
        row.pk: of_notice(notices[row.notice_id], closed=row.is_closing)
        for row in of_notices
        if row.notice_id in notices
    }


def _lease_seconds() -> float:
    """Longer than an attempt may take, with as much again to write down what came of it."""
    return float(settings.LEASE_SECONDS + settings.WEBHOOK_TIMEOUT)


def _pack(row: Delivery, content: Content | None, token: str, now: datetime) -> Parcel | None:
    """None where there is nothing to send: the delivery is ended, or its receiver disabled."""
    receiver: Receiver = row.receiver
    if content is None:  # erased with its owner, or too old to be kept
        _end_unsent(row.pk, receiver.pk, token)
        return None
    key = receiver.key
    if key is not None and key.expires_at is not None and key.expires_at <= now:
        _end_unsent(row.pk, receiver.pk, token, disable_for="Its key is expired.")
        return None
    try:
        signing = secrets.in_force(receiver, now)
    except secrets.Unreadable:
        _end_unsent(row.pk, receiver.pk, token, disable_for=LOST_PEPPER)
        return None
    return Parcel(row.pk, token, receiver.pk, row.message, receiver.form, receiver.url, content, tuple(signing))


async def send(parcel: Parcel) -> Reply:
    """One attempt; each has a time and signatures of its own, and all of a delivery the same id."""
    content = parcel.content
    if parcel.form == Form.MAIL:
        return await mail.send(
            parcel.url.removeprefix("mailto:"), subject=content.subject, text=content.text, message=parcel.message
        )
    if parcel.form == Form.SLACK:
        return await receivers.post(parcel.url, body=content.slack, headers={}, message=parcel.message)
    at = int(clock.here().timestamp())
    headers = signature.headers(parcel.secrets, message=parcel.message, at=at, body=content.json)
    return await receivers.post(parcel.url, body=content.json, headers=headers, message=parcel.message)


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
