"""Touches: telling Daytona, whose idle stop counts from there, and Convex, which shows when it was last used."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db import transaction

from sandboxes import clock
from sandboxes.core.vocabulary import Status
from sandboxes.models import Sandbox
from sandboxes.providers.daytona.errors import DaytonaError
from sandboxes.providers.daytona.gateway import gateway
from sandboxes.services import projection

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Touched:
    sandbox_id: UUID
    daytona_id: str


def take(limit: int) -> list[Touched]:
    """Those whose use is to be told now. One that gets lost is told with the next use."""
    with transaction.atomic():
        due = Sandbox.objects.filter(touch_due_at__lte=clock.now()).order_by("touch_due_at")
        locked = due.select_for_update(skip_locked=True, no_key=True)
        found = list(locked.values_list("pk", "daytona_id", "status")[:limit])
        Sandbox.objects.filter(pk__in=[pk for pk, *_ in found]).update(touch_due_at=None)
    return [Touched(pk, daytona_id) for pk, daytona_id, status in found if daytona_id and status != Status.GONE]


async def tell_daytona(touched: Iterable[Touched]) -> list[UUID]:
    """Returns those that it took: what Daytona does not hear of, Convex does not either."""
    told = await asyncio.gather(*[_keep_alive(one) for one in touched])
    return [one for one in told if one is not None]


async def _keep_alive(one: Touched) -> UUID | None:
    try:
        await gateway().keep_alive(one.daytona_id)
    except DaytonaError:
        return None
    return one.sandbox_id


def tell_convex(ids: Iterable[UUID]) -> None:
    projection.touch(list(Sandbox.objects.select_related("projection").filter(pk__in=list(ids))))
