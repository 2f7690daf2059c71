"""Operations: what was asked, and how it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.response import Response

from sandboxes.api import querysets
from sandboxes.api.documented import (
    NO_OPERATION,
    NO_SANDBOX,
    REQUESTING,
    SANDBOX_ID,
    documented,
    filter_parameters,
    page_of,
    page_parameters,
)
from sandboxes.api.filters import OperationFilter
from sandboxes.api.http import wait_seconds
from sandboxes.api.permissions import READ, WRITE, Need
from sandboxes.api.representations import OperationShape
from sandboxes.api.requests import Reason
from sandboxes.api.views.base import ApiView
from sandboxes.api.views.lists import ListView
from sandboxes.core.codes import Code
from sandboxes.services import lifecycle, lookup

if TYPE_CHECKING:
    from uuid import UUID

    from rest_framework.request import Request


class OperationList(ListView):
    needs = {"get": Need(READ, "view_operation")}
    orders = {"created_at": "created_at"}
    default_order = "-created_at"
    shape = OperationShape
    filters = OperationFilter

    @documented(
        "List operations",
        answers={200: page_of(OperationShape, "Operation")},
        parameters=[*page_parameters(orders, default_order), *filter_parameters(filters)],
    )
    def get(self, request: Request) -> Response:
        return self.page(querysets.operations(self.actor))


class SandboxOperations(OperationList):
    @documented(
        "List a sandbox's operations",
        answers={200: page_of(OperationShape, "Operation")},
        refusals=NO_SANDBOX,
        parameters=[
            SANDBOX_ID,
            *page_parameters(OperationList.orders, OperationList.default_order),
            *filter_parameters(OperationFilter),
        ],
    )
    def get(self, request: Request, sandbox_id: str) -> Response:  # type: ignore[override]
        row = lookup.find(sandbox_id, actor=self.actor)
        return self.page(querysets.operations(self.actor).filter(sandbox=row))


class OperationDetail(ApiView):
    needs = {"get": Need(READ, "view_operation")}

    @documented(
        "Get an operation, or wait for its end",
        answers={200: OperationShape},
        refusals=NO_OPERATION,
        waits=True,
        description="With `Prefer: wait` an operation that ended in failure answers as the problem of its code.",
    )
    def get(self, request: Request, operation_id: UUID) -> Response:
        """How it goes. Only a caller that waits gets a failure as a problem: who just looks, looks."""
        operation = lookup.find_operation(operation_id, actor=self.actor)
        if wait_seconds(request.headers.get("Prefer", "")) is None:
            return Response(self.show(operation))
        if not operation.is_active:
            return self.ended(operation)
        response = self.answer(operation)
        if response.status_code == 202:
            response.status_code = 200  # not ended yet, but the GET was answered
        return response


class OperationCancel(ApiView):
    needs = {"post": Need(WRITE, "cancel_operation")}

    @documented(
        "Cancel an operation that Daytona was not asked for yet",
        body=Reason,
        answers={200: OperationShape, 202: OperationShape},
        refusals=[*NO_OPERATION, *REQUESTING, Code.OPERATION_FINISHED, Code.OPERATION_NOT_CANCELLABLE],
        waits=True,
        post=True,
        description="Brings back the intent from before. Cancelling a create is a delete: 202 with that operation.",
    )
    def post(self, request: Request, operation_id: UUID) -> Response:
        reason = self.body(Reason)["reason"]
        operation = self.begin(
            lambda: lifecycle.cancel(operation_id, actor=self.actor, reason=reason, request_id=self.request_id)
        )
        if operation.pk == operation_id:
            return Response(self.show(operation))
        return self.answer(operation)  # cancelling a create is a delete
