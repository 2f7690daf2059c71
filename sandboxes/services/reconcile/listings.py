"""What Convex shows of sandboxes that have no row here: an import asks before it takes anything over.

The application keeps a sandbox's name in Convex only, and its Delete may remove Convex's row alone. So Convex says
what a sandbox is called, whose it is, and whether its user still has it in their list.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sandboxes.core.asked import OWNER_LABEL
from sandboxes.providers.convex.gateway import ApplicationRow, ConvexError, ConvexGateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sandboxes.providers.daytona.gateway import RemoteSandbox
    from sandboxes.services.reconcile.run import Run

MOST_OWNERS = 500  # whose rows are kept at a time
NOBODY: Mapping[str, str] = {}
PAGE = 1000  # rows of Convex in one call


class ListedState(StrEnum):
    """Whether Convex has a row of it."""

    LISTED = "listed"
    UNLISTED = "unlisted"
    FOREIGN = "foreign"  # Convex's row belongs to somebody else than Daytona's label says
    UNKNOWN = "unknown"  # Convex did not answer
    NO_CONVEX = "no_convex"


@dataclass(frozen=True, slots=True)
class Listing:
    """`row` is None as well when Convex only says whose it is. `own`: our own functions listed it, and write it."""

    standing: ListedState
    owner: str
    row: ApplicationRow | None = None
    own: bool = False


class Listings:
    """What Convex lists, read lazily: all of it at once by our own functions, else owner by owner, as the owner.

    Where neither can be read, Convex still says whose a sandbox is, but not what it is called.
    """

    def __init__(self, run: Run, convex: ConvexGateway | None) -> None:
        self.run = run
        self.convex = convex
        self._all: _RowFile | None = None
        self._of_owner: dict[str, Mapping[str, ApplicationRow] | None] = {}

    def close(self) -> None:
        if self._all is not None:
            self._all.close()

    def of(self, items: Sequence[RemoteSandbox], *, named: Mapping[str, str] = NOBODY) -> dict[str, Listing]:
        """The listing of each that has an owner, by Daytona's id; all others are somebody else's.

        `named`: the owners that staff say instead.

        The label says whose a sandbox is. The replaced application lost the labels of what it renamed: of those
        that have none Convex says it.
        """
        owners = {item.id: named.get(item.id) or item.labels.get(OWNER_LABEL, "") for item in items}
        if self.convex is None:
            return {key: Listing(ListedState.NO_CONVEX, owner) for key, owner in _known(owners)}
        try:
            if self.convex.own_functions():
                return self._from_all(self.convex, owners)
        except ConvexError as error:
            return {key: self._unknown(owner, error) for key, owner in _known(owners)}
        unknown = [key for key, owner in owners.items() if not owner]
        owners |= dict(self.run.side_by_side(self._named, unknown))
        known = _known(owners)
        self._read({owner for _, owner in known})
        return dict(self.run.side_by_side(self._one, known))

    def _from_all(self, convex: ConvexGateway, owners: Mapping[str, str]) -> dict[str, Listing]:
        if self._all is None:
            self._all = self._read_all(convex)
        rows = self._all.get(list(owners))
        return {
            key: _listing(owner or rows[key].owner, rows.get(key))
            for key, owner in owners.items()
            if owner or key in rows
        }

    def _read_all(self, convex: ConvexGateway) -> _RowFile:
        rows = _RowFile()
        cursor: str | None = None
        while True:
            self.run.beat()
            page = convex.list_all(cursor, limit=PAGE)
            rows.add(page.rows)
            if (cursor := page.cursor) is None:
                return rows

    def _named(self, daytona_id: str) -> tuple[str, str]:
        assert self.convex is not None
        try:
            return daytona_id, self.convex.owner_of(daytona_id) or ""
        except ConvexError as error:
            self.run.partial(f"Convex did not say whose a sandbox without labels is: {error}")
            return daytona_id, ""

    def _read(self, owners: set[str]) -> None:
        """Their rows, side by side. Those of earlier pages go when there are too many."""
        missing = [owner for owner in owners if owner not in self._of_owner]
        if len(self._of_owner) + len(missing) > MOST_OWNERS:
            self._of_owner = {owner: rows for owner, rows in self._of_owner.items() if owner in owners}
        self._of_owner.update(self.run.side_by_side(lambda owner: (owner, self._rows_of(owner)), missing))

    def _rows_of(self, owner: str) -> Mapping[str, ApplicationRow] | None:
        """By Daytona's id, the oldest of twins; None where the key may not act as an owner."""
        assert self.convex is not None
        try:
            rows = self.convex.rows_as_owner(owner)
        except ConvexError:
            return None  # each is asked for by itself then; an outage shows there
        return {row.daytona_id: row for row in reversed(rows)}

    def _one(self, asked: tuple[str, str]) -> tuple[str, Listing]:
        daytona_id, owner = asked
        return daytona_id, self._listed(daytona_id, owner)

    def _listed(self, daytona_id: str, owner: str) -> Listing:
        assert self.convex is not None
        rows = self._of_owner[owner]
        if rows is not None and daytona_id in rows:
            return Listing(ListedState.LISTED, owner, rows[daytona_id])
        try:
            holder = self.convex.owner_of(daytona_id)
        except ConvexError as error:
            return self._unknown(owner, error)
        if holder is None:
            return Listing(ListedState.UNLISTED, owner)
        return Listing(ListedState.LISTED if holder == owner else ListedState.FOREIGN, holder)

    def _unknown(self, owner: str, error: ConvexError) -> Listing:
        self.run.partial(f"Convex did not say whether it lists a sandbox that has no row here: {error}")
        return Listing(ListedState.UNKNOWN, owner)


def _known(owners: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(key, owner) for key, owner in owners.items() if owner]


def _listing(owner: str, row: ApplicationRow | None) -> Listing:
    if row is None:
        return Listing(ListedState.UNLISTED, owner, own=True)
    if row.owner != owner:
        return Listing(ListedState.FOREIGN, row.owner, own=True)
    return Listing(ListedState.LISTED, owner, row, own=True)


class _RowFile:
    """Rows by Daytona's id in a temporary file: memory stays flat, however many there are."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._file.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-2000;")
        self._file.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, row TEXT) WITHOUT ROWID")

    def add(self, rows: Iterable[ApplicationRow]) -> None:
        """The first row of an id counts, as it does for the application's functions."""
        values = [(row.daytona_id, json.dumps(asdict(row))) for row in rows]
        self._file.executemany("INSERT OR IGNORE INTO rows VALUES (?, ?)", values)

    def get(self, ids: Sequence[str]) -> dict[str, ApplicationRow]:
        marks = ",".join("?" * len(ids))
        found = self._file.execute(f"SELECT id, row FROM rows WHERE id IN ({marks})", list(ids))  # noqa: S608 - only marks
        return {key: ApplicationRow(**json.loads(row)) for key, row in found}

    def close(self) -> None:
        self._file.close()
