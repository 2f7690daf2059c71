"""All sandboxes of all organisations: lookup, indexes, and `write`, the one place that changes a row."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from emulator.daytona.errors import not_found
from emulator.daytona.sandbox import Sandbox, full
from emulator.daytona.usage import Usage, bucket_of, consumed

if TYPE_CHECKING:
    from emulator.core import Core

KIND = "daytona:sandboxes"
Publish = Callable[[str, str, Callable[[], dict[str, Any]]], None]


class World:
    def __init__(self, core: Core) -> None:
        self.core = core
        self.usage = Usage(core)
        self.rows: dict[str, Sandbox] = {}
        self.names: dict[tuple[str, str], str] = {}
        self.by_created: list[tuple[int, str]] = []
        self.publish: Publish = lambda organization, event, payload: None
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._add(Sandbox(**data) for _, data in core.store.all(KIND))

    def clear(self) -> None:
        self.rows.clear()
        self.names.clear()
        self.by_created.clear()
        self.usage.clear()
        self._waiters.clear()

    def micros(self) -> int:
        """Now by Daytona's own clock, which may go wrong (`clock_skew`)."""
        return self.core.clock.micros() + round(self.core.settings.clock_skew * 1e3) * 1000

    # lookup

    def find(self, organization: str, reference: str) -> Sandbox:
        """By id, then by name, within the organisation. Raises the 404 of the recordings."""
        row = self.rows.get(reference)
        if row is None or row.organization != organization:
            row = self.rows.get(self.names.get((organization, reference), ""))
        if row is None or row.hidden:
            raise not_found(reference)
        return row

    def taken(self, organization: str, name: str) -> bool:
        return (organization, name) in self.names

    def present(self, row: Sandbox, *, activity: bool = True, first: bool = False) -> dict[str, Any]:
        return full(row, toolbox_url=self.core.settings.toolbox_url, activity=activity, first=first)

    # change

    def insert(self, row: Sandbox) -> None:
        insort(self.by_created, (row.created_at, row.id))
        self._index(row)
        self.core.store.put(KIND, row.id, row.stored())

    def insert_many(self, rows: list[Sandbox]) -> None:
        """Bulk seeding: one transaction, one sort."""
        self._add(rows)
        self.core.store.put_many(KIND, ((row.id, row.stored()) for row in rows))

    def write(self, row: Sandbox, **changes: Any) -> None:
        """Change a row: counters, indexes, times, persistence and events follow."""
        state, desired, name = row.state, row.desired, row.name
        if changes.get("created_at", row.created_at) != row.created_at:
            self._forget_created(row)
            insort(self.by_created, (changes["created_at"], row.id))
        self._resize(row, changes)
        for key, value in changes.items():
            setattr(row, key, value)
        row.rendered = None
        row.updated_at = self.micros()
        if row.name != name:
            self.names.pop((row.organization, name), None)
            self.names[row.organization, row.name] = row.id
        if row.state != state:
            self._moved(row, before=state, activity="last_activity_at" not in changes)
        if (row.state, row.desired) != (state, desired):
            row.version += 1
        if row.state == "destroyed":
            self.remove(row)
        else:
            self.core.store.put(KIND, row.id, row.stored())
        self._tell(row, state, desired)

    def touch(self, row: Sandbox, moment: int) -> None:
        """A keep-alive arrives: no event, and `updatedAt` stays (recording 03_labels_activity)."""
        row.last_activity_at = moment
        row.rendered = None
        self.core.store.put(KIND, row.id, row.stored())

    def remove(self, row: Sandbox) -> None:
        """Take a row away, as when it is destroyed or vanishes."""
        self.rows.pop(row.id, None)
        if self.names.get((row.organization, row.name)) == row.id:
            del self.names[row.organization, row.name]
        self._forget_created(row)
        self.usage.add(bucket_of(row), consumed(row, row.state), -1)
        self.usage.release(row.reservation)
        row.turn += 1
        self.core.store.delete(KIND, row.id)
        self._wake(row)

    async def changed(self, row: Sandbox, *, seconds: float) -> None:
        """Return when the row's raw state changes, or after `seconds`."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(row.id, []).append(waiter)
        alarm = self.core.clock.call_later(seconds, lambda: _finish(waiter))
        try:
            await waiter
        finally:
            self.core.clock.cancel(alarm)

    # inside

    def _add(self, rows: Iterable[Sandbox]) -> None:
        for row in rows:
            self.by_created.append((row.created_at, row.id))
            self._index(row)
        self.by_created.sort()

    def _index(self, row: Sandbox) -> None:
        self.rows[row.id] = row
        self.names[row.organization, row.name] = row.id
        self.usage.add(bucket_of(row), consumed(row, row.state))

    def _forget_created(self, row: Sandbox) -> None:
        place = bisect_left(self.by_created, (row.created_at, row.id))
        if place < len(self.by_created) and self.by_created[place][1] == row.id:
            del self.by_created[place]

    def _resize(self, row: Sandbox, changes: dict[str, Any]) -> None:
        sized = {"cpu", "memory", "gpu", "disk", "target", "sandbox_class", "organization"} & set(changes)
        if sized:
            self.usage.add(bucket_of(row), consumed(row, row.state), -1)
            for key in sized:
                setattr(row, key, changes[key])
            self.usage.add(bucket_of(row), consumed(row, row.state))

    def _moved(self, row: Sandbox, *, before: str, activity: bool) -> None:
        self.usage.release(row.reservation)
        row.reservation = None
        self.usage.moved(row, before=before, after=row.state)
        if activity:
            row.last_activity_at = row.updated_at
        self._wake(row)

    def _wake(self, row: Sandbox) -> None:
        for waiter in self._waiters.pop(row.id, []):
            _finish(waiter)

    def _tell(self, row: Sandbox, state: str, desired: str) -> None:
        """State first, desired state after (recording 20_socketio_events, archive)."""
        moved = row.state != state
        if moved:
            self.publish(
                row.organization,
                "sandbox.state.updated",
                lambda: {"sandbox": self.present(row), "oldState": state, "newState": row.state},
            )
        if row.desired != desired:
            self.publish(
                row.organization,
                "sandbox.desired-state.updated",
                lambda: {
                    "sandbox": self.present(row, activity=moved),
                    "oldDesiredState": desired,
                    "newDesiredState": row.desired,
                },
            )


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
