"""What anybody may read: the schema, its pages, the list of problems; and what is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from django.http import HttpResponse
from django.urls import reverse
from django.utils.cache import get_conditional_response
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.response import Response

from project.version import NAME, VERSION
from sandboxes.api import schema
from sandboxes.api.documented import CodeShape, answer_responses, problem_responses
from sandboxes.api.views.base import METHODS
from sandboxes.api.views.strict import StrictView
from sandboxes.core.codes import MEANINGS, Code, Refused

if TYPE_CHECKING:
    from rest_framework.request import Request


class Links(serializers.Serializer[Any]):
    """Paths on this server."""

    sandboxes = serializers.CharField()
    operations = serializers.CharField()
    events = serializers.CharField()
    webhooks = serializers.CharField()
    policies = serializers.CharField()
    capacity = serializers.CharField()
    owner = serializers.CharField()
    usage = serializers.CharField()
    problems = serializers.CharField()
    schema = serializers.CharField()
    docs = serializers.CharField()


LINKED = tuple(Links().get_fields())


class About(serializers.Serializer[Any]):
    name = serializers.CharField()
    version = serializers.CharField(help_text="Of the server. The API keeps its meaning within /api/v1/.")
    links = Links()


CODES = inline_serializer("CodeList", {"results": CodeShape(many=True)})


class Public(StrictView):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    http_method_names = METHODS


class ForAll(Public):
    """The same for everybody until the next release, so a cache may keep it for a while."""

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        if final.status_code in (200, 304):
            final["Cache-Control"] = "public, max-age=300"
        return final


class Root(ForAll):
    """Which Sandkeeper answers, and where to go from here."""

    @extend_schema(auth=[], tags=["about"], operation_id="get_about", responses=answer_responses({200: About}))
    def get(self, request: Request) -> Response:
        links = {name: reverse(f"api:{name}") for name in LINKED}
        return Response({"name": NAME, "version": VERSION, "links": links})


class ProblemList(ForAll):
    """Every code, with its HTTP status, what happened and what to do next."""

    @extend_schema(auth=[], responses=answer_responses({200: CODES}))
    def get(self, request: Request) -> Response:
        return Response({"results": [_meaning(code) for code in Code]})


class ProblemDetail(ForAll):
    """What a problem's `type` points to."""

    @extend_schema(
        auth=[],
        parameters=[OpenApiParameter("code", str, OpenApiParameter.PATH, description="As a problem has it.")],
        responses={**answer_responses({200: CodeShape}), **problem_responses([Code.NOT_FOUND])},
    )
    def get(self, request: Request, code: str) -> Response:
        if code not in Code.__members__.values():
            raise NotFound
        return Response(_meaning(Code(code)))


class UnknownAddress(Public):
    """Every other address under /api/."""

    def http_method_not_allowed(self, request: Request, *args: object, **kwargs: object) -> NoReturn:  # type: ignore[override]
        raise Refused(Code.NOT_FOUND)


class Schema(ForAll, SpectacularJSONAPIView):
    @extend_schema(exclude=True)
    def get(self, request: Request, *args: object, **kwargs: object) -> HttpResponse:
        content, tag = schema.published()
        answer = HttpResponse(content, content_type=request.accepted_renderer.media_type)
        answer["ETag"] = tag
        return get_conditional_response(request._request, etag=tag, response=answer) or answer


class Docs(Public, SpectacularSwaggerSplitView):
    """Its script holds the caller's CSRF token: no cache may keep it."""


def _meaning(code: Code) -> dict[str, object]:
    meaning = MEANINGS[code]
    return {"code": code.value, "status": meaning.status, "title": meaning.title, "remedy": meaning.remedy}
