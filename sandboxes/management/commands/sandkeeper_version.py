from __future__ import annotations

from typing import Any

from project.version import VERSION
from sandboxes.management.output import ReadableCommand


class Command(ReadableCommand):
    help = "Print the version of Sandkeeper; `version` prints Django's."
    requires_system_checks = []  # also where something is configured wrong

    def handle(self, **options: Any) -> None:
        self.stdout.write(VERSION)
