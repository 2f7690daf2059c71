"""Capacity: what is in use, what was last refused, who would be stopped next and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from rest_framework.response import Response

from sandboxes.api.documented import CAPACITY_QUERY, NO_SANDBOX, CapacityAnswer, documented
from sandboxes.api.permissions import READ, Need
from sandboxes.api.requests import CapacityQuery
from sandboxes.api.views import owners
from sandboxes.api.views.base import ApiView
from sandboxes.core import ranking
from sandboxes.models import Sandbox
from sandboxes.services import lookup, usage, victims

if TYPE_CHECKING:
    from rest_framework.request import Request


class Capacity(ApiView):
    """For one owner, other owners' sandboxes are only counted; staff and keys for any owner see each."""

    needs = {"get": Need(READ, "view_sandbox")}

    @documented(
        "What is in use, what was last refused, who would be stopped next and why",
        answers={200: CapacityAnswer},
        refusals=NO_SANDBOX,
        parameters=CAPACITY_QUERY,
    )
    def get(self, request: Request) -> Response:
        query = CapacityQuery(data=request.query_params.dict())
        query.is_valid(raise_exception=True)
        owner = self.actor.on_behalf_of
        refusal = usage.last_refusal(self.actor)
        return Response(
            {
                "owner": owners.shown(owner) if owner else None,
                "in_use": usage.in_use(owner),
                "last_refusal": self.show(refusal) if refusal else None,
                "next": self._next(**query.validated_data),
            }
        )

    def _next(self, *, sandbox: str, target: str) -> dict[str, Any]:
        """Whom a start of `sandbox`, or of a new one in `target`, would stop: the first that breaks no rule."""
        owner = self.actor.on_behalf_of
        if sandbox:
            row = lookup.find(sandbox, actor=self.actor)
        else:
            row = Sandbox(owner_id=owner or self.principal.owner or "", target=target or settings.DAYTONA_TARGET)
        lines = [verdict.as_data() for verdict in victims.rank_for(row)]
        if owner is None:
            return {"own": lines, "others": {}}
        return ranking.for_owner(lines, owner)
