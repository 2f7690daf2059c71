"""What an organisation uses, counted as Daytona counts it: per region and class, with reservations."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from emulator.core import Core
    from emulator.daytona.sandbox import Sandbox

# Daytona counts these states (v0.190, sandbox-states-consuming-*; recording 07_quota: stopping still
# counts, destroying does not).
COMPUTE_WORDS = """
creating restoring started starting stopping pending_build building_snapshot unknown pulling_snapshot forking
pausing resuming resizing snapshotting
"""
COMPUTE = frozenset(COMPUTE_WORDS.split())
DISK = COMPUTE | {"stopped", "paused", "archiving"}

Bucket = tuple[str, str, str]


class Amounts(NamedTuple):
    cpu: int = 0
    memory: int = 0
    gpu: int = 0
    disk: int = 0

    def plus(self, other: Amounts, sign: int = 1) -> Amounts:
        return Amounts(*(mine + sign * theirs for mine, theirs in zip(self, other, strict=True)))


NOTHING = Amounts()


def bucket_of(row: Sandbox) -> Bucket:
    return row.organization, row.target, row.sandbox_class


def consumed(row: Sandbox, state: str) -> Amounts:
    """What the row uses of its organisation's quota when it is in `state`."""
    if state in COMPUTE:
        return Amounts(row.cpu, row.memory, row.gpu, row.disk)
    return Amounts(disk=row.disk) if state in DISK else NOTHING


class Usage:
    """Counters, so that a check costs the same with 100,000 sandboxes."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._numbers = itertools.count(1)
        self.counted: dict[Bucket, Amounts] = {}
        self.reserved: dict[int, tuple[Bucket, Amounts]] = {}

    def clear(self) -> None:
        self.counted.clear()
        self.reserved.clear()

    def add(self, bucket: Bucket, amounts: Amounts, sign: int = 1) -> None:
        self.counted[bucket] = self.counted.get(bucket, NOTHING).plus(amounts, sign)

    def moved(self, row: Sandbox, *, before: str, after: str) -> None:
        """Account for a change of state; what is freed shows `usage_lag` seconds late."""
        change = consumed(row, after).plus(consumed(row, before), -1)
        if change == NOTHING:
            return
        lag = self._core.settings.usage_lag
        bucket = bucket_of(row)
        freed = Amounts(*(min(0, number) for number in change))
        if lag and freed != NOTHING:
            self._core.clock.call_later(lag, lambda: self.add(bucket, freed))
            change = change.plus(freed, -1)
        self.add(bucket, change)

    def reserve(self, bucket: Bucket, amounts: Amounts) -> int:
        number = next(self._numbers)
        self.reserved[number] = (bucket, amounts)
        return number

    def release(self, number: int | None) -> None:
        if number is not None:
            self.reserved.pop(number, None)

    def total(self, bucket: Bucket) -> Amounts:
        """Counted and reserved, the asker's own reservation included."""
        total = self.counted.get(bucket, NOTHING)
        for other, amounts in self.reserved.values():
            if other == bucket:
                total = total.plus(amounts)
        return total
