"""Follow Daytona's events, so that what it does by itself shows at once."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from sandboxes.management.output import ReadableCommand
from sandboxes.models import WorkerHeartbeat
from sandboxes.providers.daytona import events as daytona_events
from sandboxes.services import heartbeat
from sandboxes.services.watch import Watch

if TYPE_CHECKING:
    from types import FrameType


class Command(ReadableCommand):
    help = (
        "Follow Daytona's events until SIGTERM: each makes one look, each new connection a sweep. "
        "Optional: without it, what Daytona does by itself shows with the next sweep. "
        "One follows; a second one stands by for it."
    )
    needs_tables = True

    def is_process(self, options: dict[str, Any]) -> bool:
        return True

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            stream = daytona_events.stream()
        except daytona_events.DaytonaError as error:
            raise CommandError(f"{error.message} See .env.example.") from None
        stop = threading.Event()

        def on_signal(_number: int, _frame: FrameType | None) -> None:
            stop.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
        with heartbeat.beating(WorkerHeartbeat.Role.WATCH, stop=stop):
            Watch(stream, stop=stop).run()
