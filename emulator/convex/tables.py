"""A tiny document store: tables with non-unique indexes, and a transaction that can be undone."""

from __future__ import annotations

import secrets
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Document = dict[str, Any]

INDEXES: dict[str, tuple[str, ...]] = {
    "sandboxes": ("userId", "harnessId", "daytonaSandboxId"),
    "harnesses": ("userId",),
    "workspaces": ("userId",),
    "sandkeeperRevisions": ("daytonaSandboxId",),
}
# Convex ids are 32 characters of base 32 and tell their table even after the document is gone.
_PREFIXES = {"sandboxes": "k57", "harnesses": "j97", "workspaces": "kd7", "sandkeeperRevisions": "m17"}
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


class Tables:
    """Every table of the deployment. Rows are replaced, never changed in place."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self._rows: dict[str, dict[str, Document]] = {name: {} for name in INDEXES}
        self._indexes: dict[tuple[str, str], dict[Any, dict[str, None]]] = {
            (table, column): defaultdict(dict) for table, columns in INDEXES.items() for column in columns
        }
        self._last_creation = 0.0
        self._undo: list[tuple[str, str, Document | None]] = []

    def table_of(self, row_id: str) -> str | None:
        if len(row_id) != 32:
            return None
        return next((table for table, prefix in _PREFIXES.items() if row_id.startswith(prefix)), None)

    def all(self, table: str) -> list[Document]:
        return [dict(row) for row in self._rows[table].values()]

    def get(self, table: str, row_id: str | None) -> Document | None:
        row = self._rows[table].get(row_id) if row_id is not None else None
        return dict(row) if row else None

    def by(self, table: str, column: str, value: Any) -> list[Document]:
        """Rows with that value, oldest first: what `.withIndex(…).collect()` answers."""
        return [dict(self._rows[table][row_id]) for row_id in self._indexes[table, column].get(value, ())]

    def insert(self, table: str, row: Document, *, now: float) -> str:
        """Returns the new id. `_creationTime` never repeats, as in Convex: it is the order of the rows."""
        row_id = _new_id(table)
        self._last_creation = max(now, self._last_creation + 0.001)
        system = {"_id": row_id, "_creationTime": self._last_creation}
        self._put(table, row_id, system | _without_absent(row))
        return row_id

    def patch(self, table: str, row_id: str, changes: Document) -> None:
        """Set fields; one set to None is removed, as a patch to `undefined` does."""
        self._put(table, row_id, _without_absent(self._rows[table][row_id] | changes))

    def delete(self, table: str, row_id: str) -> None:
        self._put(table, row_id, None)

    def begin(self) -> None:
        self._undo = []

    def rollback(self) -> None:
        for table, row_id, before in reversed(self._undo[:]):
            self._put(table, row_id, before)
        self._undo = []

    def changes(self) -> dict[tuple[str, str], Document | None]:
        """What the transaction wrote: the row now, or None where it was deleted."""
        return {(table, row_id): self._rows[table].get(row_id) for table, row_id, _ in self._undo}

    def load(self, table: str, rows: Iterable[Document]) -> None:
        """Put stored rows back, in the order of their creation."""
        for row in sorted(rows, key=lambda row: float(row["_creationTime"])):
            self._last_creation = max(self._last_creation, row["_creationTime"])
            self._put(table, row["_id"], row)
        self._undo = []

    def _put(self, table: str, row_id: str, row: Document | None) -> None:
        before = self._rows[table].get(row_id)
        self._undo.append((table, row_id, before))
        for column in INDEXES[table]:
            index = self._indexes[table, column]
            old, new = (before or {}).get(column), (row or {}).get(column)
            if before is not None and (row is None or old != new):
                index[old].pop(row_id)
            if row is not None:
                index[new].setdefault(row_id)
        if row is None:
            self._rows[table].pop(row_id, None)
        else:
            self._rows[table][row_id] = row


def _new_id(table: str) -> str:
    return _PREFIXES[table] + "".join(secrets.choice(_ALPHABET) for _ in range(29))


def _without_absent(row: Document) -> Document:
    return {key: value for key, value in row.items() if value is not None}
