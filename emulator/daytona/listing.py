"""GET /sandbox (cursor) and GET /sandbox/paginated, truthful or lying as the settings say."""

from __future__ import annotations

import base64
import json
import math
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any

from emulator.daytona.errors import Refusal, broken
from emulator.daytona.query import MORE_SORTS, SORTS, Query, parse
from emulator.daytona.sandbox import Sandbox, iso, item, micros_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from emulator.core import Core
    from emulator.daytona.stale import Ghosts
    from emulator.daytona.world import World

TIMES = frozenset({"created_at", "updated_at", "last_activity_at"})
Key = tuple[Any, str]


class Listing:
    def __init__(self, core: Core, world: World, ghosts: Ghosts) -> None:
        self.core = core
        self.world = world
        self.ghosts = ghosts

    def page(self, organization: str, text: str) -> dict[str, Any]:
        """One page of the cursor list (recording 10_list)."""
        query = parse(text)
        after = _decode(query.cursor) if query.cursor else None
        rows = filter(self.ghosts.spares, self._walk(organization, query, after))
        taken: list[Sandbox] = []
        more = False
        for row in rows:
            if len(taken) == query.limit:
                more = True
                break
            taken.append(row)
        cursor = _encode(taken[-1], SORTS[query.sort]) if more else None
        settings = self.core.settings
        if settings.list_moving and query.cursor:
            taken = taken[1:]
        if settings.list_repeating and query.cursor:
            cursor = query.cursor
        if settings.list_flapping:
            taken = [row for row in taken if self.core.random.random() >= settings.list_flapping]
        items = [item(row, toolbox_url=settings.toolbox_url) for row in taken]
        if not query.cursor:
            items += self.ghosts.items(organization, query)
        return {"items": items, "nextCursor": cursor}

    def numbered(self, organization: str, text: str) -> dict[str, Any]:
        """One page of the deprecated numbered list: whole sandboxes and a total."""
        query = parse(text, sorts=MORE_SORTS, sort="createdAt")
        rows = list(self._sorted(organization, query, MORE_SORTS[query.sort]))
        first = (query.page - 1) * query.limit
        return {
            "items": [self.world.present(row) for row in rows[first : first + query.limit]],
            "total": len(rows),
            "page": query.page,
            "totalPages": math.ceil(len(rows) / query.limit),
        }

    def _walk(self, organization: str, query: Query, after: Key | None) -> Iterator[Sandbox]:
        if query.sort == "createdAt":
            return self._by_created(organization, query, after)
        column = SORTS[query.sort]
        rows = self._sorted(organization, query, column)
        return rows if after is None else filter(_beyond(column, after, query.descending), rows)

    def _by_created(self, organization: str, query: Query, after: Key | None) -> Iterator[Sandbox]:
        """From the index, so that a page costs the same with 100,000 sandboxes."""
        index = self.world.by_created
        if query.descending:
            end = len(index) if after is None else bisect_left(index, _as_time(after))
            places: Iterator[int] = iter(range(end - 1, -1, -1))
        else:
            places = iter(range(0 if after is None else bisect_right(index, _as_time(after)), len(index)))
        for place in places:
            row = self.world.rows[index[place][1]]
            if row.organization == organization and query.accepts(row):
                yield row

    def _sorted(self, organization: str, query: Query, column: str) -> Iterator[Sandbox]:
        """Nulls come last in both directions; ties go by id, in the direction of the order."""
        rows = [row for row in self.world.rows.values() if row.organization == organization and query.accepts(row)]
        known = [row for row in rows if getattr(row, column) is not None]
        known.sort(key=lambda row: (getattr(row, column), row.id), reverse=query.descending)
        yield from known
        nulls = [row for row in rows if getattr(row, column) is None]
        yield from sorted(nulls, key=lambda row: row.id, reverse=query.descending)


def _beyond(column: str, after: Key, descending: bool) -> Callable[[Sandbox], bool]:
    if column in TIMES:
        after = _as_time(after)

    def beyond(row: Sandbox) -> bool:
        value = getattr(row, column)
        if value is None or after[0] is None:
            return False
        key, mark = (value, row.id), after
        if isinstance(value, str) != isinstance(after[0], str):
            key, mark = (str(value), row.id), (str(after[0]), after[1])
        return key < mark if descending else key > mark

    return beyond


def _encode(row: Sandbox, column: str) -> str:
    """Milliseconds only: rows of one millisecond come again or never (recording 10_list)."""
    value = getattr(row, column)
    mark = {"sortValue": iso(value) if column in TIMES else value, "id": row.id}
    return base64.b64encode(json.dumps(mark, separators=(",", ":")).encode()).decode()


def _decode(cursor: str) -> Key:
    try:
        mark = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4)))
        return mark["sortValue"], mark["id"]
    except (ValueError, KeyError, TypeError):
        raise Refusal(400, f"Invalid cursor provided: {cursor}") from None


def _as_time(key: Key) -> Key:
    try:
        return micros_of(str(key[0])), key[1]
    except ValueError:
        raise broken() from None
