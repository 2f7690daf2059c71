"""Work that a long-running process does again and again in a thread; none of it dies silently."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from django.db import close_old_connections, connections

from project.unusable import why_unusable

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
    tell("loop_failed", error, loop=name, again_in=pause)


def tell(event: str, error: Exception, **about: object) -> None:
    """Log what work failed with: with the traceback, unless it was that the database cannot be used now."""
    if why_unusable(error):
        log.warning(event, error=str(error).strip(), **about)
    else:
        log.error(event, exc_info=error, **about)
