"""Stop or archive idle sandboxes ahead of need, by the rules of capacity, and show the verdict on each."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser, ArgumentTypeError
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError

from sandboxes.core.codes import Refused
from sandboxes.core.ranking import RULES
from sandboxes.management.output import ReadableCommand
from sandboxes.management.tables import table
from sandboxes.providers.daytona.gateway import DaytonaError
from sandboxes.services.evict_ahead import EvictionLine, EvictionOutcome, EvictionRequest, evict_ahead

if TYPE_CHECKING:
    from rich.table import Table

UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class Command(ReadableCommand):
    help = (
        "Stop running sandboxes that were not used for long, least recently used first; they come back when they "
        "are next needed. With --free-disk archive stopped ones instead: a stop frees no disk. "
        "Never touched: those that a stop destroys, protected ones, those with an operation. "
        "Exit codes: 0, or 2 when the room that was asked for could not be made."
    )
    needs_tables = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--idle", type=seconds, help="without use for so long: 90s, 30m, 2h, 1d")
        parser.add_argument("--free-cpu", type=whole, default=0, metavar="VCPU", help="until so many vCPU are free")
        parser.add_argument(
            "--free-memory", type=whole, default=0, metavar="GIB", help="until so many GiB are free"
        )
        parser.add_argument(
            "--free-disk", type=whole, default=0, metavar="GIB",
            help="archive stopped ones until so many GiB of disk are free",
        )  # fmt: skip
        parser.add_argument("--owner", default="", help="only this owner's")
        parser.add_argument("--target", default="", help="only in this region")
        parser.add_argument("--sandbox-class", default="", help="only of this class: container, linux-vm …")
        parser.add_argument("--limit", type=whole, help="so many at most")
        parser.add_argument("--dry-run", action="store_true", help="show the verdicts, change nothing")
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="print the result as one JSON object"
        )

    def handle(self, *, as_json: bool, **options: Any) -> None:
        wanted = EvictionRequest(**{name: options[name] for name in EvictionRequest.__slots__})
        try:
            outcome = evict_ahead(wanted)
        except Refused as error:
            raise CommandError(error.detail) from None
        except DaytonaError as error:
            raise CommandError(f"Daytona cannot be called: {error.message}") from None
        if as_json:
            self.stdout.write(json.dumps(_data(wanted, outcome)))
        else:
            console = self.console()
            if outcome.lines:
                console.print(_table(wanted, outcome.lines))
            console.print(_summary(wanted, outcome), soft_wrap=True)
        if not outcome.enough:
            raise SystemExit(2)


def seconds(text: str) -> float:
    """`90s`, `30m`, `2h`, `1d`; a number alone counts seconds."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no duration; write 90s, 30m, 2h or 1d")
    return float(found[1]) * UNITS[found[2]]


def whole(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d*", text):
        raise ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _data(wanted: EvictionRequest, outcome: EvictionOutcome) -> dict[str, Any]:
    return {
        "dry_run": wanted.dry_run,
        wanted.quota.done: outcome.count,
        "cpu": outcome.cpu,
        "memory_gb": outcome.memory_gb,
        "disk_gb": outcome.disk_gb,
        "enough": outcome.enough,
        "verdicts": [line.verdict.as_data() | {wanted.quota.done: line.evicted} for line in outcome.lines],
    }


def _table(wanted: EvictionRequest, lines: list[EvictionLine]) -> Table:
    sizes = ("GiB of disk",) if wanted.free_disk else ("vCPU", "GiB")
    titles = ("sandbox", "owner", "last used (UTC)", *sizes, "verdict")
    return table(titles, [_row(wanted, line) for line in lines])


def _row(wanted: EvictionRequest, line: EvictionLine) -> tuple[str, ...]:
    one = line.verdict.candidate
    yes = f"{'would be' if wanted.dry_run else 'is'} {wanted.quota.done}"
    verdict = yes if line.evicted else "kept: " + ", ".join(RULES[rule].broken for rule in line.verdict.broken)
    sizes = (one.disk_gb,) if wanted.free_disk else (one.cpu, one.memory_gb)
    return one.name, one.owner, f"{one.last_used_at:%Y-%m-%d %H:%M}", *(str(size) for size in sizes), verdict


def _summary(wanted: EvictionRequest, outcome: EvictionOutcome) -> str:
    done = wanted.quota.done
    verb = f"would be {done}" if wanted.dry_run else f"are being {done}"
    freed = f"{outcome.cpu} vCPU and {outcome.memory_gb} GiB of memory"
    if wanted.free_disk:
        freed = f"{outcome.disk_gb} GiB of disk"
    room = f"{outcome.count} sandboxes {verb}: {freed}."
    return room if outcome.enough else f"{room} That is less than was asked for, and no other may be {done}."
