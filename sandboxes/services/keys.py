"""Service keys: `sandkeeper_<prefix>_<secret>`. We keep the prefix and an HMAC, never the secret."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DatabaseError, transaction

from project.networks import lies_in
from project.readable import UnreadableText, checked
from project.unusable import Unusable, why_unusable
from sandboxes import clock
from sandboxes.core.codes import Code, Refused, invalid
from sandboxes.core.vocabulary import Actor, AuditAction
from sandboxes.models import ServiceKey
from sandboxes.services import audit, webhooks
from sandboxes.services.rows import one

if TYPE_CHECKING:
    from collections.abc import Iterable

START = "sandkeeper_"
LAST_USED_EVERY = timedelta(minutes=1)


def create_key(
    name: str,
    *,
    scopes: Iterable[str],
    actor: Actor = audit.COMMAND,
    expires_at: datetime | None = None,
    allowed_networks: Iterable[str] = (),
) -> tuple[ServiceKey, str]:
    """Make a key and return it with its plaintext, which is shown this once and stored nowhere.

    Raises:
        Refused: INVALID_REQUEST for an unknown scope, a malformed network, or a name that is taken
            or that nobody can read.
    """
    prefix = secrets.token_hex(6)
    plaintext = f"{START}{prefix}_{secrets.token_urlsafe(32)}"
    key = ServiceKey(
        name=_valid_name(name),
        prefix=prefix,
        digest=_digest(plaintext, settings.SERVICE_KEY_PEPPERS[0]),
        scopes=_valid_scopes(scopes),
        allowed_networks=_valid_networks(allowed_networks),
        created_by=actor.id,
        expires_at=expires_at,
    )
    with transaction.atomic():
        key.save(force_insert=True)
        after = {"scopes": key.scopes, "allowed_networks": key.allowed_networks, "expires_at": key.expires_at}
        audit.write(AuditAction.KEY_CREATED, actor=actor, about=key, after=after)
    return key, plaintext


def authenticate(plaintext: str, *, address: str) -> ServiceKey:
    """The key of this plaintext, used from this IP address.

    One SELECT; at most once a minute also an UPDATE.

    Raises:
        Refused: INVALID_TOKEN (unknown, wrong, revoked or expired: never says which), NETWORK_NOT_ALLOWED.
    """
    prefix = plaintext.removeprefix(START).partition("_")[0]
    key = one(ServiceKey.objects.annotate(present=clock.present()).filter(prefix=prefix[:20]))
    if key is None or not _signed(plaintext, key.digest) or not _in_force(key, key.present):
        raise Refused(Code.INVALID_TOKEN, "The service key is unknown, revoked or expired.")
    if not _allowed(key, address):
        raise Refused(Code.NETWORK_NOT_ALLOWED, f"The key may not be used from {address or 'this address'}.")
    if key.last_used_at is None or key.present - key.last_used_at > LAST_USED_EVERY:
        _note_use(key, plaintext, now=key.present)
    return key


def _note_use(key: ServiceKey, plaintext: str, *, now: datetime) -> None:
    """Write `last_used_at`, and sign with the first pepper again: once all were used, an old pepper can be dropped.

    A database that takes no changes still answers who reads.
    """
    digest = _digest(plaintext, settings.SERVICE_KEY_PEPPERS[0])
    try:
        ServiceKey.objects.filter(pk=key.pk).update(last_used_at=now, digest=digest)
    except DatabaseError as error:
        if why_unusable(error) is not Unusable.READ_ONLY:
            raise


def revoke(key: ServiceKey, *, actor: Actor) -> bool:
    """End a key for good; False when it was revoked before."""
    now = clock.now()
    with transaction.atomic():
        valid = ServiceKey.objects.filter(pk=key.pk, revoked_at=None)
        is_new = valid.update(revoked_at=now, revoked_by=actor.id) == 1
        if is_new:
            webhooks.disable_those_of(key, "Its key was revoked.")
            audit.write(AuditAction.KEY_REVOKED, actor=actor, about=key, before={"last_used_at": key.last_used_at})
    return is_new


def _digest(plaintext: str, pepper: str) -> str:
    return hmac.new(pepper.encode(), plaintext.encode(), hashlib.sha256).hexdigest()


def _signed(plaintext: str, digest: str) -> bool:
    return any(hmac.compare_digest(_digest(plaintext, pepper), digest) for pepper in settings.SERVICE_KEY_PEPPERS)


def _in_force(key: ServiceKey, now: datetime) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > now)


def _allowed(key: ServiceKey, address: str) -> bool:
    return not key.allowed_networks or lies_in(address, key.allowed_networks)


def _valid_name(name: str) -> str:
    try:
        name = checked(name)
    except UnreadableText as error:
        raise invalid("name", str(error)) from None
    if ServiceKey.objects.filter(name__iexact=name).exists():
        raise Refused(Code.INVALID_REQUEST, f"There is a key named “{name}” already.")
    return name


def _valid_scopes(scopes: Iterable[str]) -> list[str]:
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in ServiceKey.Scope.values]
    if unknown or not wanted:
        known = ", ".join(ServiceKey.Scope.values)
        raise Refused(
            Code.INVALID_REQUEST, f"A key needs scopes out of {known}; got {', '.join(wanted) or 'none'}."
        )
    return wanted


def _valid_networks(networks: Iterable[str]) -> list[str]:
    valid = []
    for network in networks:
        try:
            valid.append(str(ipaddress.ip_network(network, strict=False)))
        except ValueError:
            raise Refused(Code.INVALID_REQUEST, f"“{network}” is not a network such as 10.0.0.0/8.") from None
    return valid
