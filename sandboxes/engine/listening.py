"""Hearing of rows that became due, on a connection of its own. Without it a worker polls, four times a second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import psycopg
import structlog
from django.conf import settings
from django.db import connection

from project.database import conninfo
from sandboxes.services.wake import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)
AGAIN_AFTER = 5.0  # seconds, when the connection was lost
DJANGO_ONLY = ("context", "cursor_factory", "prepare_threshold")


async def listen(heard: Callable[[], object]) -> None:
    """Call `heard` for every wake-up, for ever; returns at once where the database, or its pooler, has none."""
    if connection.vendor != "postgresql":
        return
    if connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS") and not settings.DATABASE_DIRECT_URL:
        log.info("not_listening", error="a pooler passes no wake-ups on; set DATABASE_DIRECT_URL")
        return
    parameters = _parameters()
    while True:
        try:
            await _listen(parameters, heard)
        except psycopg.Error as error:
            log.info("not_listening", error=str(error).strip().splitlines()[:1])
        await asyncio.sleep(AGAIN_AFTER)


async def _listen(parameters: dict[str, Any], heard: Callable[[], object]) -> None:
    async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as direct:
        await direct.execute(f"LISTEN {CHANNEL}")
        heard()  # what became due before
        async for _ in direct.notifies():
            heard()


def _parameters() -> dict[str, Any]:
    """Those of Django's connections, or of DATABASE_DIRECT_URL: a pooler in between passes no wake-up on."""
    if settings.DATABASE_DIRECT_URL:
        return {"conninfo": conninfo(settings.DATABASE_DIRECT_URL)}
    return {name: value for name, value in connection.get_connection_params().items() if name not in DJANGO_ONLY}
