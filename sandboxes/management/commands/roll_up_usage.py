"""Write the usage of each hour anew, from the events and operations that are kept."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError

from sandboxes.core.codes import Refused
from sandboxes.management.output import ReadableCommand
from sandboxes.services import usage_roll_up


class Command(ReadableCommand):
    help = (
        "Roll up what sandboxes used, hour by hour, from their events and operations. Sweeps do so every five "
        "minutes for what is new; this restores hours that are missing or wrong. It may be repeated at will."
    )
    needs_tables = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--since", type=moment, metavar="TIME", help="from this hour on (UTC): 2026-05-01 or 2026-05-01T12:00"
        )
        parser.add_argument("--json", action="store_true", dest="as_json", help="print a JSON object")

    def handle(self, *, since: datetime | None, as_json: bool, **options: Any) -> None:
        try:
            done = usage_roll_up.roll_up(since or usage_roll_up.earliest())
        except Refused as error:
            raise CommandError(error.detail) from None
        except usage_roll_up.RollUpUnderWay as taken:
            raise CommandError(f"Nothing was rolled up: {taken}.") from None
        if as_json:
            times = {"since": done.since.isoformat(), "until": done.until.isoformat()}
            self.stdout.write(json.dumps({**times, "numbers": done.numbers}))
        else:
            hours = f"{done.since:%Y-%m-%d %H:%M} to {done.until:%Y-%m-%d %H:%M} UTC"
            self.stdout.write(f"Rolled up from {hours}: {done.numbers} numbers.")


def moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time; write 2026-05-01 or 2026-05-01T12:00") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
