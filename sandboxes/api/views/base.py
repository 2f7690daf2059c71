"""What every view shares: the caller's rights, the rate limit, the Idempotency-Key, the wait for an operation."""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import structlog
from django.db import DatabaseError, transaction
from django.urls import reverse
from rest_framework.exceptions import ErrorDetail, NotAuthenticated, ValidationError
from rest_framework.response import Response

from sandboxes import clock
from sandboxes.api import conditions, permissions, problems, querysets, throttling
from sandboxes.api.documented import KEY_PATTERN
from sandboxes.api.http import wait_seconds
from sandboxes.api.principals import Principal
from sandboxes.api.representations import OperationShape, SandboxShape
from sandboxes.api.views.strict import StrictView
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Actor, OperationStatus
from sandboxes.models import Operation, Sandbox
from sandboxes.services import idempotency, lookup, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from django.http import HttpRequest
    from rest_framework.request import Request
    from rest_framework.serializers import Serializer

    from sandboxes.api.permissions import Need

log = structlog.get_logger(__name__)
KEPT_HEADERS = ("Location", "Preference-Applied", "Retry-After", "Content-Type")
METHODS = ["get", "head", "post", "patch", "delete"]  # OPTIONS is for pages of other origins: see CORS
TRANSIENT = frozenset({429, 500, 503})


class AlreadyAnswered(Exception):
    """This Idempotency-Key has its answer."""

    def __init__(self, stored: idempotency.StoredAnswer) -> None:
        self.stored = stored


