from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from sandboxes.management.output import ReadableCommand

NAME = PASSWORD = "admin"  # noqa: S105 - refused unless DEBUG=1


class Command(ReadableCommand):
    help = "Create the staff user admin with the password admin, on a development machine (DEBUG=1) alone."

    def handle(self, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("A user with a known password is made with DEBUG=1 alone; use createsuperuser.")
        users = get_user_model()._default_manager
        if not users.filter(username=NAME).exists():
            users.create_superuser(NAME, "", PASSWORD)
        self.stdout.write(f"Log in as {NAME} with the password {PASSWORD} (development only, because DEBUG=1).")
