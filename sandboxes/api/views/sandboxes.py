"""Sandboxes: list, create, get, patch, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from rest_framework.response import Response

from sandboxes.api import conditions, querysets
from sandboxes.api.documented import (
    ETAG,
    IF_MATCH,
    IF_NONE_MATCH,
    NO_SANDBOX,
    NOT_MODIFIED,
    SANDBOX_ID,
    documented,
    filter_parameters,
    page_of,
    page_parameters,
)
from sandboxes.api.filters import SandboxFilter
from sandboxes.api.permissions import READ, WRITE, Need, check_permission
from sandboxes.api.representations import OperationShape, SandboxShape
from sandboxes.api.requests import INTERVALS, Changes, NewSandbox
from sandboxes.api.views.base import ApiView
from sandboxes.api.views.lists import ListView
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Action, Source
from sandboxes.services import lifecycle, lookup, policies

if TYPE_CHECKING:
    from uuid import UUID

    from rest_framework.request import Request


class SandboxList(ListView):
    needs = {"get": Need(READ, "view_sandbox"), "post": Need(WRITE, "add_sandbox")}
    orders = {"created_at": "created_at", "updated_at": "updated_at", "name": "name", "last_used": "used_at"}
    default_order = "-created_at"
    shape = SandboxShape
    filters = SandboxFilter

    @documented(
        "List sandboxes",
        answers={200: page_of(SandboxShape, "Sandbox")},
        parameters=[*page_parameters(orders, default_order), *filter_parameters(filters)],
    )
    def get(self, request: Request) -> Response:
        return self.page(querysets.sandboxes(self.actor, for_staff=self.principal.is_staff))

    def complete(self, found: list[Any]) -> None:
        policies.read(found)

    @documented(
        "Create a sandbox",
        body=NewSandbox,
        answers={200: OperationShape, 202: OperationShape},
        refusals=[Code.OWNER_ON_HOLD, Code.SANDBOX_LIMIT_REACHED, Code.OPERATION_BUDGET_SPENT],
        waits=True,
        post=True,
    )
    def post(self, request: Request) -> Response:
        new = self.body(NewSandbox)
        reason = new.pop("reason")
        owner = self.principal.owner
        if owner is None:
            raise Refused(Code.OWNER_REQUIRED)
        operation = self.begin(
            lambda: lifecycle.create(
                owner,
                actor=self.actor,
                source=Source.API,
                new=lifecycle.NewRequest(**new),
                reason=reason,
                request_id=self.request_id,
            )
        )
        return self.answer(operation)


class SandboxDetail(ApiView):
    needs = {
        "get": Need(READ, "view_sandbox"),
        "patch": Need(WRITE, "view_sandbox"),
        "delete": Need(WRITE, "delete_sandbox"),
    }

    conditional = ("GET", "HEAD", "PATCH", "DELETE")

    @documented(
        "Get a sandbox",
        answers={200: SandboxShape, 304: NOT_MODIFIED},
        refusals=[*NO_SANDBOX, Code.PRECONDITION_FAILED],
        parameters=[SANDBOX_ID, IF_NONE_MATCH, IF_MATCH, ETAG],
    )
    def get(self, request: Request, sandbox_id: str) -> Response:
        answer = self.show_sandbox(lookup.find(sandbox_id, actor=self.actor))
        if conditions.IF_MATCH in request.headers:
            conditions.check_match(request.headers[conditions.IF_MATCH], answer["ETag"])
        if conditions.is_known(request.headers.get(conditions.IF_NONE_MATCH, '""'), answer["ETag"]):
            return Response(status=304, headers={"ETag": answer["ETag"]})
        return answer

    @documented(
        "Change a sandbox's name, labels, intervals or protection",
        body=Changes,
        answers={200: SandboxShape},
        refusals=[*NO_SANDBOX, Code.SANDBOX_GONE, Code.PRECONDITION_FAILED],
        changes=True,
        parameters=[SANDBOX_ID, IF_MATCH, ETAG],
    )
    def patch(self, request: Request, sandbox_id: str) -> Response:
        changes = self.body(Changes)
        row = lookup.find(sandbox_id, actor=self.actor)
        with transaction.atomic(), self.as_it_was(sandbox_id):
            self._change(row.pk, changes)
        return self.show_sandbox(lookup.find(sandbox_id, actor=self.actor))

    @documented(
        "Delete a sandbox",
        answers={200: OperationShape, 202: OperationShape},
        refusals=[*NO_SANDBOX, Code.SANDBOX_GONE, Code.PRECONDITION_FAILED],
        waits=True,
        changes=True,
        parameters=[SANDBOX_ID, IF_MATCH],
        description="Also in Daytona, for ever. Nothing supersedes it.",
    )
    def delete(self, request: Request, sandbox_id: str) -> Response:
        found = lookup.identify(sandbox_id, actor=self.actor)
        with self.as_it_was(sandbox_id):
            operation = lifecycle.request(
                found, Action.DELETE, actor=self.actor, source=Source.API, request_id=self.request_id
            )
        return self.answer(operation)

    def _change(self, sandbox_id: UUID, changes: dict[str, Any]) -> None:
        if "name" in changes:
            check_permission(self.principal, "rename_sandbox")
            lifecycle.rename(sandbox_id, changes["name"], actor=self.actor)
        if intervals := {name.removesuffix("_minutes"): changes[name] for name in INTERVALS if name in changes}:
            check_permission(self.principal, "change_sandbox")
            lifecycle.set_intervals(sandbox_id, actor=self.actor, **intervals)
        if "labels" in changes:
            check_permission(self.principal, "change_sandbox")
            lifecycle.set_labels(sandbox_id, changes["labels"], actor=self.actor)
        if changes["reapply"]:
            check_permission(self.principal, "change_sandbox")
            lifecycle.reapply(sandbox_id, actor=self.actor)
        if "protected_until" in changes:
            check_permission(self.principal, "protect_sandbox")
            lifecycle.protect(
                sandbox_id, actor=self.actor, until=changes["protected_until"], reason=changes["reason"]
            )
