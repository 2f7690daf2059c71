"""What is done to a sandbox: start, stop, archive, recover, sync, ensure-running, touch; one or many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import structlog
from drf_spectacular.utils import OpenApiResponse, extend_schema_view
from rest_framework.response import Response

from sandboxes import clock
from sandboxes.api import problems
from sandboxes.api.documented import IF_MATCH, NO_SANDBOX, REQUESTING, SANDBOX_ID, BulkAnswer, documented
from sandboxes.api.http import wait_seconds
from sandboxes.api.permissions import USE, WRITE, Need, check_permission
from sandboxes.api.representations import OperationShape, SandboxShape
from sandboxes.api.requests import ActionBody, BulkBody, NothingBody, Reason, body_of
from sandboxes.api.views.base import ApiView
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Action, OperationStatus, Source
from sandboxes.models import Operation
from sandboxes.services import concurrency, intent, lifecycle, lookup, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rest_framework.request import Request

log = structlog.get_logger(__name__)


class ActionView(ApiView):
    """One action on one sandbox, and what may be said with it: see `view_of`."""

    action: ClassVar[Action]
    shape: ClassVar[type[ActionBody]]
    conditional = ("POST",)

    @property
    def needs(self) -> dict[str, Need]:  # type: ignore[override]
        return {"post": Need(WRITE, f"{self.action}_sandbox")}

    def post(self, request: Request, sandbox_id: str) -> Response:
        body = self.body(self.shape)
        return self.answer(self.begin(lambda: self._ask(sandbox_id, body)))

    def _ask(self, sandbox_id: str, body: dict[str, Any]) -> Operation:
        with self.as_it_was(sandbox_id):
            return lifecycle.request(
                sandbox_id, self.action, actor=self.actor, source=Source.API, request_id=self.request_id, **body
            )


def view_of(action: Action) -> Callable[..., Any]:
    """The view of an action, documented with the body that it takes."""
    shape = body_of(action)
    post = documented(
        "Request an action",
        body=shape,
        answers={200: OperationShape, 202: OperationShape},
        refusals=[*NO_SANDBOX, *REQUESTING, Code.PRECONDITION_FAILED],
        waits=True,
        post=True,
        parameters=[SANDBOX_ID, IF_MATCH],
        description="The newest request wins: it supersedes another active operation. The same one again joins it.",
    )
    view: type[ActionView] = type(f"{action.label}View", (ActionView,), {"action": action, "shape": shape})
    documented_view: type[ActionView] = extend_schema_view(post=post)(view)
    return documented_view.as_view()


class EnsureRunning(ApiView):
    """The gate that agents ask before they use a sandbox."""

    needs = {"post": Need(USE, "start_sandbox")}

    @documented(
        "Ask before use: is it running, or start it unless a person stopped it",
        body=Reason,
        answers={200: SandboxShape, 202: OperationShape},
        refusals=[
            *NO_SANDBOX,
            Code.SANDBOX_GONE,
            Code.SANDBOX_DELETING,
            Code.SANDBOX_STOPPED_BY_USER,
            Code.SANDBOX_UNRECOVERABLE,
            Code.OWNER_ON_HOLD,
            Code.OPERATION_BUDGET_SPENT,
        ],
        waits=True,
        post=True,
        parameters=[SANDBOX_ID],
    )
    def post(self, request: Request, sandbox_id: str) -> Response:
        reason = self.body(Reason)["reason"]
        seconds = wait_seconds(request.headers.get("Prefer", ""))
        asked = self._ask(sandbox_id, reason)
        if isinstance(asked, intent.Ready):
            return self._ready(asked)
        if seconds is None:
            return self.accepted(asked)
        with waiting.seat() as seated:
            if not seated:
                return self.accepted(asked)
            response = self._wait(sandbox_id, asked, reason, deadline=clock.monotonic() + seconds)
        response["Preference-Applied"] = f"wait={seconds}"
        return response

    def _ask(self, sandbox_id: str, reason: str) -> intent.Ready | Operation:
        return intent.ensure_running(
            sandbox_id, actor=self.actor, source=Source.API, reason=reason, request_id=self.request_id
        )

    def _wait(self, sandbox_id: str, asked: Operation, reason: str, *, deadline: float) -> Response:
        """A look may show that a start is needed, a person's stop may come between: ask again until it runs."""
        looks = 0
        while True:
            ended = waiting.until_settled(asked, deadline=deadline)
            if ended.is_active:
                return self.accepted(ended)
            if ended.status == OperationStatus.FAILED:
                return self.ended(ended)
            in_time = waiting.rest(looks, deadline=deadline)
            looks += ended.action == Action.SYNC
            again = self._ask(sandbox_id, reason)
            if isinstance(again, intent.Ready):
                return self._ready(again)
            if not in_time:
                return self.accepted(again)
            asked = again

    def _ready(self, ready: intent.Ready) -> Response:
        ready.sandbox.active = []  # type: ignore[attr-defined]  # that is what ready means; spares a query
        return self.show_sandbox(ready.sandbox)


