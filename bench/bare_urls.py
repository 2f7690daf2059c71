"""The project's URLs, and `/bare/<id>`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from project.urls import urlpatterns as project_urls
from sandboxes.api.principals import Principal
from sandboxes.api.representations import SandboxShape
from sandboxes.models import Sandbox

if TYPE_CHECKING:
    from uuid import UUID

    from rest_framework.request import Request

ANYBODY = Principal.of_owner("bench")


class Bare(APIView):
    authentication_classes = ()
    permission_classes = ()

    def post(self, request: Request, sandbox_id: UUID) -> Response:
        row = Sandbox.objects.select_related("owner").get(pk=sandbox_id)
        row.active = []
        return Response(SandboxShape(row, context={"principal": ANYBODY}).data)


urlpatterns = [path("bare/<uuid:sandbox_id>", Bare.as_view()), *project_urls]
