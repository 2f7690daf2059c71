"""One request to Convex: sent once, timed, counted, its answer told apart. Used by `convex.py` alone."""

from __future__ import annotations

import base64
import email.utils
import json
import time
import uuid
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import stamina
import structlog

from project.version import NAME, USER_AGENT, VERSION
from sandboxes.providers import counters
from sandboxes.providers.convex.errors import (
    ConvexConflict,
    ConvexError,
    ConvexThrottled,
    ConvexUnavailable,
    of_envelope,
    of_status,
)
from sandboxes.providers.convex.functions import SIGNATURES, Function

if TYPE_CHECKING:
    import ssl

    import httpx

log = structlog.get_logger(__name__)

# Convex means this status for "the function failed", though today it answers 200.
FUNCTION_FAILED = 560
_TRANSIENT = (ConvexUnavailable, ConvexThrottled, ConvexConflict)
_again = stamina.RetryingCaller(attempts=3, timeout=5.0, wait_initial=0.1, wait_max=2.0, wait_jitter=0.4).on(
    _TRANSIENT
)


@dataclass(frozen=True, slots=True)
class Identity:
    """The user as whom a public function is called: what `ctx.auth.getUserIdentity()` answers there."""

    subject: str
    issuer: str

    def encoded(self) -> str:
        whole = {
            "subject": self.subject,
            "issuer": self.issuer,
            "tokenIdentifier": f"{self.issuer}|{self.subject}",
        }
        return base64.b64encode(json.dumps(whole).encode()).decode()


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted, read once a process: reading them takes longer than a call."""
    import httpx

    return httpx.create_ssl_context()


class ConvexWire:
    """The pooled connections of one deploy key. Safe to share between threads."""

    def __init__(
        self, *, url: str, deploy_key: str, connect_timeout: float, read_timeout: float, pool_size: int
    ) -> None:
        import httpx  # here: it costs 5 MB and 0.1 s, and a worker without Convex needs it not

        self._key = deploy_key
        self.clock_skew: float | None = None  # seconds that Convex's clock is ahead of ours, ± 1
        self._client = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(read_timeout, connect=connect_timeout),
            limits=httpx.Limits(max_connections=pool_size, max_keepalive_connections=pool_size),
            headers={
                "Authorization": f"Convex {deploy_key}",
                "Convex-Client": f"{NAME}-{VERSION}",
                "User-Agent": USER_AGENT,
            },
            follow_redirects=False,
            verify=_trusted(),
        )

    def read(self, function: Function, args: dict[str, Any], identity: Identity | None = None) -> Any:
        """Like `send`, for queries: up to three tries within five seconds."""
        return _again(self.send, function, args, identity)

    def send(self, function: Function, args: dict[str, Any], identity: Identity | None = None) -> Any:
        """One request, never repeated. Returns the function's value, else raises a ConvexError.

        With an `identity` the function sees that user, else nobody.
        """
        request_id, started, result = uuid.uuid4().hex, time.monotonic(), "ok"
        try:
            return self._exchange(function, args, request_id, identity)
        except ConvexError as error:
            result = error.code
            raise
        finally:
            seconds = time.monotonic() - started
            counters.record("convex", str(function), result, seconds)
            log.info(
                "call",
                system="convex",
                operation=str(function),
                result=result,
                ms=round(seconds * 1000, 1),
                convex_request_id=request_id,
            )

    def close(self) -> None:
        self._client.close()

    def _exchange(
        self, function: Function, args: dict[str, Any], request_id: str, identity: Identity | None
    ) -> Any:
        import httpx

        # A constant format: Convex looks at it only after a mutation was committed.
        content = json.dumps({"path": function, "args": args, "format": "json"}, allow_nan=False)
        headers = {"Content-Type": "application/json", "Convex-Request-Id": request_id}
        if identity is not None:
            headers["Authorization"] = f"Convex {self._key}:{identity.encoded()}"
        try:
            response = self._client.post(f"/api/{SIGNATURES[function].kind}", content=content, headers=headers)
        except httpx.HTTPError as error:
            # Not chained: the client's frames hold the key, and some loggers print the variables of frames.
            raise _lost(error, request_id) from None
        self._look_at_clock(response)
        return self._value(response, function, request_id)

    def _value(self, response: httpx.Response, function: Function, request_id: str) -> Any:
        body = self._body(response)
        known = {"path": str(function), "request_id": request_id}
        if response.status_code not in (200, FUNCTION_FAILED):
            raise of_status(response.status_code, body, **known)
        status = body.get("status") if body is not None else None
        if body is not None and status == "success" and response.status_code == 200:
            return body.get("value")
        if body is not None and status == "error":
            raise of_envelope(body, status=response.status_code, **known)
        raise of_status(response.status_code, None, **known)

    def _body(self, response: httpx.Response) -> dict[str, Any] | None:
        """The JSON object of an answer, or None. The key is taken out, should anyone echo it."""
        try:
            body = json.loads(response.text.replace(self._key, "***"))
        except (ValueError, RecursionError):
            return None
        return body if isinstance(body, dict) else None

    def _look_at_clock(self, response: httpx.Response) -> None:
        date = email.utils.parsedate_tz(response.headers.get("Date", ""))
        if date is not None:
            # The header is cut to whole seconds, and was written about now.
            self.clock_skew = email.utils.mktime_tz(date) + 0.5 - time.time()


def _lost(error: httpx.HTTPError, request_id: str) -> ConvexUnavailable:
    import httpx

    not_sent = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
    sent = not isinstance(error, not_sent)
    kind = type(error).__name__
    if not sent:
        message = f"Convex cannot be reached ({kind}). Check CONVEX_URL and the network; it will be tried again."
    else:
        message = f"Convex did not answer ({kind}); whether it did the work is unknown."
    return ConvexUnavailable(message, ambiguous=sent, request_id=request_id)
