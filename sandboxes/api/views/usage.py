"""What sandboxes used over time: for finance by owner, and for owners of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from sandboxes.api.documented import documented
from sandboxes.api.permissions import READ, Need
from sandboxes.api.usage import USAGE_QUERY, UsageAnswer, UsageQuery, line_shown, quota_shown
from sandboxes.api.views.base import ApiView
from sandboxes.core.usage import hour_of
from sandboxes.services import usage_history, usage_roll_up

if TYPE_CHECKING:
    from rest_framework.request import Request


class Usage(ApiView):
    needs = {"get": Need(READ, "view_owner")}

    @documented(
        "What sandboxes used over time, by owner, tier and region",
        answers={200: UsageAnswer},
        parameters=USAGE_QUERY,
        description="Rolled up by the hour, from what we saw of each sandbox. Nothing is told of other owners than "
        "the one that the call is for.",
    )
    def get(self, request: Request) -> Response:
        asked = UsageQuery.of(request)
        rows = usage_history.between(hour_of(asked["since"]), asked["until"], self.actor.only_owner)
        if asked["owner"]:
            rows = rows.filter(owner=asked["owner"])
        owners = usage_history.owners_of(rows, after=asked["after"], limit=asked["limit"] + 1)
        page = owners[: asked["limit"]]
        found = usage_history.lines(rows.filter(owner__in=page), asked["period"])
        more = len(owners) > len(page)
        # How much all owners may have together is nothing that one of them is told.
        told = [] if self.actor.only_owner else usage_history.quotas(hour_of(asked["since"]), asked["until"])
        return Response(
            {
                "results": [line_shown(line) for line in found],
                "quotas": [quota_shown(one) for one in told],
                "next": _next(request, page[-1]) if more else None,
                "known_until": usage_roll_up.rolled_up_until(),
            }
        )


def _next(request: Request, owner: str) -> str:
    url = remove_query_param(request.build_absolute_uri(), "after")
    return replace_query_param(url, "after", owner)
