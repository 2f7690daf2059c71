"""The secrets with which deliveries are signed: shown once, kept sealed, for a worker has to read them."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings

from sandboxes.core.signature import secret_of

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.fernet import MultiFernet

    from sandboxes.models import Receiver

OVERLAP = timedelta(days=1)  # in which the former secret signs beside the new one


class Unreadable(Exception):
    """None of SERVICE_KEY_PEPPERS opens it."""


def new() -> str:
    return secret_of(secrets.token_bytes(32))


def seal(secret: str) -> str:
    """As it is stored: encrypted with the first of SERVICE_KEY_PEPPERS."""
    return _box().encrypt(secret.encode()).decode()


def in_force(receiver: Receiver, now: datetime) -> list[str]:
    """Those that sign now, the newest first.

    Raises:
        Unreadable: the pepper of its time was taken out of the settings.
    """
    sealed = [receiver.secret] if receiver.secret else []
    if receiver.former_until is not None and receiver.former_until > now:
        sealed.append(receiver.former_secret)
    return [_open(one) for one in sealed]


def _open(sealed: str) -> str:
    from cryptography.fernet import InvalidToken

    try:
        return _box().decrypt(sealed).decode()
    except InvalidToken:
        raise Unreadable from None


def _box() -> MultiFernet:
    from cryptography.fernet import Fernet, MultiFernet  # here: it takes a while to load, and few processes need it

    digests = [
        hashlib.sha256(b"webhook secrets:" + pepper.encode()).digest() for pepper in settings.SERVICE_KEY_PEPPERS
    ]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
