"""Make a service key and print it, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from sandboxes import clock
from sandboxes.core.codes import Refused
from sandboxes.management.output import ReadableCommand
from sandboxes.models import ServiceKey
from sandboxes.services import keys


class Command(ReadableCommand):
    help = "Make a service key for a program and print it once; only a hash of it is stored."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what the key is for; unique")
        parser.add_argument(
            "--scope",
            action="append",
            required=True,
            choices=ServiceKey.Scope.values,
            dest="scopes",
            help="may be given several times",
        )
        parser.add_argument("--expires-in-days", type=int, help="default: never")
        parser.add_argument(
            "--network",
            action="append",
            default=[],
            dest="networks",
            help="allowed network (10.0.0.0/8); default: any",
        )
        parser.add_argument("--quiet", action="store_true", help="print the key alone, for scripts")

    def handle(self, *args: Any, **options: Any) -> None:
        days = options["expires_in_days"]
        try:
            key, plaintext = keys.create_key(
                options["name"],
                scopes=options["scopes"],
                expires_at=clock.now() + timedelta(days=days) if days is not None else None,
                allowed_networks=options["networks"],
            )
        except Refused as refused:
            raise CommandError(refused.detail) from None
        if options["quiet"]:
            self.stdout.write(plaintext)
            return
        self.stdout.write(f"Key “{key.name}” ({', '.join(key.scopes)}). It is shown this once:")
        self.stdout.write(f"\n  {plaintext}\n")
