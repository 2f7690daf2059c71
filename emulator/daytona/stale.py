"""Rows that the list still shows after a delete (reported for the hosted list, `list_stale`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.daytona.sandbox import Sandbox, item

if TYPE_CHECKING:
    from emulator.core import Core
    from emulator.daytona.query import Query

# Shares of `list_stale`. Seen by users: absent, `started` again, `destroying`, then absent for good.
PHASES = ((0.2, ""), (0.6, "started"), (1.0, "destroying"))


@dataclass
class Ghost:
    since: float
    organization: str
    row: Sandbox


class Ghosts:
    def __init__(self, core: Core) -> None:
        self._core = core
        self._ghosts: dict[str, Ghost] = {}

    def clear(self) -> None:
        self._ghosts.clear()

    def add(self, row: Sandbox) -> None:
        """Remember a row as it was before its delete."""
        if self._core.settings.list_stale:
            copy = Sandbox(**row.stored())
            self._ghosts[row.id] = Ghost(self._core.clock.now(), row.organization, copy)

    def spares(self, row: Sandbox) -> bool:
        """Whether the list shows the row itself, not its ghost."""
        return row.id not in self._ghosts

    def items(self, organization: str, query: Query) -> list[dict[str, Any]]:
        """What the first page shows of them."""
        self._forget_old()
        shown = []
        for ghost in self._ghosts.values():
            if ghost.organization != organization or not (state := self._state(ghost)):
                continue
            ghost.row.state = state
            if query.accepts(ghost.row):
                shown.append(item(ghost.row, toolbox_url=self._core.settings.toolbox_url))
        return shown

    def _state(self, ghost: Ghost) -> str:
        share = (self._core.clock.now() - ghost.since) / (self._core.settings.list_stale or 1)
        return next((state for end, state in PHASES if share < end), "")

    def _forget_old(self) -> None:
        oldest = self._core.clock.now() - self._core.settings.list_stale
        for key in [key for key, ghost in self._ghosts.items() if ghost.since < oldest]:
            del self._ghosts[key]
