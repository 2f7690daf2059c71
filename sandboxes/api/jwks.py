"""The identity provider's public keys: cached, refreshed gently, kept while the provider is away."""

from __future__ import annotations

import threading
import time
from functools import cache
from typing import Any

import httpx
import jwt
import structlog

from sandboxes.codes import Code, Refused

log = structlog.get_logger(__name__)

TIMEOUT = httpx.Timeout(3.0, connect=2.0)
FRESH_SECONDS = 300.0
KEPT_SECONDS = 3600.0
PAUSE_SECONDS = 10.0  # between two fetches, whatever is asked for


class KeySet:
    """The keys of one issuer.

    A set is fresh for 5 minutes. When it cannot be fetched again the last good one serves up to an hour, and
    then nobody gets in. Unknown key ids and failures cause one fetch in 10 s, made by one thread: the others
    go on with what there is.
    """

    def __init__(self, issuer: str, url: str = "") -> None:
        self._issuer = issuer
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = -KEPT_SECONDS
        self._tried = -KEPT_SECONDS
        self._lock = threading.Lock()

    def find(self, kid: str) -> jwt.PyJWK | None:
        """The key of this id, or None for an id the provider does not know.

        Raises:
            Refused: IDENTITY_PROVIDER_UNAVAILABLE when no keys are there to ask.
        """
        if kid not in self._keys or time.monotonic() - self._fetched > FRESH_SECONDS:
            self._refresh()
        if time.monotonic() - self._fetched > KEPT_SECONDS:
            raise Refused(Code.IDENTITY_PROVIDER_UNAVAILABLE, retry_after=int(PAUSE_SECONDS))
        return self._keys.get(kid)

    def _refresh(self) -> None:
        # Whoever comes first without any key waits for the fetch, and so do the others: they have nothing else.
        if not self._lock.acquire(blocking=not self._keys):
            return
        try:
            if time.monotonic() - self._tried > PAUSE_SECONDS:
                self._fetch()
        finally:
            self._lock.release()

    def _fetch(self) -> None:
        try:
            self._keys = _parse(self._get(self._find_url()))
            self._fetched = time.monotonic()
        except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
            log.warning("jwks_not_fetched", issuer=self._issuer, error=repr(error))
        finally:
            self._tried = time.monotonic()

    def _find_url(self) -> str:
        if not self._url:
            found = self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            self._url = str(found["jwks_uri"])
        return self._url

    def _get(self, url: str) -> Any:
        answer = httpx.get(url, timeout=TIMEOUT, follow_redirects=True)
        answer.raise_for_status()
        return answer.json()


def _parse(document: Any) -> dict[str, jwt.PyJWK]:
    """The keys we can use; one of a kind we do not know spoils nothing."""
    found = {}
    for entry in document["keys"]:
        if entry.get("kty") not in ("RSA", "EC"):
            continue
        try:
            found[str(entry["kid"])] = jwt.PyJWK(entry, algorithm=entry.get("alg"))
        except (jwt.PyJWTError, KeyError):
            continue
    if not found:
        raise ValueError("the provider's key set holds no usable key")
    return found


@cache
def key_set(issuer: str, url: str) -> KeySet:
    """One set per process and provider."""
    return KeySet(issuer, url)
