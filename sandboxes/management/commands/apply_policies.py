"""Say whom lifecycle policies will touch, or judge now what is due, as workers do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sandboxes.management.output import ReadableCommand
from sandboxes.management.tables import table
from sandboxes.services import audit, policies

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from datetime import datetime

    from rich.table import Table

    from sandboxes.services.policies import PreviewLine


class Command(ReadableCommand):
    help = (
        "Judge the sandboxes whose lifecycle policies are due: announce what a rule will do, and do what was "
        "announced. Workers do so by themselves. --dry-run changes nothing, and says whom a rule stops, archives "
        "or deletes within --hours if nothing changes."
    )
    needs_tables = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="show what is to come, change nothing")
        parser.add_argument("--hours", type=float, default=24.0, help="how far a dry run looks ahead (default: 24)")
        parser.add_argument("--owner", default="", help="show this owner's alone")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object")

    def handle(self, *, dry_run: bool, hours: float, owner: str, as_json: bool, **options: Any) -> None:
        if not dry_run:
            judged = policies.apply_all()
            self.stdout.write(json.dumps({"judged": judged}) if as_json else f"{judged} sandboxes were judged.")
            return
        until = policies.until(hours)
        rows = policies.concerned(audit.COMMAND, until=until, owner=owner)
        lines = policies.preview(list(rows), until=until)
        if as_json:
            self.stdout.write(json.dumps(_data(lines, until)))
            return
        if lines:
            self.console().print(_table(lines))
        self.console().print(f"{len(lines)} within {hours:g} hours, if nothing changes.", soft_wrap=True)


def _data(lines: list[PreviewLine], until: datetime) -> dict[str, Any]:
    return {
        "until": until.isoformat(),
        "results": [
            {
                "sandbox": str(line.sandbox.pk), "name": line.sandbox.display_name, "owner": line.sandbox.owner_id,
                "action": line.due.action, "at": line.due.at.isoformat(), "rule": line.due.rule,
                "scope": line.due.scope, "minutes": line.due.minutes,
            }
            for line in lines
        ],
    }  # fmt: skip


def _table(lines: list[PreviewLine]) -> Table:
    titles = ("at (UTC)", "sandbox", "owner", "what", "by")
    return table(
        titles,
        [
            (
                f"{line.due.at:%Y-%m-%d %H:%M}", line.sandbox.display_name, line.sandbox.owner_id, line.due.action,
                policies.in_words(line.due),
            )
            for line in lines
        ],
    )  # fmt: skip
