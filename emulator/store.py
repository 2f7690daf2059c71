"""Write-through persistence: one SQLite file, one row per object.

`synchronous=OFF` is enough for what must be survived, a killed process; only a power cut could lose
the last writes.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (kind TEXT, id TEXT, data TEXT, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS log (seq INTEGER PRIMARY KEY, data TEXT);
"""


class Store:
    """Objects by kind and id. Without a path nothing is written at all."""

    def __init__(self, path: str | None) -> None:
        self._db: sqlite3.Connection | None = None
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=OFF")
            self._db.executescript(SCHEMA)

    def put(self, kind: str, key: str, data: Any) -> None:
        if self._db:
            self._db.execute("INSERT OR REPLACE INTO objects VALUES (?, ?, ?)", (kind, key, _dumps(data)))

    def put_many(self, kind: str, rows: Iterable[tuple[str, Any]]) -> None:
        if self._db:
            self._db.execute("BEGIN")
            self._db.executemany(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?)",
                ((kind, key, _dumps(data)) for key, data in rows),
            )
            self._db.execute("COMMIT")

    def delete(self, kind: str, key: str) -> None:
        if self._db:
            self._db.execute("DELETE FROM objects WHERE kind = ? AND id = ?", (kind, key))

    def all(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Every stored object of a kind, in the order of the ids."""
        if self._db:
            for key, data in self._db.execute("SELECT id, data FROM objects WHERE kind = ?", (kind,)):
                yield key, json.loads(data)

    def append_log(self, seq: int, entry: Any) -> None:
        if self._db:
            self._db.execute("INSERT INTO log VALUES (?, ?)", (seq, _dumps(entry)))

    def trim_log(self, *, before: int) -> None:
        if self._db:
            self._db.execute("DELETE FROM log WHERE seq < ?", (before,))

    def log(self) -> list[Any]:
        if not self._db:
            return []
        return [json.loads(data) for (data,) in self._db.execute("SELECT data FROM log ORDER BY seq")]

    def clear(self) -> None:
        if self._db:
            self._db.executescript("BEGIN; DELETE FROM objects; DELETE FROM log; COMMIT;")

    def close(self) -> None:
        if self._db:
            self._db.close()
            self._db = None


def _dumps(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"))
