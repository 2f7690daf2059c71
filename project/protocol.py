"""HTTP/1.1 on a connection: uvicorn's, with a deadline for a whole request, and refusals as problems."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any

import h11
import structlog
from django.conf import settings
from uvicorn.protocols.http.h11_impl import H11Protocol

from project import refusals
from sandboxes.core.codes import Code

if TYPE_CHECKING:
    import asyncio

log = structlog.get_logger(__name__)

UNREAD_SECONDS = 60  # that an answer may wait for a client which takes none of it
CODES = {431: Code.HEAD_TOO_LARGE}


class Protocol(H11Protocol):
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if hasattr(socket, "TCP_USER_TIMEOUT") and connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_SECONDS * 1000)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deadline is None:
            self._arm()
        super().data_received(data)
        if self.conn.their_state is not h11.SEND_BODY and not self._has_begun():
            self._disarm()

    def _has_begun(self) -> bool:
        """Whether a part of a head is here, and not the whole."""
        return self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])

    def _arm(self) -> None:
        self._deadline = self.loop.call_later(settings.REQUEST_SECONDS, self._too_late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        began = self._has_begun() or self.conn.our_state is h11.SEND_RESPONSE
        if began and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._refuse(Code.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        error: Any = sys.exception()  # what uvicorn caught: h11 knows which kind of bad it is
        status = getattr(error, "error_status_hint", 400)
        log.info("request_not_understood", status=status, error=str(error))
        self._refuse(CODES.get(status, Code.INVALID_REQUEST))

    def _refuse(self, code: Code) -> None:
        self._disarm()
        status, headers, body = refusals.answer(code)
        raw = [*headers, ("Connection", "close")]
        for event in (
            h11.Response(status_code=status, headers=raw, reason=status.phrase),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
