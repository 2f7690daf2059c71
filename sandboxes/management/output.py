"""What commands write: text of others can neither drive the terminal nor pass for a line of its own."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from django.core.management.base import BaseCommand, CommandError, OutputWrapper
from django.db import DatabaseError, InterfaceError, connection

from project import tracing
from project.readable import visible
from project.unusable import missing_migrations
from project.version import NAME
from sandboxes.core.vocabulary import AuditAction
from sandboxes.services import audit

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxes.management.tables import ReadableConsole


class ReadableOutput(OutputWrapper):
    """Escapes before it colours: the colours of a terminal are control sequences, too."""

    def write(  # type: ignore[override]
        self, msg: str = "", style_func: Callable[[str], str] | None = None, ending: str | None = None
    ) -> None:
        super().write(visible(msg, lines=True), style_func, ending)


class ReadableCommand(BaseCommand):
    """The base of our commands: all that they write passes `visible`.

    `audited` are the options that make it a deed of an operator's, which the audit log tells.
    """

    audited: tuple[str, ...] = ()
    requires_system_checks = [NAME]
    needs_tables = False  # those of this version, or it refuses to run

    def is_process(self, options: dict[str, Any]) -> bool:
        """Whether it stays, and its log is what it says. The others speak to people: they log warnings alone."""
        return False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.stdout = ReadableOutput(cast("TextIO", self.stdout._out))
        self.stderr = ReadableOutput(cast("TextIO", self.stderr._out))
        self.stderr.style_func = self.style.ERROR

    def execute(self, *args: Any, **options: Any) -> str | None:
        for name in ("stdout", "stderr"):
            if options.get(name):
                options[name] = ReadableOutput(options[name])
        if self.needs_tables:
            self._refuse_other_tables()
        if chosen := {name: options[name] for name in self.audited if options.get(name)}:
            audit.write(
                AuditAction.COMMAND, actor=audit.COMMAND, name=self.__module__.rpartition(".")[2], after=chosen
            )
        if self.is_process(options):
            tracing.start(self.__module__.rpartition(".")[2])
        root, level = logging.getLogger(), logging.getLogger().level
        if not self.is_process(options) and options.get("verbosity", 1) < 2:
            root.setLevel(max(level, logging.WARNING))
        try:
            return super().execute(*args, **options)
        finally:
            root.setLevel(level)

    def _refuse_other_tables(self) -> None:
        """A database that is away ends nothing: processes wait for it."""
        with suppress(DatabaseError, InterfaceError):
            if missing := missing_migrations():
                raise CommandError(f"{len(missing)} migrations are missing. Run `manage.py migrate` first.")
        if not connection.in_atomic_block:
            connection.close()  # threads have their own

    def console(self) -> ReadableConsole:
        """For tables and bars: rich itself draws on the stream under `stdout`."""
        from sandboxes.management.tables import ReadableConsole  # most commands draw none

        stream: Any = self.stdout
        while isinstance(stream, OutputWrapper):
            stream = stream._out
        return ReadableConsole(file=cast("IO[str]", stream))
