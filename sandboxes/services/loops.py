"""Work that a long-running process does again and again in a thread; none of it dies silently."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from django.db import DatabaseError, InterfaceError, close_old_connections, connections

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

log = structlog.get_logger(__name__)

RESTART_MAX = 5.0


def repeat(name: str, step: Callable[[], object], *, every: float, stop: threading.Event) -> None:
    """Run `step` until `stop` is set; what it raises is logged, and it runs again after a growing pause."""
    failures = 0
    while not stop.is_set():
        pause = every
        try:
            close_old_connections()
            step()
            failures = 0
        except Exception as error:
            failures += 1
            pause = pause_after(failures)
            tell_failure(name, error, pause)
        stop.wait(pause)
    connections.close_all()


def pause_after(failures: int) -> float:
    """Seconds: a step longer with each failure in a row. A database may be away for days."""
    return min(RESTART_MAX, float(failures))


def tell_failure(name: str, error: Exception, pause: float) -> None:
    if isinstance(error, DatabaseError | InterfaceError):  # the database is away: no need for a traceback
        log.warning("loop_failed", loop=name, error=str(error).strip(), again_in=pause)
    else:
        log.error("loop_failed", loop=name, again_in=pause, exc_info=error)
