"""What the owner that a call is for has, and may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework.response import Response

from sandboxes import clock
from sandboxes.api import usage
from sandboxes.api.documented import documented
from sandboxes.api.permissions import READ, Need
from sandboxes.api.representations import OwnerShape
from sandboxes.api.views.base import ApiView
from sandboxes.core.codes import Code, Refused
from sandboxes.services import owners, usage_history

if TYPE_CHECKING:
    from rest_framework.request import Request


@extend_schema_serializer(component_name="OwnerInFull")
class MeShape(OwnerShape):
    this_month = usage.FiguresShape(help_text="What their sandboxes used since the month began, in UTC.")


class Me(ApiView):
    needs = {"get": Need(READ, "view_owner")}

    @documented(
        "What the owner has and may have, before a create asks for more",
        answers={200: MeShape},
        description="Of the token's owner, or of X-On-Behalf-Of.",
    )
    def get(self, request: Request) -> Response:
        owner = self.principal.owner
        if owner is None:
            raise Refused(Code.OWNER_REQUIRED)
        used = usage_history.in_month(owner, clock.now())
        return Response({**shown(owner), "this_month": usage.shown(used)})


def shown(owner: str) -> dict[str, Any]:
    return {"id": owner, **owners.cap(owner).as_data()}
