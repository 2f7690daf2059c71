"""What people and programs do with webhooks: register, change, rotate, replay, delete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from sandboxes import clock
from sandboxes.core.codes import Code, NoticeCode, Refused, invalid
from sandboxes.core.vocabulary import AuditAction, EventKind, Form
from sandboxes.models import Receiver, ServiceKey
from sandboxes.providers.receivers import refusal_of
from sandboxes.services import audit, feed, notices
from sandboxes.services.rows import one
from sandboxes.services.wake import wake
from sandboxes.services.webhooks import secrets

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from django.db.models import QuerySet

    from sandboxes.core.vocabulary import Actor

MOST = 20  # of one key


@dataclass(frozen=True, slots=True)
class ReceiverChanges:
    """What is to be otherwise; None: as it is."""

    url: str | None = None
    kinds: list[str] | None = None
    enabled: bool | None = None


def visible(key_id: int, owner: str | None) -> QuerySet[Receiver]:
    """The webhooks of a key; of one owner alone where the key acts for one."""
    rows = Receiver.objects.filter(key=key_id)
    return rows if owner is None else rows.filter(owner=owner)


def find(rows: QuerySet[Receiver], receiver_id: str) -> Receiver:
    """The webhook of this id among those.

    Raises:
        Refused: WEBHOOK_NOT_FOUND, for an unknown id and for another key's alike.
    """
    row = one(rows.filter(pk=receiver_id))
    if row is None:
        raise Refused(Code.WEBHOOK_NOT_FOUND, f"No webhook {receiver_id}.")
    return row


def register(
    key_id: int, *, url: str, kinds: Iterable[str], actor: Actor, owner: str | None = None
) -> tuple[Receiver, str]:
    """Have an address told of all events from now on; returns it with its secret, which is shown this once.

    Raises:
        Refused: ADDRESS_NOT_ALLOWED, INVALID_REQUEST, WEBHOOK_LIMIT_REACHED.
    """
    secret = secrets.new()
    with transaction.atomic():
        key = ServiceKey.objects.select_for_update().get(pk=key_id)
        if key.revoked_at is not None:
            raise invalid("key", "The key is revoked.")
        if not owner and ServiceKey.Scope.ANY not in key.scopes:
            raise Refused(Code.OWNER_REQUIRED)
        if key.receivers.count() >= MOST:
            raise Refused(Code.WEBHOOK_LIMIT_REACHED, f"The key has {MOST} webhooks.", limit=MOST)
        row = Receiver.objects.create(
            key=key,
            owner=owner or "",
            url=_allowed(url),
            kinds=_valid_kinds(kinds),
            position=feed.number_events().last,
            secret=secrets.seal(secret),
            created_at=clock.now(),
            created_by=str(actor),
        )
        audit.write(AuditAction.WEBHOOK_CREATED, actor=actor, about=row, owner=row.owner, after=_shown(row))
    return row, secret


def register_for_notices(form: Form, *, address: str, codes: Iterable[str], actor: Actor) -> tuple[Receiver, str]:
    """Have staff told of notices that open and that are over; the secret is empty where nothing is signed.

    Raises:
        Refused: ADDRESS_NOT_ALLOWED, INVALID_REQUEST, WEBHOOK_LIMIT_REACHED.
    """
    secret = secrets.new() if form == Form.WEBHOOK else ""
    with transaction.atomic():
        if Receiver.objects.of_notices().count() >= MOST:
            raise Refused(Code.WEBHOOK_LIMIT_REACHED, f"{MOST} receivers are told of notices.", limit=MOST)
        row = Receiver.objects.create(
            form=form,
            url=_mailbox(address) if form == Form.MAIL else _allowed(address),
            kinds=_valid_codes(codes),
            secret=secrets.seal(secret) if secret else "",
            created_at=clock.now(),
            created_by=str(actor),
        )
        audit.write(AuditAction.WEBHOOK_CREATED, actor=actor, about=row, after=_shown(row))
    return row, secret


def change(receiver_id: str, changes: ReceiverChanges, *, actor: Actor) -> Receiver:
    """Change its address or event types; or enable it, which goes on where it was disabled, or disable it.

    Raises:
        Refused: ADDRESS_NOT_ALLOWED, INVALID_REQUEST.
    """
    with transaction.atomic():
        row = _locked(receiver_id)
        before = _shown(row)
        if changes.url is not None:
            row.url = _allowed(changes.url)
        if changes.kinds is not None:
            row.kinds = _valid_kinds(changes.kinds)
        if changes.enabled is True and row.disabled_at is not None:
            _enable(row)
        if changes.enabled is False and row.disabled_at is None:
            _disable_for(row, f"{actor} disabled it.")
        row.save()
        _audit_change(row, before, actor)
    wake()
    return row


def rotate(receiver_id: str, *, actor: Actor) -> tuple[Receiver, str]:
    """A new secret, shown this once; the former one signs beside it for a day.

    Raises:
        Refused: INVALID_REQUEST where nothing is signed.
    """
    secret = secrets.new()
    with transaction.atomic():
        row = _locked(receiver_id)
        if row.form != Form.WEBHOOK:
            raise Refused(Code.INVALID_REQUEST, "What is sent to it is not signed: it has no secret.")
        row.former_secret, row.former_until = row.secret, clock.now() + secrets.OVERLAP
        row.secret = secrets.seal(secret)
        row.save(update_fields=["secret", "former_secret", "former_until"])
        after = {"secret": "rotated", "former_until": row.former_until}
        audit.write(AuditAction.WEBHOOK_CHANGED, actor=actor, about=row, owner=row.owner, after=after)
    return row, secret


def delete(receiver_id: str, *, actor: Actor) -> None:
    """With all that it was still to be told."""
    with transaction.atomic():
        row = _locked(receiver_id)
        audit.write(AuditAction.WEBHOOK_DELETED, actor=actor, about=row, owner=row.owner, before=_shown(row))
        row.delete()


def replay(receiver_id: str, ids: Iterable[UUID] | None = None, *, actor: Actor) -> int:
    """Deliver dead ones once more, these or all, with the ids that they had; returns how many.

    They do not wait for others of their sandbox: what came after them was delivered long ago.
    """
    with transaction.atomic():
        row = _locked(receiver_id)
        dead = row.deliveries.dead()
        if ids is not None:
            dead = dead.filter(pk__in=list(ids))
        due_at = None if row.disabled_at else clock.present()
        replayed: int = dead.update(died_at=None, attempt=0, first_at=None, due_at=due_at)
        if replayed:
            audit.write(
                AuditAction.WEBHOOK_CHANGED, actor=actor, about=row, owner=row.owner, after={"replayed": replayed}
            )
    wake()
    return replayed


def disable_those_of(key: ServiceKey, reason: str) -> None:
    """Nothing more is sent for this key."""
    for row in Receiver.objects.enabled().filter(key=key).order_by("pk").select_for_update():
        _disable_for(row, reason)
        row.save(update_fields=["disabled_at", "disabled_reason", "failing_since"])


def review() -> None:
    """Tell staff while there are webhooks that were disabled because they could not be sent to."""
    failed = Receiver.objects.filter(disabled_at__isnull=False, failing_since__isnull=False).select_related("key")
    found = [f"{row} ({_whose(row)}): {row.disabled_reason}" for row in failed.order_by("disabled_at")[:5]]
    if found:
        notices.tell(NoticeCode.WEBHOOK_DISABLED, " ".join(["Webhooks were disabled.", *found]))
    else:
        notices.close(NoticeCode.WEBHOOK_DISABLED)


def disable(row: Receiver, reason: str) -> None:
    """Send nothing more to it, and forget nothing. The row is locked, and saved by the caller."""
    row.disabled_at, row.disabled_reason = clock.now(), reason[:500]
    row.deliveries.pending().update(due_at=None)


def _disable_for(row: Receiver, reason: str) -> None:
    """Somebody wanted it: it is no failure of the receiver's."""
    disable(row, reason)
    row.failing_since = None


