"""A mail server on this machine, which keeps what it took and refuses what it is told to."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

from aiosmtpd.controller import Controller

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage


@dataclass
class MailServer:
    """Its answers to DATA, `reply`, are SMTP's: 250 takes it, 4xx and 5xx do not."""

    port: int = 0
    reply: str = "250 OK"
    took: list[EmailMessage] = field(default_factory=list)
    tries: int = 0

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's
        self.tries += 1
        if self.reply.startswith("250"):
            self.took.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.reply


class _OnAnyPort(Controller):
    def _trigger_server(self) -> None:
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server() -> Iterator[MailServer]:
    state = MailServer()
    controller = _OnAnyPort(state, hostname="127.0.0.1", port=0)
    controller.start()
    state.port = controller.port
    try:
        yield state
    finally:
        controller.stop()
