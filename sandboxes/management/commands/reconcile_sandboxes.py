"""Compare Daytona with our rows and heal what differs: once, or every so many seconds."""

from __future__ import annotations

import json
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from django.conf import settings
from django.core.management.base import CommandError
from django.db import close_old_connections
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from project.readable import visible
from sandboxes.management.output import ReadableCommand
from sandboxes.management.tables import table
from sandboxes.models import Sandbox, Sweep, WorkerHeartbeat
from sandboxes.services import heartbeat, reconcile
from sandboxes.services.reconcile import FindingKind, Options, SweepFinding, SweepResult
from sandboxes.services.reconcile.changes import System, in_words

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Callable, Iterator
    from types import FrameType

    from rich.console import Console
    from rich.table import Table

log = structlog.get_logger(__name__)

EXIT_TAKEN = 3
SHOWN = 50  # findings in the table
HEALED = (FindingKind.ADOPTED, FindingKind.DRIFT, FindingKind.GONE, FindingKind.REVIVED)


class Command(ReadableCommand):
    audited = ("adopt", "adopt_unlisted", "delete_unlisted", "enforce_intent", "restored", "force")
    help = (
        "Compare Daytona with our rows and heal what differs. Exit codes: 0 clean or healed, 2 a dry run found "
        "something or --verify-convex a difference, 3 partial: Daytona did not show all, too much was missing, or "
        "another sweep is under way."
    )
    needs_tables = True

    def is_process(self, options: dict[str, Any]) -> bool:
        return options["every"] is not None

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--owner", default="", help="only the sandboxes of this owner")
        parser.add_argument("--dry-run", action="store_true", help="look and report, change nothing")
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="print the result as one JSON object"
        )
        parser.add_argument("--every", type=float, metavar="SECONDS", help="go on until SIGTERM, with this pause")
        parser.add_argument("--adopt", action="store_true", help="make rows of sandboxes with an owner and no row")
        unlisted = parser.add_mutually_exclusive_group()
        unlisted.add_argument(
            "--adopt-unlisted", action="store_true", help="with --adopt: also those that Convex does not list"
        )
        unlisted.add_argument(
            "--delete-unlisted",
            action="store_true",
            help="with --adopt: delete in Daytona those that Convex does not list; asks first",
        )
        parser.add_argument(
            "--confirm", type=int, metavar="COUNT", help="answer --delete-unlisted: so many are to be deleted"
        )
        parser.add_argument(
            "--changes", metavar="FILE", help="write each change of an import there, one JSON object a line"
        )
        parser.add_argument(
            "--enforce-intent", action="store_true", help="stop again what was stopped and somebody else started"
        )
        parser.add_argument("--verify-convex", action="store_true", help="compare Convex's rows with ours, repair")
        parser.add_argument(
            "--restored", action="store_true", help="the database was a backup: do not carry out what was in flight"
        )
        parser.add_argument("--force", action="store_true", help="believe a list that lacks very many sandboxes")

    def handle(self, *, as_json: bool, every: float | None, **options: Any) -> None:
        _refuse_misfits(every, options)
        wanted = Options(**{name: options[name] for name in Options.__slots__ if name != "delete_unlisted"})
        self._as_json = as_json
        self._on_finding: Callable[[SweepFinding], None] = _nothing
        self._stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        if every is None:
            with _changes_to(options["changes"]) as self._on_finding:
                if options["delete_unlisted"]:
                    wanted = self._confirmed(wanted, options["confirm"])
                sys.exit(self._once(wanted))
        if every > settings.SWEEP_STALE_SECONDS:
            log.warning("sweeps_too_rare", every=every, SWEEP_STALE_SECONDS=settings.SWEEP_STALE_SECONDS)
        with heartbeat.beating(WorkerHeartbeat.Role.RECONCILE, stop=self._stop):
            while not self._stop.is_set():
                self._once_of_many(wanted)
                self._stop.wait(every)

    def _confirmed(self, options: Options, count: int | None) -> Options:
        """What a dry run shows as unlisted, as what is to be deleted, once somebody has typed how many.

        Only what was shown is deleted, whatever appears meanwhile.
        """
        found: list[SweepFinding] = []
        looked = reconcile.sweep(
            replace(options, dry_run=True, verify_convex=False),
            stop=self._stop,
            on_finding=lambda one: found.append(one) if one.kind == FindingKind.UNLISTED else None,
        )
        if looked.result != Sweep.Result.COMPLETE:
            raise CommandError(f"Nothing was deleted: what is unlisted is not known to the end ({looked.detail}).")
        if found and not options.dry_run:
            if count is None:
                count = self._asked(found)
            if count != len(found):
                raise CommandError(f"Nothing was changed: {len(found)} are unlisted, and {count} were confirmed.")
        return replace(options, delete_unlisted=frozenset(one.daytona_id for one in found))

    def _asked(self, found: list[SweepFinding]) -> int:
        if not sys.stdin.isatty():
            raise CommandError(
                f"Nothing was changed: {len(found)} would be deleted. Without a terminal, "
                f"add --confirm {len(found)}."
            )
        console = self.console()
        console.print(table(("sandbox", "owner", "in words"), [_row(one)[1:] for one in found]))
        self.stdout.write(f"These {len(found)} will be deleted in Daytona, with all that is in them.")
        typed = input("Type their number to go on, or anything else to leave them alone: ")
        return int(typed) if typed.strip().isdecimal() else -1

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
        except reconcile.SweepUnderWay as taken:
            self.stderr.write(f"Nothing was swept: {taken}. Only one sweep runs at a time.")
            return EXIT_TAKEN
        if self._as_json:
            self.stdout.write(json.dumps(result.as_data()))
        elif self.stdout.isatty():
            _show(self.console(), result)
        else:
            self.stdout.write(visible(_line(result)))
        return result.exit_code

    def _swept(self, options: Options) -> SweepResult:
        if self._as_json or not self.stdout.isatty():
            return reconcile.sweep(options, stop=self._stop, on_finding=self._on_finding)
        columns = (TextColumn("Daytona's list"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console(), transient=True) as progress:
            bar = progress.add_task("", total=Sandbox.objects.filter(deleted_at=None).count())
            return reconcile.sweep(
                options,
                stop=self._stop,
                progress=lambda shown: progress.update(bar, completed=shown),
                on_finding=self._on_finding,
            )


def _nothing(_finding: SweepFinding) -> None:
    """Findings are only kept for the result."""


def _refuse_misfits(every: float | None, options: dict[str, Any]) -> None:
    if every is not None and every <= 0:
        raise CommandError("--every takes a number of seconds above 0.")
    if every is not None and options["restored"]:
        raise CommandError("--restored is for one sweep: later ones would end what was asked for since.")
    if every is not None and (options["delete_unlisted"] or options["changes"]):
        raise CommandError("--delete-unlisted and --changes are for one sweep, not for --every.")
    if (options["adopt_unlisted"] or options["delete_unlisted"]) and not options["adopt"]:
        raise CommandError("--adopt-unlisted and --delete-unlisted go with --adopt.")
    if options["confirm"] is not None and not options["delete_unlisted"]:
        raise CommandError("--confirm goes with --delete-unlisted.")


@contextmanager
def _changes_to(path: str | None) -> Iterator[Callable[[SweepFinding], None]]:
    """Writes the changes of each finding, without ids of our own: two runs can be compared line by line."""
    if path is None:
        yield _nothing
        return
    try:
        file = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 - closed below
    except OSError as error:
        raise CommandError(f"--changes {path}: {error.strerror}") from error
    with file:

        def write(finding: SweepFinding) -> None:
            for change in finding.changes:
                line = {"daytona_id": finding.daytona_id, "owner": finding.owner} | change.as_data()
                file.write(json.dumps(line, sort_keys=True) + "\n")

        yield write


def _line(result: SweepResult) -> str:
    """One line for a log."""
    counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in result.report.counts.items() if count)
    dry = " (dry run)" if result.options.dry_run else ""
    detail = f": {result.detail}" if result.detail else ""
    return f"sweep {result.result}{dry} in {result.seconds:.1f} s{detail}; {counts or 'nothing listed'}"


def _show(console: Console, result: SweepResult) -> None:
    if result.report.findings:
        console.print(_table(result))
    console.print(_line(result))


def _table(result: SweepResult) -> Table:
    # What is left to do comes first, what was healed last.
    findings = sorted(result.report.findings, key=lambda finding: finding.kind in HEALED)
    more = (
        f"first {SHOWN} of {len(findings)}; --json and --changes FILE tell all" if len(findings) > SHOWN else None
    )
    return table(("what", "sandbox", "owner", "in words"), map(_row, findings[:SHOWN]), caption=more)


def _row(finding: SweepFinding) -> tuple[str, ...]:
    which = f"{finding.name} {finding.daytona_id}".strip()
    remote = in_words(one for one in finding.changes if one.system != System.SANDKEEPER)
    text = f"{finding.text}; {remote}" if remote else finding.text
    return finding.kind.value.replace("_", " "), which, finding.owner, text