def _enable(row: Receiver) -> None:
    if row.key is not None and row.key.revoked_at is not None:
        raise invalid("enabled", "Its key is revoked.")
    row.disabled_at, row.disabled_reason, row.failing_since = None, "", None
    row.deliveries.make_first_due()


def _locked(receiver_id: str) -> Receiver:
    row: Receiver | None = one(Receiver.objects.select_for_update().filter(pk=receiver_id))
    if row is None:  # deleted a moment ago
        raise Refused(Code.WEBHOOK_NOT_FOUND, f"No webhook {receiver_id}.")
    return row


def _audit_change(row: Receiver, before: dict[str, Any], actor: Actor) -> None:
    after = {name: value for name, value in _shown(row).items() if value != before[name]}
    if after:
        was = {name: before[name] for name in after}
        audit.write(AuditAction.WEBHOOK_CHANGED, actor=actor, about=row, owner=row.owner, before=was, after=after)


def _shown(row: Receiver) -> dict[str, Any]:
    return {"address": str(row), "types": row.kinds, "enabled": row.disabled_at is None, "for": _whose(row)}


def _whose(row: Receiver) -> str:
    return f"the key “{row.key}”" if row.key is not None else f"notices, as {row.get_form_display().lower()}"


def _allowed(url: str) -> str:
    refusal = refusal_of(url)
    if refusal:
        raise Refused(
            Code.ADDRESS_NOT_ALLOWED, refusal, errors=[{"field": "url", "message": refusal, "code": "invalid"}]
        )
    return url


def _mailbox(address: str) -> str:
    try:
        validate_email(address)
    except ValidationError:
        raise Refused(Code.ADDRESS_NOT_ALLOWED, "It is no mail address.") from None
    if not settings.EMAIL_HOST:
        raise Refused(Code.ADDRESS_NOT_ALLOWED, "There is no mail server: the operator sets EMAIL_HOST.")
    return f"mailto:{address}"


def _valid_codes(codes: Iterable[str]) -> list[str]:
    wanted = sorted(set(codes))
    unknown = [code for code in wanted if code not in NoticeCode.__members__.values()]
    if unknown:
        raise invalid("codes", f"There are no such notices: {', '.join(unknown)}.")
    return wanted


def _valid_kinds(kinds: Iterable[str]) -> list[str]:
    wanted = sorted(set(kinds))
    unknown = [kind for kind in wanted if kind not in EventKind.for_programs()]
    if unknown:
        known = ", ".join(EventKind.for_programs())
        raise invalid("types", f"Event types are {known}; got {', '.join(unknown)}.")
    return wanted
