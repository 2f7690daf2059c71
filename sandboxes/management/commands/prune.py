"""Delete what is past its retention, or everything about one owner."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from sandboxes.core.codes import Refused
from sandboxes.management.output import ReadableCommand
from sandboxes.services import audit, erasure, prune

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(ReadableCommand):
    help = (
        "Delete finished operations and jobs, events, tombstones, kept answers, notices and sweeps past their "
        "retention (RETAIN_…_DAYS). The sweep does so once a day. --owner erases an owner whose sandboxes are gone."
    )
    needs_tables = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--owner", help="erase this owner instead; refused while a sandbox of theirs exists")
        parser.add_argument("--dry-run", action="store_true", help="count, delete nothing")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print the counts as a JSON object")

    def handle(self, *, owner: str | None, dry_run: bool, as_json: bool, **options: Any) -> None:
        try:
            counts = (
                erasure.erase_owner(owner, actor=audit.COMMAND, dry_run=dry_run)
                if owner
                else prune.prune(dry_run=dry_run)
            )
        except Refused as error:
            raise CommandError(error.detail) from None
        if as_json:
            self.stdout.write(json.dumps(counts))
            return
        went = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing"
        self.stdout.write(f"Would delete {went}." if dry_run else f"Deleted {went}.")
