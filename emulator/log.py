"""The log of accepted mutations: the oracle of the fault tests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.store import Store

# A development server that runs for weeks must not fill the memory; tests never get near it.
KEPT = 200_000


class MutationLog:
    """Append-only. Entries: seq, time (wall clock, seconds), system, action, id, name, detail."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.entries: list[dict[str, Any]] = store.log()
        self._last = self.entries[-1]["seq"] if self.entries else 0

    @property
    def last(self) -> int:
        return self._last

    def add(self, system: str, action: str, key: str, *, name: str = "", detail: Any = None) -> int:
        """Record one accepted mutation and return its number."""
        self._last += 1
        entry = {
            "seq": self._last,
            "time": time.time(),
            "system": system,
            "action": action,
            "id": key,
            "name": name,
            "detail": detail,
        }
        self.entries.append(entry)
        self._store.append_log(self._last, entry)
        if len(self.entries) >= 2 * KEPT:
            del self.entries[:KEPT]
            self._store.trim_log(before=self.entries[0]["seq"])
        return self._last

    def since(self, seq: int) -> list[dict[str, Any]]:
        """Entries after `seq`. Numbers are gapless, so the tail is found by counting back."""
        count = self._last - seq
        return self.entries[-count:] if count > 0 else []

    def clear(self) -> None:
        self.entries.clear()
        self._last = 0
