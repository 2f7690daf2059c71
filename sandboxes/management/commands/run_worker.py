from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import CommandError

from sandboxes.management.output import ReadableCommand
from sandboxes.services.worker import run_until_signal

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(ReadableCommand):
    help = "Run tasks, enqueue what is due and give signs of life, until SIGTERM; a second SIGTERM ends it at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--threads",
            type=int,
            default=4,
            help="tasks at the same time (default: 4); 0 only enqueues what is due",
        )

    def handle(self, *, threads: int, **options: Any) -> None:
        if threads < 0:
            raise CommandError("--threads must be 0 or more.")
        if threads and settings.TASKS["default"]["BACKEND"] != "django_tasks_db.DatabaseBackend":
            raise CommandError("TASKS_BACKEND has its own workers for the tasks; run this one with --threads 0.")
        if not (settings.DAYTONA_API_URL and settings.DAYTONA_API_KEY):
            raise CommandError("A worker needs DAYTONA_API_URL and DAYTONA_API_KEY. See .env.example.")
        run_until_signal(threads=threads)
