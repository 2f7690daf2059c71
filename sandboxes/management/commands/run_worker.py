from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import CommandError

from sandboxes.engine.worker import PLACES, run_until_signal
from sandboxes.management.output import ReadableCommand

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(ReadableCommand):
    help = "Run what is due and give signs of life, until SIGTERM; a second SIGTERM ends it at once."
    needs_tables = True

    def is_process(self, options: dict[str, Any]) -> bool:
        return True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--places",
            type=int,
            default=PLACES,
            help=f"sandboxes of people's requests that are in progress at the same time (default: {PLACES})",
        )

    def handle(self, *, places: int, **options: Any) -> None:
        if places < 1:
            raise CommandError("--places must be 1 or more.")
        if not (settings.DAYTONA_API_URL and settings.DAYTONA_API_KEY):
            raise CommandError("A worker needs DAYTONA_API_URL and DAYTONA_API_KEY. See .env.example.")
        run_until_signal(places=places)
