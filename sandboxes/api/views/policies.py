"""Lifecycle policies: what is done to sandboxes after a time, and whom that will touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drf_spectacular.utils import OpenApiResponse
from rest_framework.response import Response

from sandboxes.api.documented import NO_SANDBOX, SANDBOX_ID, documented, filter_parameters, page_of, page_parameters
from sandboxes.api.filters import PolicyFilter
from sandboxes.api.pagination import KeysetPagination
from sandboxes.api.permissions import READ, WRITE, Need
from sandboxes.api.policies import (
    DUE_ORDERS,
    FIRST_DUE,
    ORDERS,
    POLICY_ID,
    PREVIEW_QUERY,
    PolicyChanges,
    PolicyShape,
    PreviewAnswer,
    PreviewQuery,
    PreviewShape,
    SandboxPolicyShape,
)
from sandboxes.api.representations import MOMENT
from sandboxes.api.views.base import ApiView
from sandboxes.api.views.lists import ListView
from sandboxes.core.codes import Code
from sandboxes.core.vocabulary import PolicyScope
from sandboxes.services import lookup, policies

if TYPE_CHECKING:
    from rest_framework.request import Request

    from sandboxes.models import Policy

NO_POLICY = (Code.POLICY_NOT_FOUND, Code.SANDBOX_NOT_FOUND, Code.NOT_FOUND)


class PolicyList(ListView):
    needs = {"get": Need(READ, "view_policy")}
    orders = ORDERS
    default_order = "-changed_at"
    shape = PolicyShape
    filters = PolicyFilter

    @documented(
        "List the lifecycle policies",
        answers={200: page_of(PolicyShape, "Policy")},
        parameters=[*page_parameters(orders, default_order), *filter_parameters(filters)],
        description="Those that say something, by default, of tiers, and of what the caller may see.",
    )
    def get(self, request: Request) -> Response:
        return self.page(policies.listed(self.actor))


class PolicyDetail(ApiView):
    needs = {
        "get": Need(READ, "view_policy"),
        "patch": Need(WRITE, "change_policy"),
        "delete": Need(WRITE, "change_policy"),
    }

    @documented(
        "Get a lifecycle policy",
        answers={200: PolicyShape},
        refusals=NO_POLICY,
        parameters=[POLICY_ID],
        description="Whatever there is has one, if only one that says nothing.",
    )
    def get(self, request: Request, policy_id: str) -> Response:
        return self._show(policies.find(policy_id, actor=self.actor))

    @documented(
        "Set rules of a lifecycle policy",
        body=PolicyChanges,
        answers={200: PolicyShape},
        refusals=NO_POLICY,
        changes=True,
        parameters=[POLICY_ID],
        description="Not for end users. A policy by default, or of a tier, is about all owners' sandboxes: a key "
        "needs `sandboxes:any` for it, and leaves X-On-Behalf-Of out.",
    )
    def patch(self, request: Request, policy_id: str) -> Response:
        body = self.body(PolicyChanges)
        row = policies.find(policy_id, actor=self.actor)
        scope = PolicyScope(row.scope)
        return self._show(policies.set_policy(scope, row.subject, actor=self.actor, **body))

    @documented(
        "Delete a lifecycle policy",
        answers={204: OpenApiResponse(description="It says nothing any more; less specific ones hold.")},
        refusals=NO_POLICY,
        changes=True,
        parameters=[POLICY_ID],
    )
    def delete(self, request: Request, policy_id: str) -> Response:
        row = policies.find(policy_id, actor=self.actor)
        policies.clear_policy(PolicyScope(row.scope), row.subject, actor=self.actor)
        return Response(status=204)

    def _show(self, row: Policy) -> Response:
        return Response(PolicyShape(row, context=self.shape_context).data)


class PolicyPreview(ApiView):
    needs = {"get": Need(READ, "view_sandbox")}

    @documented(
        "Whom the lifecycle policies will touch",
        answers={200: PreviewAnswer},
        parameters=PREVIEW_QUERY,
        description="If nothing changes: each use and each wish moves it. Of each action the first rule that does "
        "it; what Daytona's own intervals do is not told here.",
    )
    def get(self, request: Request) -> Response:
        asked = PreviewQuery.of(request)
        until = policies.until(asked["hours"])
        pages = KeysetPagination(DUE_ORDERS, default=FIRST_DUE)
        rows = policies.concerned(self.actor, until=until, owner=asked["owner"])
        lines = policies.preview(pages.paginate_queryset(rows, request), until=until)
        answer = pages.get_paginated_response(PreviewShape(lines, many=True).data)
        answer.data["until"] = MOMENT.to_representation(until)
        return answer


class SandboxPolicy(ApiView):
    needs = {"get": Need(READ, "view_sandbox")}

    @documented(
        "The lifecycle rules that hold for a sandbox",
        answers={200: SandboxPolicyShape},
        refusals=NO_SANDBOX,
        parameters=[SANDBOX_ID],
    )
    def get(self, request: Request, sandbox_id: str) -> Response:
        row = lookup.find(sandbox_id, actor=self.actor)
        return Response(SandboxPolicyShape({"sandbox": row.pk, "rules": policies.in_force(row)}).data)
