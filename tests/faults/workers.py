"""Worker processes that are killed, and started again."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.processes import Running, environment_for, manage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.emulator import Emulator

# Shorter than in production, in the same proportions: a lease outlasts every call.
QUICK = {
    "LEASE_SECONDS": "5",
    "DAYTONA_READ_TIMEOUT": "3",
    "DAYTONA_HOLD_TIMEOUT": "3",
    "CONVEX_READ_TIMEOUT": "3",
    "CONVEX_RESEND_SECONDS": "20",
    "READ_CACHE_SECONDS": "3",
    "CONVEX_CONNECT_TIMEOUT": "0.5",
    "DAYTONA_CONNECT_TIMEOUT": "0.5",
    "RETRY_BASE_SECONDS": "0.3",
    "INTENT_RETRY_SECONDS": "1",
}


# Python runs this before anything else of a process whose machine's clock is wrong; the database's is not.
SKEWED = """
import os, time
from datetime import timedelta
from django.utils import timezone

seconds, wall, aware = float(os.environ["SKEW"]), time.time, timezone.now
time.time = lambda: wall() + seconds
timezone.now = lambda: aware() + timedelta(seconds=seconds)
print(f"clock ahead by {time.time() - wall():.0f} s", flush=True)
"""


class Workers:
    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.environment = environment
        self.folder = folder
        self.running: list[Running] = []
        self._numbers = itertools.count(1)

    def start(self, *, wait: bool = True, places: int = 200, skew: float = 0.0) -> Running:
        """`skew`: so many seconds is its machine's clock ahead."""
        log = self.folder / f"worker-{next(self._numbers)}.log"
        environment = self.environment | (self._skewed(skew) if skew else {})
        program = Running(manage("run_worker", "--places", str(places)), environment=environment, log=log)
        self.running.append(program)
        if wait:
            program.said("worker_started")
        return program

    def _skewed(self, seconds: float) -> dict[str, str]:
        (self.folder / "sitecustomize.py").write_text(SKEWED)
        return {"PYTHONPATH": str(self.folder), "SKEW": str(seconds)}

    def kill(self, place: int = 0) -> None:
        """SIGKILL: no handler runs, nothing is written any more."""
        self.running.pop(place).kill()

    def kill_all(self) -> None:
        while self.running:
            self.kill()


@contextmanager
def workers(emulator: Emulator, folder: Path, **values: str) -> Iterator[Workers]:
    """Ends with all of them killed."""
    them = Workers(environment_for(emulator, DAYTONA_TARGET="us", **values), folder)
    try:
        yield them
    finally:
        them.kill_all()
