"""Deliveries to receivers, beside all else: in places, threads and connections of their own.

A receiver that hangs holds some of these places until its time is over, and nothing that anybody else waits for.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from sandboxes.engine import lanes, picks
from sandboxes.engine.database import DatabaseThreads
from sandboxes.engine.lanes import Lane
from sandboxes.services import loops
from sandboxes.services.webhooks import outbox, sending

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxes.services.webhooks.sending import Parcel

PLACES, EACH = 64, 4


class Deliveries:
    """`begin` starts what is due; `tasks` are under way."""

    def __init__(self, *, holder: str, woken: Callable[[], None]) -> None:
        self.lane = Lane("deliveries", picks.DELIVERIES, places=PLACES, each=EACH)
        self.tasks: set[asyncio.Task[Any]] = set()
        self._database = DatabaseThreads(2, name="deliver")
        self._holder, self._woken = holder, woken
        self._filling = self._claiming = False

    def begin(self, *, unread: bool, due: bool) -> None:
        """Returns at once: nothing of it is waited for by those who claim sandboxes."""
        if unread and not self._filling:
            self._filling = True
            self._spawn(self._fill())
        if due and not self._claiming and self.lane.free > 0:
            self._claiming = True
            self._spawn(self._claim())

    async def close(self) -> None:
        await asyncio.to_thread(self._database.close)

    async def _fill(self) -> None:
        try:
            if await self._database(outbox.fill):
                self._woken()
        except Exception as error:
            loops.tell("deliveries_not_made", error)
        finally:
            self._filling = False

    async def _claim(self) -> None:
        try:
            claimed, after = await self._database(lanes.claim, self.lane.wishes(), self._holder, sending.claim)
            self.lane.went_on(after)
            for parcel in claimed:
                self.lane.take(parcel.owner)
                self._spawn(self._deliver(parcel))
        except Exception as error:
            loops.tell("deliveries_not_claimed", error)
        finally:
            self._claiming = False

    async def _deliver(self, parcel: Parcel) -> None:
        try:
            reply = await sending.send(parcel)
            await self._database(sending.finish, parcel, reply)
        except Exception as error:  # it is due again when its lease ends
            loops.tell("delivery_failed", error, message=parcel.message, webhook=parcel.owner)
        finally:
            self.lane.leave(parcel.owner)
            self._woken()

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
