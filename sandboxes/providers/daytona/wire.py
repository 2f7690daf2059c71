"""One request to Daytona: sent once, timed, counted, its answer told apart. Used by `gateway.py` alone."""

from __future__ import annotations

import asyncio
import random
import time
from copy import copy
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import structlog

from project.version import USER_AGENT
from sandboxes.providers import counters
from sandboxes.providers.daytona.errors import (
    DaytonaError,
    NotConfigured,
    RateLimited,
    Unauthorized,
    Unknown,
    classify,
)
from sandboxes.providers.daytona.methods import METHODS, buckets_of
from sandboxes.providers.daytona.throttle import Resting, Shared, limits_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daytona_api_client_async import ApiClient, SandboxApi

    from sandboxes.providers.daytona.connections import Answer, Connections

log = structlog.get_logger(__name__)

LONGEST_REQUEST_ID = 100


def _at_once(error: Unknown) -> bool:
    """Whether a read is worth another try right now.

    It is after a lost connection (such as a pooled one that the server was just closing) and after a proxy
    in front that reached no server.
    """
    return error.dropped or error.status in (502, 504)


# Seconds before another try of a read, about; the deadline of the call ends them all.
AGAIN_AFTER = (0.02, 0.04)


class DaytonaWire:
    """The connections of one API key, and what Daytona asked this process to leave alone.

    `read_timeout` and `hold_timeout` are the seconds of a whole call, from the connection to the end of the answer.
    """

    def __init__(
        self,
        *,
        api_url: str,
        api_key: str,
        connect_timeout: float,
        read_timeout: float,
        hold_timeout: float,
        unauthorized_pause: float,
    ) -> None:
        self._key = _usable(api_key)
        self._read_timeout, self._hold_timeout = read_timeout, hold_timeout
        self.resting = Resting(unauthorized_pause=unauthorized_pause)
        self._shared: tuple[Shared, asyncio.AbstractEventLoop] | None = None
        self._api, self._connections = _connect(api_url, self._key, connect_timeout)

    async def read(self, operation: str, *arguments: object, **options: object) -> bytes:
        """Like `send`, for calls that change nothing: up to three tries where one at once may help."""
        deadline = self._deadline(operation)
        for pause in AGAIN_AFTER:
            try:
                return await self._send(operation, deadline, arguments, options)
            except Unknown as error:
                if not _at_once(error):
                    raise
            await asyncio.sleep(pause + random.uniform(0, 0.05))
        return await self._send(operation, deadline, arguments, options)

    async def send(self, operation: str, *arguments: object, **options: object) -> bytes:
        """One request, never repeated. Returns the body of a 2xx answer, else raises a DaytonaError."""
        return await self._send(operation, self._deadline(operation), arguments, options)

    def share(self, shared: Shared) -> None:
        """What other processes know of the same Daytona counts for the calls of the running event loop."""
        self._shared = shared, asyncio.get_running_loop()

    async def close(self) -> None:
        await self._connections.close()

    def drop(self) -> None:
        self._connections.drop()

    def _deadline(self, operation: str) -> float:
        return time.monotonic() + (self._hold_timeout if METHODS[operation].is_held else self._read_timeout)

    async def _send(
        self, operation: str, deadline: float, arguments: tuple[object, ...], options: Mapping[str, Any]
    ) -> bytes:
        if (shared := self._shared_here()) is not None:
            await shared.enter(buckets_of(operation))
        self._let_pass(operation)
        result, started = "broken", time.monotonic()
        try:
            body = await self._exchange(operation, deadline - started, arguments, options)
            result = "ok"
        except DaytonaError as error:
            result = _result(error)
            self._take_to_heart(error)
            raise
        except asyncio.CancelledError:
            result = "cancelled"
            raise
        finally:
            seconds = time.monotonic() - started
            counters.record("daytona", operation, result, seconds)
            log.info("call", system="daytona", operation=operation, result=result, ms=round(seconds * 1000, 1))
        return body

    async def _exchange(
        self, operation: str, seconds: float, arguments: tuple[object, ...], options: Mapping[str, Any]
    ) -> bytes:
        answer = await self._ask(operation, seconds, arguments, options)
        if isinstance(answer, Unknown):
            raise answer
        if answer.status != 429 and (shared := self._shared_here()) is not None:  # a 429 carries no limits
            for limit in limits_in(answer.headers, operation):
                shared.answered(*limit)
        if 200 <= answer.status < 300:
            self._accept()
            return answer.body
        raise classify(operation, answer.status, answer.headers, answer.body)

    async def _ask(
        self, operation: str, seconds: float, arguments: tuple[object, ...], options: Mapping[str, Any]
    ) -> Answer | Unknown:
        """The answer without the key. Nothing is raised here: a traceback would have what came over the wire."""
        # Without pydantic's look at our own arguments, which costs as much as the rest of the SDK's part.
        method = getattr(type(self._api), f"{METHODS[operation].name}_without_preload_content").raw_function
        answer: Answer | Unknown = await method(
            self._api, *arguments, **options, _request_timeout=max(seconds, 0.001), _headers=_request_headers()
        )
        if isinstance(answer, Unknown):
            return self._lost(operation, answer)
        return replace(answer, body=self._without_key(answer.body))

    def _let_pass(self, operation: str) -> None:
        """Raise at once what Daytona would answer, while it is to be left alone."""
        error = self._held_back(operation)
        if error is not None:
            counters.record("daytona", operation, "held_back", 0.0)
            raise error

    def _held_back(self, operation: str) -> RateLimited | Unauthorized | None:
        seconds, bucket = self.resting.throttled(operation)
        if seconds > 0:
            message = f"Daytona asked for a pause ({bucket}): no such call for another {seconds:.0f} s"
            return RateLimited(message, retry_after=seconds, bucket=bucket)
        seconds = self.resting.refused()
        if seconds > 0:
            message = f"Daytona refused the API key: no call for another {seconds:.0f} s"
            return Unauthorized(message, retry_after=seconds)
        return None

    def _take_to_heart(self, error: DaytonaError) -> None:
        shared = self._shared_here()
        if isinstance(error, RateLimited):
            self.resting.throttle(error.bucket, error.retry_after)
            if shared is not None:
                shared.throttled(error.bucket, error.retry_after)
        elif isinstance(error, Unauthorized):
            error.retry_after = self.resting.refuse()
            if shared is not None:
                shared.refused(error.retry_after)
        elif error.outcome_known and error.status is not None:
            self._accept()

    def _accept(self) -> None:
        self.resting.accept()
        if (shared := self._shared_here()) is not None:
            shared.accepted()

    def _shared_here(self) -> Shared | None:
        if self._shared is None or self._shared[1] is not asyncio.get_running_loop():
            return None
        return self._shared[0]

    def _lost(self, operation: str, lost: Unknown) -> Unknown:
        words = " ".join(self._without_key(lost.message.encode(errors="replace")).decode().split())
        return Unknown(f"{operation}: {words[:300]}", sent=lost.sent, dropped=lost.dropped)

    def _without_key(self, text: bytes) -> bytes:
        """Proxies like to quote the request that they refuse."""
        return text.replace(self._key.encode(), b"***")


