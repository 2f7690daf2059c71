"""Compare Daytona with our rows and heal what differs: once, or every so many seconds."""

from __future__ import annotations

import json
import signal
import sys
import threading
from argparse import ArgumentParser
from types import FrameType
from typing import IO, Any, cast

import structlog
from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import close_old_connections
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from sandboxes.management.tables import table
from sandboxes.models import Sandbox
from sandboxes.services import reconcile
from sandboxes.services.reconcile import Finding, Kind, Options, SweepResult

log = structlog.get_logger(__name__)

EXIT_TAKEN = 3
SHOWN = 50  # findings in the table
HEALED = (Kind.ADOPTED, Kind.DRIFT, Kind.GONE, Kind.REVIVED)


class Command(BaseCommand):
    help = (
        "Compare Daytona with our rows and heal what differs. Exit codes: 0 clean or healed, 2 a dry run found "
        "something or --verify-convex a difference, 3 partial: Daytona did not show all, too much was missing, or "
        "another sweep is under way."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--owner", default="", help="only the sandboxes of this owner")
        parser.add_argument("--dry-run", action="store_true", help="look and report, change nothing")
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="print the result as one JSON object"
        )
        parser.add_argument("--every", type=float, metavar="SECONDS", help="go on until SIGTERM, with this pause")
        parser.add_argument("--adopt", action="store_true", help="make rows of sandboxes with an owner and no row")
        parser.add_argument(
            "--enforce-intent", action="store_true", help="stop again what was stopped and somebody else started"
        )
        parser.add_argument("--verify-convex", action="store_true", help="compare Convex's rows with ours, repair")
        parser.add_argument(
            "--restored", action="store_true", help="the database was a backup: do not carry out what was in flight"
        )
        parser.add_argument("--force", action="store_true", help="believe a list that lacks very many sandboxes")

    def handle(self, *, as_json: bool, every: float | None, **options: Any) -> None:
        if every is not None and every <= 0:
            raise CommandError("--every takes a number of seconds above 0.")
        if every is not None and options["restored"]:
            raise CommandError("--restored is for one sweep: later ones would end what was asked for since.")
        wanted = Options(**{name: options[name] for name in Options.__slots__})
        self._as_json = as_json
        self._stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        if every is None:
            sys.exit(self._once(wanted))
        while not self._stop.is_set():
            self._once_of_many(wanted)
            self._stop.wait(every)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stop.set()

    def _once_of_many(self, options: Options) -> None:
        """What one sweep raises is logged, and ends nothing: a database that is away for a while, for one."""
        close_old_connections()
        try:
            self._once(options)
        except Exception:
            log.exception("sweep_failed")

    def _once(self, options: Options) -> int:
        try:
            result = self._swept(options)
        except reconcile.Taken as taken:
            self.stderr.write(f"Nothing was swept: {taken}. Only one sweep runs at a time.")
            return EXIT_TAKEN
        if self._as_json:
            self.stdout.write(json.dumps(result.as_data()))
        elif self.stdout.isatty():
            _show(_console(self.stdout), result)
        else:
            self.stdout.write(_line(result))
        return result.exit_code

    def _swept(self, options: Options) -> SweepResult:
        if self._as_json or not self.stdout.isatty():
            return reconcile.sweep(options, stop=self._stop)
        columns = (TextColumn("Daytona's list"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=_console(self.stdout), transient=True) as progress:
            bar = progress.add_task("", total=Sandbox.objects.filter(deleted_at=None).count())
            return reconcile.sweep(
                options, stop=self._stop, progress=lambda shown: progress.update(bar, completed=shown)
            )


def _console(stdout: OutputWrapper) -> Console:
    return Console(file=cast("IO[str]", stdout))


def _line(result: SweepResult) -> str:
    """One line for a log."""
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in result.report.counts.items() if count)
    dry = " (dry run)" if result.options.dry_run else ""
    detail = f": {result.detail}" if result.detail else ""
    return f"sweep {result.result}{dry} in {result.seconds:.1f} s{detail}; {counts or 'nothing listed'}"


def _show(console: Console, result: SweepResult) -> None:
    if result.report.findings:
        console.print(_table(result))
    console.print(_line(result), markup=False, highlight=False)


def _table(result: SweepResult) -> Table:
    # What is left to do comes first, what was healed last.
    findings = sorted(result.report.findings, key=lambda finding: finding.kind in HEALED)
    more = f"first {SHOWN} of {len(findings)}" if len(findings) > SHOWN else None
    return table(("what", "sandbox", "owner", "in words"), map(_row, findings[:SHOWN]), caption=more)


def _row(finding: Finding) -> tuple[str, ...]:
    which = f"{finding.name} {finding.daytona_id}".strip()
    return finding.kind.value.replace("_", " "), which, finding.owner, finding.text
