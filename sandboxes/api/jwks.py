"""The identity provider's public keys: cached, refreshed gently, kept while the provider is away."""

from __future__ import annotations

import asyncio
import json
import threading
from functools import cache
from typing import Any

import httpx
import jwt
import structlog

from sandboxes import clock
from sandboxes.core.codes import Code, Refused

log = structlog.get_logger(__name__)

DEADLINE_SECONDS = 2.0  # of a whole fetch, however slowly it comes
MOST_BYTES = 262_144
FRESH_SECONDS = 300.0
KEPT_SECONDS = 3600.0
PAUSE_SECONDS = 10.0  # between two fetches, whatever is asked for


class KeySet:
    """The keys of one issuer.

    A set is fresh for 5 minutes. When it cannot be fetched again the last good one serves up to an hour, and
    then nobody gets in. Unknown key ids and failures cause one fetch in 10 s. Whoever begins it waits 2 s for it at
    the most; everybody else goes on at once with the keys that are there, or without any is refused.
    """

    def __init__(self, issuer: str, url: str = "") -> None:
        self._issuer = issuer
        self._url = url
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = -KEPT_SECONDS
        self._tried = -KEPT_SECONDS
        self._fetching = threading.Lock()

    def find(self, kid: str) -> jwt.PyJWK | None:
        """The key of this id, or None for an id the provider does not know.

        Raises:
            Refused: IDENTITY_PROVIDER_UNAVAILABLE when no keys are there to ask.
        """
        if kid not in self._keys or clock.monotonic() - self._fetched > FRESH_SECONDS:
            self._refresh()
        if clock.monotonic() - self._fetched > KEPT_SECONDS:
            raise Refused(Code.IDENTITY_PROVIDER_UNAVAILABLE, retry_after=int(PAUSE_SECONDS))
        return self._keys.get(kid)

    def _refresh(self) -> None:
        if not self._fetching.acquire(blocking=False):
            return
        if clock.monotonic() - self._tried <= PAUSE_SECONDS:
            self._fetching.release()
            return
        # In a thread of its own: looking up the provider's name has no deadline.
        thread = threading.Thread(target=self._fetch, daemon=True, name="jwks")
        thread.start()
        thread.join(DEADLINE_SECONDS)

    def _fetch(self) -> None:
        try:
            self._keys = _parse(asyncio.run(self._load()))
            self._fetched = clock.monotonic()
        except Exception as error:  # the network's, the provider's, a parser's: no keys, whatever it was
            log.warning("jwks_not_fetched", issuer=self._issuer, error=repr(error))
        finally:
            self._tried = clock.monotonic()
            self._fetching.release()

    async def _load(self) -> Any:
        client = httpx.AsyncClient(timeout=DEADLINE_SECONDS, follow_redirects=True)
        async with client, asyncio.timeout(DEADLINE_SECONDS):
            if not self._url:
                found = await _get(client, f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
                self._url = str(found["jwks_uri"])
            return await _get(client, self._url)


async def _get(client: httpx.AsyncClient, url: str) -> Any:
    """The JSON at an address. PyJWT's own client has a timeout for each read, not for the whole, and no limit."""
    async with client.stream("GET", url) as answer:
        answer.raise_for_status()
        content = b""
        async for part in answer.aiter_bytes():
            content += part
            if len(content) > MOST_BYTES:
                raise ValueError(f"the answer is larger than {MOST_BYTES} bytes")
    return json.loads(content)


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
