"""Daytona's Socket.IO stream of sandbox events (recording 20_socketio_events). Nothing else knows its format.

An event is a hint, never the truth: events get lost, come in any order, and are not replayed after a reconnect.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog
from django.conf import settings

from sandboxes.providers.daytona.errors import DaytonaError, NotConfigured, Unauthorized, Unknown
from sandboxes.providers.daytona.rows import UnreadableBody, sandbox_from
from sandboxes.providers.messages import said

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from socketio import Client

log = structlog.get_logger(__name__)

SANDBOX = "sandbox."
TEXT_LIMIT = 500
LOOK_EVERY = 0.2  # seconds between two looks at the connection and the stop


@dataclass(frozen=True, slots=True)
class Event:
    """What the stream says of a sandbox; `state` as a GET shows it. `sandkeeper_id` is its label, or ""."""

    daytona_id: str
    state: str
    desired_state: str
    sandkeeper_id: str = ""

    @property
    def is_end(self) -> bool:
        return "destroyed" in (self.state, self.desired_state)


class EventStream:
    """One connection after another with one API key; every sandbox of its organisation comes by."""

    def __init__(self, *, api_url: str, api_key: str, timeout: float) -> None:
        parts = urlsplit(api_url)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._path = f"{parts.path.rstrip('/')}/socket.io/"
        self._api_key = api_key
        self._timeout = timeout

    def follow(
        self,
        on_event: Callable[[Event], None],
        *,
        stop: threading.Event,
        on_connect: Callable[[], None] = lambda: None,
    ) -> None:
        """Connect and hand over events until the connection is lost or `stop` is set. Blocks.

        `on_event` is called from a thread for each event, in no certain order, and may be just after the end.

        Raises:
            Unauthorized: the key was refused.
            Unknown: no connection could be made.
        """
        client = self._client()
        client.on("*", lambda name, *data: _hand_over(on_event, name, data[0] if data else None))
        self._connect(client)
        try:
            on_connect()
            while client.connected and not stop.wait(LOOK_EVERY):
                pass
        finally:
            # Waits for none of the client's threads: engineio may empty the queue that tells its writer of the
            # end, which then notices 30 s later only.
            client.eio.disconnect(abort=True)

    def _client(self) -> Client:
        from socketio import Client

        # Without its own `request_timeout` it gives a handshake up after 5 s.
        return Client(
            reconnection=False, handle_sigint=False, logger=False, engineio_logger=False,
            request_timeout=self._timeout,
        )  # fmt: skip

    def _connect(self, client: Any) -> None:
        from socketio.exceptions import ConnectionError as NotConnected

        refusals: list[object] = []
        client.on("connect_error", lambda *why: refusals.extend(why))
        try:
            client.connect(
                self._origin,
                socketio_path=self._path,
                auth={"token": self._api_key},
                transports=["websocket"],
                wait_timeout=self._timeout,
            )
        except NotConnected as error:
            message = f"events: {error}".replace(self._api_key, "***")
            # Below Socket.IO the cause is the transport's; above it the server has said no.
            if error.__cause__ is None and refusals:
                raise Unauthorized(message, retry_after=settings.DAYTONA_UNAUTHORIZED_PAUSE) from None
            raise Unknown(message, sent=False) from None


def stream() -> EventStream:
    """The stream that the settings name. Raises NotConfigured."""
    if not settings.DAYTONA_API_URL or not settings.DAYTONA_API_KEY:
        raise NotConfigured("DAYTONA_API_URL and DAYTONA_API_KEY are not set.")
    return EventStream(
        api_url=settings.DAYTONA_API_URL,
        api_key=settings.DAYTONA_API_KEY,
        timeout=settings.DAYTONA_CONNECT_TIMEOUT + settings.DAYTONA_READ_TIMEOUT,
    )


def _hand_over(on_event: Callable[[Event], None], name: str, data: object) -> None:
    """What comes over the wire must not end the stream, whatever it is."""
    if not name.startswith(SANDBOX):
        return
    try:
        event = read_event(data)
    except UnreadableBody as error:
        log.warning("event_malformed", event_name=name, why=str(error), text=_text(data))
        return
    on_event(event)


def read_event(data: object) -> Event:
    """`{sandbox, oldState, newState}`, `{sandbox, oldDesiredState, newDesiredState}` or the sandbox itself.

    Raises UnreadableBody.
    """
    inside = data.get("sandbox", data) if isinstance(data, dict) else data
    sandbox = sandbox_from(inside)
    if not sandbox.state:
        raise UnreadableBody("a sandbox without a state")
    return Event(sandbox.id, sandbox.state, sandbox.desired_state, sandbox.labels.get("sandkeeper_id", ""))


def _text(data: object) -> str:
    """The event for the log, without the environment variables of the sandbox, which may be secrets."""
    try:
        text = json.dumps(_without_env(data), ensure_ascii=False, default=repr)
    except (TypeError, ValueError, RecursionError):
        text = f"({type(data).__name__})"
    return said(text, TEXT_LIMIT)


def _without_env(data: object) -> object:
    if isinstance(data, dict):
        return {name: "…" if name == "env" else _without_env(value) for name, value in data.items()}
    return [_without_env(value) for value in data] if isinstance(data, list) else data


__all__ = ["DaytonaError", "Event", "EventStream", "read_event", "stream"]
