"""The ids of all that a list has shown: for sweeps and verifications, which alone load SQLite beside PostgreSQL."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType


class ShownIds:
    """The ids that a list has shown, for one walk through it by one thread.

    They lie in a temporary file: memory stays flat, however many there are.
    """

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-2000;")
        self._file.execute("CREATE TABLE shown (id TEXT PRIMARY KEY) WITHOUT ROWID")

    def __enter__(self) -> ShownIds:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, ids: Iterable[str]) -> int:
        """Returns how many of them are new."""
        before = self._file.total_changes
        self._file.executemany("INSERT OR IGNORE INTO shown VALUES (?)", [(one,) for one in ids])
        return self._file.total_changes - before

    def lacks(self, ids: Sequence[str]) -> set[str]:
        """Those of up to some thousand ids that it has not shown."""
        marks = ",".join("?" * len(ids))
        known = self._file.execute(f"SELECT id FROM shown WHERE id IN ({marks})", list(ids))  # noqa: S608 - only marks
        return set(ids).difference(row[0] for row in known)