def _usable(api_key: str) -> str:
    """Refused here, because the HTTP library quotes the whole key when it cannot send it."""
    key = api_key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise NotConfigured(
            "The Daytona API key is empty or has characters that no HTTP header can carry. "
            "Copy it again from Daytona's dashboard into DAYTONA_API_KEY."
        )
    return key


def _connect(api_url: str, api_key: str, connect_timeout: float) -> tuple[SandboxApi, Connections]:
    # Imported here: it costs 0.3 s and 38 MB that web and most commands need not pay.
    from daytona_api_client_async import SandboxApi

    from sandboxes.providers.daytona.connections import Connections

    client = copy(_client(api_url, api_key))
    connections = Connections(ssl_context=client.rest_client.ssl_context, connect_timeout=connect_timeout)
    client.rest_client = connections  # type: ignore[assignment]
    return SandboxApi(client), connections


@lru_cache(maxsize=4)
def _client(api_url: str, api_key: str) -> ApiClient:
    """Made once: it reads all certificates that are trusted, which takes longer than a hundred calls."""
    from daytona_api_client_async import ApiClient, Configuration

    client = ApiClient(Configuration(host=api_url, access_token=api_key))
    client.user_agent = USER_AGENT
    return client


def _request_headers() -> dict[str, str]:
    """The id of the request that the caller has bound, so that Daytona's log can be found by it."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if not isinstance(request_id, str) or not 0 < len(request_id) <= LONGEST_REQUEST_ID:
        return {}
    return {"X-Request-Id": request_id} if request_id.isascii() and request_id.isprintable() else {}


def _result(error: DaytonaError) -> str:
    """The error's class as a metric's label, such as `rate_limited`."""
    name = type(error).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
