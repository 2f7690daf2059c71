"""One request to Daytona: sent once, timed, counted, its answer told apart. Used by `daytona.py` alone."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import stamina
import urllib3.exceptions

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
from sandboxes.providers.daytona.throttle import Resting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daytona_api_client import SandboxApi

logger = logging.getLogger(__name__)

# What our operations are called in the client package.
METHODS = {
    "get": "get_sandbox",
    "list_page": "list_sandboxes",
    "create": "create_sandbox",
    "start": "start_sandbox",
    "stop": "stop_sandbox",
    "archive": "archive_sandbox",
    "delete": "delete_sandbox",
    "recover": "recover_sandbox",
    "replace_labels": "replace_labels",
    "keep_alive": "update_last_activity",
    "set_auto_stop": "set_autostop_interval",
    "set_auto_archive": "set_auto_archive_interval",
    "set_auto_delete": "set_auto_delete_interval",
}
_NOT_SENT = (urllib3.exceptions.ConnectTimeoutError, urllib3.exceptions.LocationValueError)
_DROPPED = (urllib3.exceptions.ProtocolError, OSError)


def _at_once(error: Exception) -> bool:
    """Whether a read is worth another try right now.

    It is after a lost connection (such as a pooled one that the server was just closing) and after a proxy
    in front that reached no server.
    """
    return isinstance(error, Unknown) and (error.dropped or error.status in (502, 504))


_again = stamina.RetryingCaller(attempts=3, timeout=5.0, wait_initial=0.02, wait_max=0.2, wait_jitter=0.05).on(
    _at_once
)


class Wire:
    """The pooled connections of one API key, and what Daytona asked this process to leave alone."""

    def __init__(
        self,
        *,
        api_url: str,
        api_key: str,
        timeout: tuple[float, float],
        pool_size: int,
        unauthorized_pause: float,
    ) -> None:
        self._key = _usable(api_key)
        self._timeout = timeout
        self._resting = Resting(unauthorized_pause=unauthorized_pause)
        self._api = _connect(api_url, self._key, pool_size)

    def read(self, operation: str, *arguments: object, **options: object) -> bytes:
        """Like `send`, for calls that change nothing: up to three tries where one at once may help."""
        return _again(self.send, operation, *arguments, **options)

    def send(self, operation: str, *arguments: object, **options: object) -> bytes:
        """One request, never repeated. Returns the body of a 2xx answer, else raises a DaytonaError."""
        self._let_pass(operation)
        result, started = "ok", time.monotonic()
        try:
            return self._exchange(operation, arguments, options)
        except DaytonaError as error:
            result = _result(error)
            self._take_to_heart(error)
            raise
        finally:
            seconds = time.monotonic() - started
            counters.record("daytona", operation, result, seconds)
            logger.debug("daytona %s: %s after %.3f s", operation, result, seconds)

    def close(self) -> None:
        self._api.api_client.rest_client.pool_manager.clear()

    def _exchange(self, operation: str, arguments: tuple[object, ...], options: Mapping[str, Any]) -> bytes:
        from daytona_api_client.exceptions import ApiException

        method = getattr(self._api, f"{METHODS[operation]}_without_preload_content")
        try:
            answer = method(*arguments, **options, _request_timeout=self._timeout)
            body = self._without_key(answer.data)
        except (urllib3.exceptions.HTTPError, ApiException, OSError) as error:
            # Not chained: the client's frames hold the key, and some loggers print the variables of frames.
            raise self._lost(operation, error) from None
        if 200 <= answer.status < 300:
            self._resting.accept()
            return body
        raise classify(operation, answer.status, answer.headers, body)

    def _let_pass(self, operation: str) -> None:
        """Raise at once what Daytona would answer, while it is to be left alone."""
        error = self._held_back(operation)
        if error is not None:
            counters.record("daytona", operation, "held_back", 0.0)
            raise error

    def _held_back(self, operation: str) -> RateLimited | Unauthorized | None:
        seconds, bucket = self._resting.throttled(operation)
        if seconds > 0:
            message = f"Daytona asked for a pause ({bucket}): no such call for another {seconds:.0f} s"
            return RateLimited(message, retry_after=seconds, bucket=bucket)
        seconds = self._resting.refused()
        if seconds > 0:
            message = f"Daytona refused the API key: no call for another {seconds:.0f} s"
            return Unauthorized(message, retry_after=seconds)
        return None

    def _take_to_heart(self, error: DaytonaError) -> None:
        if isinstance(error, RateLimited):
            self._resting.throttle(error.bucket, error.retry_after)
        elif isinstance(error, Unauthorized):
            error.retry_after = self._resting.refuse()
        elif error.outcome_known and error.status is not None:
            self._resting.accept()

    def _lost(self, operation: str, error: Exception) -> Unknown:
        sent = not isinstance(error, _NOT_SENT)
        dropped = sent and isinstance(error, _DROPPED)
        words = " ".join(self._without_key(f"{type(error).__name__}: {error}".encode()).decode().split())
        return Unknown(f"{operation}: {words[:300]}", sent=sent, dropped=dropped)

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


def _connect(api_url: str, api_key: str, pool_size: int) -> SandboxApi:
    # Imported here: it costs 0.3 s and 38 MB that web and most commands need not pay.
    from daytona_api_client import ApiClient, Configuration, SandboxApi

    configuration = Configuration(
        host=api_url, access_token=api_key, retries=False, connection_pool_maxsize=pool_size
    )
    client = ApiClient(configuration)
    client.user_agent = USER_AGENT
    return SandboxApi(client)


def _result(error: DaytonaError) -> str:
    """The error's class as a metric's label, such as `rate_limited`."""
    name = type(error).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
