"""Signatures by the convention of Standard Webhooks: https://www.standardwebhooks.com."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

START = "whsec_"


def secret_of(key: bytes) -> str:
    """A key as receivers are given it."""
    return START + base64.b64encode(key).decode()


def headers(secrets: Iterable[str], *, message: str, at: int, body: bytes) -> dict[str, str]:
    """What says of a body who sent it and when; signed with each of the secrets.

    Args:
        at: seconds since 1970. Receivers refuse what is older than some minutes, so each attempt has its own.
    """
    return {
        "webhook-id": message,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(_sign(secret, message, at, body) for secret in secrets),
    }


def _sign(secret: str, message: str, at: int, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(START))
    signed = hmac.new(key, f"{message}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"
