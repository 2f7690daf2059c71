"""Keep-alive calls: accepted at most every 5 s per sandbox, seen through GET after the flush."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.core import Core
    from emulator.daytona.world import World


class Activity:
    """`Sandbox activity service` of v0.190 (recording 03_labels_activity: seen 10 s later)."""

    def __init__(self, core: Core, world: World) -> None:
        self._core = core
        self._world = world
        self._last: dict[str, float] = {}
        self._buffer: dict[str, int] = {}

    def clear(self) -> None:
        self._last.clear()
        self._buffer.clear()

    def post(self, reference: str) -> bool:
        """Return whether the call counts. One by name is answered alike and lost."""
        now = self._core.clock.now()
        if (
            reference not in self._world.rows
            or now - self._last.get(reference, 0.0) < self._core.settings.activity_every
        ):
            return False
        self._last[reference] = now
        if not self._buffer:
            self._core.clock.call_later(self._core.settings.activity_flush, self._flush)
        self._buffer[reference] = self._world.micros()
        return True

    def _flush(self) -> None:
        buffer, self._buffer = self._buffer, {}
        for key, moment in buffer.items():
            row = self._world.rows.get(key)
            if row is not None and moment > (row.last_activity_at or 0):
                self._world.touch(row, moment)