class Touch(ApiView):
    needs = {"post": Need(USE, "start_sandbox")}

    @documented(
        "Record that it is used",
        body=NothingBody,
        answers={204: OpenApiResponse(description="Recorded.")},
        refusals=[*NO_SANDBOX, Code.SANDBOX_GONE],
        post=True,
        parameters=[SANDBOX_ID],
        description="Keeps it from the idle stop and moves it to the end of the line for eviction.",
    )
    def post(self, request: Request, sandbox_id: str) -> Response:
        self.body(NothingBody)
        intent.touch(sandbox_id, actor=self.actor)
        return Response(status=204)


class Bulk(ApiView):
    """Many at once, each on its own: one refusal stops none of the others."""

    # Staff need the permission of the action that they ask for.
    needs = {"post": Need(WRITE, "view_sandbox")}

    @documented(
        "Request one action for up to 200 sandboxes",
        body=BulkBody,
        answers={207: BulkAnswer},
        refusals=[Code.TOO_MANY_BULK_REQUESTS],
        post=True,
        description="Each on its own, and once however often and in whatever spelling its id is sent; `results` "
        "says what became of it. The status is 207, however many succeed. Each id counts as a request, and a "
        "caller has at most two of these in flight.",
    )
    def post(self, request: Request) -> Response:
        body = self.body(BulkBody)
        action = Action(body.pop("action"))
        check_permission(self.principal, f"{action}_sandbox")
        ids = body.pop("ids")
        with concurrency.bulk(self.principal.id):
            self.count_more(len(lookup.distinct(ids)) - 1)
            outcomes = lifecycle.request_many(
                ids, action, actor=self.actor, source=Source.API, request_id=self.request_id, **body
            )
        results = self._results(outcomes)
        accepted = sum(result["outcome"] == "accepted" for result in results)
        return Response({"accepted": accepted, "refused": len(results) - accepted, "results": results}, status=207)

    def _results(self, outcomes: Mapping[str, Operation | Exception]) -> list[dict[str, Any]]:
        operations = [found for found in outcomes.values() if isinstance(found, Operation)]
        shown = iter(self.show_all(operations))
        return [
            self._refused(which, found)
            if isinstance(found, Exception)
            else {"id": which, "outcome": "accepted", "operation": next(shown), "problem": None}
            for which, found in outcomes.items()
        ]

    def _refused(self, which: str, error: Exception) -> dict[str, Any]:
        foreseen = problems.as_refused(error)
        if foreseen is None:
            log.error("bulk_row_broke", sandbox=which, exc_info=error)
        error = foreseen or Refused(Code.INTERNAL_ERROR)
        refusal = problems.problem(self.request._request, error.code, detail=error.detail, **error.extra)
        return {"id": which, "outcome": "refused", "operation": None, "problem": refusal}
