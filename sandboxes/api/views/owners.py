"""What the owner that a call is for has, and may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.response import Response

from sandboxes.api.documented import documented
from sandboxes.api.permissions import READ, Need
from sandboxes.api.representations import OwnerShape
from sandboxes.api.views.base import ApiView
from sandboxes.core.codes import Code, Refused
from sandboxes.services import owners

if TYPE_CHECKING:
    from rest_framework.request import Request


class Me(ApiView):
    needs = {"get": Need(READ, "view_owner")}

    @documented(
        "What the owner has and may have, before a create asks for more",
        answers={200: OwnerShape},
        description="Of the token's owner, or of X-On-Behalf-Of.",
    )
    def get(self, request: Request) -> Response:
        owner = self.principal.owner
        if owner is None:
            raise Refused(Code.OWNER_REQUIRED)
        return Response(shown(owner))


def shown(owner: str) -> dict[str, Any]:
    return {"id": owner, **owners.cap(owner).as_data()}
