"""One of several processes works and the others stand by, by a named lease."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress

import structlog
from django.db import DatabaseError, InterfaceError, connections

from sandboxes.services import leases
from sandboxes.services.loops import repeat

log = structlog.get_logger(__name__)

LEASE_SECONDS = 30.0  # so long after a process was killed a spare takes over
RENEW_SECONDS = 5.0  # a spare asks as often


class StandbyTurn:
    """Whose turn it is. `keep` blocks; the two events say what it found, and one of them is always set.

    While the database is away nobody can take over, and whoever has the turn goes on: two at once do no harm.
    """

    def __init__(self, name: str) -> None:
        self.ours = threading.Event()
        self.over = threading.Event()
        self.over.set()
        self._name = name
        self._held: leases.HeldLease | None = None

    def keep(self, *, stop: threading.Event) -> None:
        """Take the turn as soon as nobody has it, and keep it until `stop` is set; then give it back."""
        repeat(f"turn of {self._name}", self._step, every=RENEW_SECONDS, stop=stop)
        self._lose()
        if self._held is not None:
            with suppress(DatabaseError, InterfaceError):  # it then runs out
                leases.release(self._held)
            connections.close_all()

    def _step(self) -> None:
        if self._held is not None and leases.renew(self._held, seconds=LEASE_SECONDS):
            return
        holder = f"{socket.gethostname()}, process {os.getpid()}"
        self._held = leases.take(self._name, holder=holder, seconds=LEASE_SECONDS)
        if self._held is None:
            self._lose()
        elif not self.ours.is_set():
            log.info("turn_taken", turn=self._name)
            self.over.clear()
            self.ours.set()

    def _lose(self) -> None:
        if self.ours.is_set():
            log.info("turn_over", turn=self._name)
        self.ours.clear()
        self.over.set()
