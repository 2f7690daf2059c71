"""What Daytona and Convex share: clock, log, faults, settings, persistence, counters."""

from __future__ import annotations

import copy
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

from emulator.clock import Clock
from emulator.faults import Faults
from emulator.log import MutationLog
from emulator.settings import BadSetting, Settings
from emulator.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable


class Core:
    """One per process. `on_reset` and `dumps` are filled by the emulated systems.

    * `store` keeps objects by kind and id, written through (`store.put("convex:sandboxes", id, row)`);
      a system reads its kinds back with `store.all(kind)` when it is built.
    * `log.add("convex", "sandboxes:updateStatus", daytona_id, detail=...)` records an accepted mutation.
    * `on_reset` holds functions that empty a system's memory (the store is cleared by the core).
    * `dumps["convex"]` answers `GET /_emulator/state?system=convex`.
    """

    def __init__(self, settings: Settings, *, state: str | None = None, seed: int = 0) -> None:
        self._initial = copy.deepcopy(settings)
        self._seed = seed
        self.settings = settings
        self.store = Store(state)
        self.log = MutationLog(self.store)
        self.clock = Clock()
        self.random = random.Random(seed)
        self.faults = Faults(self.random)
        self.counts: dict[str, Counter[str]] = {"daytona": Counter(), "convex": Counter()}
        self.on_reset: list[Callable[[], None]] = []
        self.on_settings: list[Callable[[], None]] = []
        self.dumps: dict[str, Callable[[dict[str, str]], Any]] = {}

    def count(self, system: str, route: str) -> None:
        self.counts[system][route] += 1

    def change_settings(self, changes: dict[str, Any]) -> None:
        """All of the changes or, when one is wrong, none. Raises BadSetting.

        Listeners check what only they understand, and learn of outages that begin or end.
        """
        before = dict(vars(self.settings))
        self.settings.change(changes)
        try:
            for function in self.on_settings:
                function()
        except BadSetting:
            vars(self.settings).update(before)
            raise

    def reset(self, *, seed: int | None = None) -> None:
        """As freshly started with no state: no sandboxes, rows, faults, log; start-up settings."""
        self.clock.reset()
        self.store.clear()
        self.log.clear()
        self.faults.remove()
        self.random.seed(self._seed if seed is None else seed)
        for counter in self.counts.values():
            counter.clear()
        vars(self.settings).update(copy.deepcopy(vars(self._initial)))
        for function in [*self.on_reset, *self.on_settings]:
            function()
