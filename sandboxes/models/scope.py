"""Which rows an actor may see, and which row an id names: asked before anything is locked or read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import Q

from sandboxes.models.lease import LeasedRows
from sandboxes.states import Actor


def as_uuid(text: str) -> UUID | None:
    """The UUID that this text spells, with or without dashes, in upper or lower case."""
    try:
        return UUID(text)
    except ValueError:
        return None


class SandboxRows(LeasedRows):
    def visible_to(self, actor: Actor) -> SandboxRows:
        """Those of the owners that the actor may see: another owner's sandbox does not exist."""
        return self if actor.only_owner is None else self.filter(owner_id=actor.only_owner)

    def named(self, ids: Iterable[str]) -> SandboxRows:
        """Those that have one of these ids, ours or Daytona's, in any spelling."""
        texts = set(ids)
        ours = {found for text in texts if (found := as_uuid(text))}
        return self.filter(Q(daytona_id__in=texts | {str(one) for one in ours}) | Q(pk__in=ours))


class OperationRows(models.QuerySet[Any]):
    def visible_to(self, actor: Actor) -> OperationRows:
        """Those of sandboxes that the actor may see."""
        return self if actor.only_owner is None else self.filter(sandbox__owner_id=actor.only_owner)