class ApiView(StrictView):
    """`needs` names, per method, what the caller must have; a method without an entry is not there."""

    needs: ClassVar[dict[str, Need]] = {}
    permission_classes = ()
    throttle_classes = ()
    http_method_names = METHODS

    # The methods that heed If-Match; all others refuse it: who sends it relies on it.
    conditional: ClassVar[tuple[str, ...]] = ()

    # Whether answers to a POST may be kept for a repetition; else an Idempotency-Key is refused.
    keeps_answers: ClassVar[bool] = True

    _rate: throttling.Rate | None = None
    _claim: idempotency.Claim | None = None

    # Who

    @property
    def principal(self) -> Principal:
        found: Principal = self.request.user  # type: ignore[assignment]
        return found

    @property
    def actor(self) -> Actor:
        return self.principal.actor

    @property
    def request_id(self) -> str:
        return str(getattr(self.request._request, "request_id", ""))

    # Before and after the method

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        _ = request._request.body  # MAX_BODY_BYTES holds for every body, also one that nobody reads
        super().initial(request, *args, **kwargs)
        need = self.needs.get("get" if request.method == "HEAD" else (request.method or "").lower())
        if need is None:
            return  # answered 405 below
        if not isinstance(request.user, Principal):
            raise NotAuthenticated
        structlog.contextvars.bind_contextvars(principal=self.principal.id, owner=self.principal.owner)
        self._rate = throttling.count(self.principal)
        if self._rate:
            throttling.check(self._rate)
        permissions.check(self.principal, need)
        if conditions.IF_MATCH in request.headers and request.method not in self.conditional:
            raise _invalid(conditions.IF_MATCH, "It is not heeded here: leave it out.")
        if request.method == "POST" and "Idempotency-Key" in request.headers:
            if not self.keeps_answers:
                raise _invalid("Idempotency-Key", "No answer is kept here: leave it out.")
            self._begin_idempotent(request)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, AlreadyAnswered):
            return self._replay(exc.stored)
        try:
            return super().handle_exception(exc)
        except Exception:
            self._release()
            raise

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        final = super().finalize_response(request, response, *args, **kwargs)
        if self._rate:
            for name, value in self._rate.headers.items():
                final[name] = value
        if self._claim:
            self._keep_answer(final)
        return final

    # Idempotency-Key

    def _begin_idempotent(self, request: Request) -> None:
        key = request.headers["Idempotency-Key"]
        if not re.fullmatch(KEY_PATTERN, key):
            raise _invalid("Idempotency-Key", "1 to 255 printable ASCII characters, no spaces.")
        begun = idempotency.begin(
            self.principal.id, key, owner=self.principal.owner or "", fingerprint=_fingerprint(request)
        )
        if isinstance(begun, idempotency.StoredAnswer):
            raise AlreadyAnswered(begun)
        self._claim = begun

    def _keep_answer(self, response: Response) -> None:
        assert self._claim
        if response.status_code in TRANSIENT:
            self._release()
            return
        try:
            body = response.render().content.decode()
            headers = {name: response[name] for name in KEPT_HEADERS if name in response}
            idempotency.finish(self._claim, status=response.status_code, headers=headers, body=body)
        except Exception:
            self._release()
            raise

    def _release(self) -> None:
        """As far as the database lets us: a claim that stays is taken over when it counts as abandoned."""
        if self._claim is None:
            return
        try:
            idempotency.release(self._claim)
        except DatabaseError as error:
            log.warning("claim_not_released", error=repr(error))

    def _replay(self, stored: idempotency.StoredAnswer) -> Response:
        data = json.loads(stored.body) if stored.body else None
        response = Response(data, status=stored.status, content_type=stored.headers.pop("Content-Type", None))
        for name, value in {**stored.headers, "Idempotency-Replayed": "true"}.items():
            response[name] = value
        return response

    def count_more(self, units: int) -> None:
        """Count this request as so many more than one.

        Raises:
            Refused: RATE_LIMITED.
        """
        if self._rate and units:
            self._rate = throttling.count_more(self.principal, units)

    # Sandboxes, and the conditions on them

    def show_sandbox(self, row: Sandbox) -> Response:
        shown = self._sandbox(row)
        return Response(shown, headers={"ETag": shown["etag"]})

    @contextmanager
    def as_it_was(self, sandbox_id: str) -> Iterator[None]:
        """Where If-Match is given, nobody changes the sandbox between the check and the end of the block.

        Raises:
            Refused: PRECONDITION_FAILED, SANDBOX_NOT_FOUND.
        """
        header = self.request.headers.get(conditions.IF_MATCH)
        if header is None:
            yield
            return
        with lookup.held(sandbox_id, actor=self.actor) as row:
            conditions.check_match(header, self._sandbox(row)["etag"])
            yield

    def _sandbox(self, row: Sandbox) -> dict[str, Any]:
        return dict(SandboxShape(querysets.shown(row), context=self.shape_context).data)

    # Asking for a change, and answering it

    def body(self, shape: type[Serializer[Any]]) -> dict[str, Any]:
        """The validated body."""
        given = shape(data=self.request.data)
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)

    def begin(self, ask: Callable[[], Operation]) -> Operation:
        """Ask a service for an operation, once per Idempotency-Key even if an earlier attempt died half way."""
        if self._claim is None:
            return ask()
        if self._claim.operation:
            begun: Operation = Operation.objects.select_related("sandbox").get(pk=self._claim.operation)
            return begun
        with transaction.atomic():
            operation = ask()
            idempotency.note(self._claim, operation.pk)
        return operation

    def answer(self, operation: Operation) -> Response:
        """202 with the operation; how it ended, if it has: after `Prefer: wait`, or before a repetition came."""
        structlog.contextvars.bind_contextvars(operation_id=str(operation.pk))
        if not operation.is_active:
            return self.ended(operation)
        seconds = wait_seconds(self.request.headers.get("Prefer", ""))
        if seconds is None:
            return self.accepted(operation)
        with waiting.seat() as seated:
            if not seated:
                return self.accepted(operation)
            ended = waiting.until_settled(operation, deadline=clock.monotonic() + seconds)
        response = self.accepted(ended) if ended.is_active else self.ended(ended)
        response["Preference-Applied"] = f"wait={seconds}"
        return response

    def accepted(self, operation: Operation) -> Response:
        headers = {"Location": reverse("api:operation", args=[operation.pk])}
        return Response(self.show(operation), status=202, headers=headers)

    def ended(self, operation: Operation) -> Response:
        if operation.status == OperationStatus.SUCCEEDED:
            return Response(self.show(operation))
        return problems.response(self.request._request, self.failure(operation))

    def failure(self, operation: Operation) -> Refused:
        """The refusal that a failed or cancelled operation amounts to; staff read the other system's words."""
        message = operation.message if self.principal.is_staff else ""
        active = querysets.active(operation.sandbox_id)
        blocking = {"blocking_operation": str(active.pk)} if active else {}
        return Refused(
            Code(operation.code),
            message,
            operation=self.show(operation),
            current_status=operation.sandbox.status,
            intent=operation.sandbox.intent,
            **blocking,
        )

    def show(self, operation: Operation) -> dict[str, Any]:
        return self.show_all([operation])[0]

    def show_all(self, operations: Sequence[Operation]) -> list[dict[str, Any]]:
        return list(OperationShape(operations, many=True, context=self.shape_context).data)

    @property
    def shape_context(self) -> dict[str, Any]:
        return {"principal": self.principal}


def _fingerprint(request: Request) -> str:
    """What makes two requests the same: method, path with query, body."""
    raw: HttpRequest = request._request
    parts = [raw.method or "", raw.get_full_path(), hashlib.sha256(raw.body).hexdigest()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _invalid(field: str, message: str) -> ValidationError:
    return ValidationError({field: [ErrorDetail(message, code="invalid")]})
