from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError

from sandboxes.management.output import ReadableCommand
from sandboxes.models import WorkerHeartbeat
from sandboxes.services import heartbeat

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(ReadableCommand):
    help = (
        "Say whether a process of this machine or container lives, by its heartbeat, for probes. Exit code 1 when "
        "it has been silent for WORKER_SILENT_SECONDS. A database that is away ends no process: then the code is 0."
    )
    requires_system_checks = []  # what runs already has been checked

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("role", choices=WorkerHeartbeat.Role.values)
        parser.add_argument("--anywhere", action="store_true", help="on whatever machine")

    def handle(self, *, role: str, anywhere: bool, **options: Any) -> None:
        host = socket.gethostname()
        where = "on any machine" if anywhere else f"on {host}"
        try:
            living = heartbeat.alive(WorkerHeartbeat.Role(role))
            number = (living if anywhere else living.filter(host=host)).count()
        except DatabaseError:
            self.stderr.write("The database does not answer, so nobody knows.")
            return
        if not number:
            self.stderr.write(f"No {role} has given a sign of life {where}.")
            sys.exit(1)
        self.stdout.write(f"{number} alive {where}.")
