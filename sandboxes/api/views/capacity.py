"""Capacity: what is in use, what was last refused, who would be stopped or archived next and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from rest_framework.response import Response

from sandboxes.api.documented import CAPACITY_QUERY, NO_SANDBOX, documented
from sandboxes.api.permissions import READ, Need
from sandboxes.api.representations import CapacityAnswer
from sandboxes.api.requests import CapacityQuery
from sandboxes.api.views import owners
from sandboxes.api.views.base import ApiView
from sandboxes.core import ranking
from sandboxes.core.resources import Resource
from sandboxes.models import Sandbox
from sandboxes.services import lookup, usage, victims

if TYPE_CHECKING:
    from rest_framework.request import Request


class Capacity(ApiView):
    """For one owner, other owners' sandboxes are only counted; staff and keys for any owner see each."""

    needs = {"get": Need(READ, "view_sandbox")}

    @documented(
        "What is in use, what was last refused, who would be stopped or archived next and why",
        answers={200: CapacityAnswer},
        refusals=NO_SANDBOX,
        parameters=CAPACITY_QUERY,
    )
    def get(self, request: Request) -> Response:
        query = CapacityQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        owner, row = self.actor.on_behalf_of, self._asking(**query.validated_data)
        refusal = usage.last_refusal(self.actor)
        return Response(
            {
                "owner": owners.shown(owner) if owner else None,
                "in_use": usage.in_use(owner),
                "last_refusal": self.show(refusal) if refusal else None,
                "next": self._next(row, Resource.COMPUTE),
                "next_archived": self._next(row, Resource.DISK),
            }
        )

    def _asking(self, *, sandbox: str, target: str) -> Sandbox:
        """Which one room would be made for: `sandbox`, or a new one in `target`."""
        if sandbox:
            return lookup.find(sandbox, actor=self.actor)
        return Sandbox(owner_id=self.actor.on_behalf_of or "", target=target or settings.DAYTONA_TARGET)

    def _next(self, row: Sandbox, resource: Resource) -> dict[str, Any]:
        """Who would make room for it: the first that breaks no rule."""
        owner = self.actor.on_behalf_of
        lines = [verdict.as_data() for verdict in victims.rank_for(row, resource)]
        if owner is None:
            return {"own": lines, "others": {}}
        return ranking.for_owner(lines, resource, owner)
