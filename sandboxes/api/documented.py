"""What a method answers: every status, every code, with examples. Read by people and by Schemathesis."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar

import django_filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiRequest,
    OpenApiResponse,
    extend_schema,
    extend_schema_serializer,
    inline_serializer,
)
from rest_framework import serializers

from sandboxes.api import examples, problems
from sandboxes.api.authentication import ENCODED_OWNER
from sandboxes.api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from sandboxes.api.representations import EventShape, OperationShape
from sandboxes.core.codes import MEANINGS, Code
from sandboxes.core.vocabulary import EventKind, Intent, Status

F = TypeVar("F", bound=Callable[..., Any])

ALWAYS = (
    Code.UNAUTHENTICATED,
    Code.INVALID_TOKEN,
    Code.MISSING_SCOPE,
    Code.PERMISSION_DENIED,
    Code.NETWORK_NOT_ALLOWED,
    Code.OWNER_REQUIRED,
    Code.INVALID_REQUEST,
    Code.NOT_ACCEPTABLE,
    Code.PAYLOAD_TOO_LARGE,
    Code.UNSUPPORTED_MEDIA_TYPE,
    Code.HEAD_TOO_LARGE,
    Code.REQUEST_TIMEOUT,
    Code.RATE_LIMITED,
    Code.INTERNAL_ERROR,
    Code.SERVICE_UNAVAILABLE,
    Code.DATABASE_UNAVAILABLE,
    Code.IDENTITY_PROVIDER_UNAVAILABLE,
)
WITH_BODY = (Code.MALFORMED_BODY, Code.LENGTH_REQUIRED)
CHANGING = (Code.CSRF_FAILED,)
IDEMPOTENT = (Code.REQUEST_IN_PROGRESS, Code.IDEMPOTENCY_KEY_REUSED)
# How an operation that was waited for may have ended.
ENDS = (
    Code.SUPERSEDED,
    Code.CANCELLED,
    Code.TIMEOUT,
    Code.CAPACITY_EXHAUSTED,
    Code.QUOTA_TOO_SMALL,
    Code.DISK_QUOTA_FULL,
    Code.SANDBOX_ERRORED,
    Code.SANDBOX_UNRECOVERABLE,
    Code.SANDBOX_GONE,
    Code.RECOVERY_COOLDOWN,
    Code.NAME_TAKEN,
    Code.SANDBOX_LIMIT_REACHED,
    Code.DAYTONA_REJECTED,
    Code.NO_LONGER_DUE,
    Code.NOT_CONFIGURED,
)
# 405: `/sandboxes/bulk` is an address of its own, no sandbox.
NO_SANDBOX = (Code.SANDBOX_NOT_FOUND, Code.NOT_FOUND, Code.METHOD_NOT_ALLOWED)
NO_OPERATION = (Code.OPERATION_NOT_FOUND, Code.NOT_FOUND)
REQUESTING = (
    Code.SANDBOX_GONE,
    Code.SANDBOX_CREATING,
    Code.SANDBOX_DELETING,
    Code.EPHEMERAL_WOULD_BE_DESTROYED,
    Code.EPHEMERAL_CANNOT_ARCHIVE,
    Code.EPHEMERAL_CANNOT_RESTART,
    Code.AUTO_DELETE_WOULD_DESTROY,
    Code.SANDBOX_ERRORED,
    Code.SANDBOX_UNRECOVERABLE,
    Code.OWNER_ON_HOLD,
    Code.OPERATION_BUDGET_SPENT,
)


class FieldError(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="Dotted path; empty for the whole body.")
    message = serializers.CharField()
    code = serializers.CharField()


class Problem(serializers.Serializer[Any]):
    """RFC 9457. Branch on `code`: it never changes its meaning."""

    type = serializers.CharField(help_text="The address of the code's description.")
    title = serializers.CharField(help_text="What the code means.")
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What happened this time.")
    instance = serializers.CharField(help_text="The request's path.")
    code = serializers.ChoiceField(choices=[code.value for code in Code])
    remedy = serializers.CharField(help_text="What to do next.")
    request_id = serializers.CharField()
    errors = FieldError(many=True, required=False)  # type: ignore[assignment]
    current_status = serializers.ChoiceField(choices=Status.choices, required=False)
    intent = serializers.ChoiceField(choices=Intent.choices, required=False)
    blocking_operation = serializers.CharField(required=False, help_text="The active operation's id.")
    allowed_actions = serializers.ListField(child=serializers.CharField(), required=False)
    retry_after = serializers.FloatField(required=False, help_text="Seconds.")
    stopped_by = serializers.CharField(required=False)
    stopped_at = serializers.CharField(required=False)
    stopped_reason = serializers.CharField(required=False, allow_blank=True)
    used = serializers.IntegerField(required=False, help_text="Sandboxes that the owner has.")
    limit = serializers.IntegerField(required=False, help_text="Sandboxes that the owner may have.")
    on_hold = serializers.BooleanField(required=False)
    hold_reason = serializers.CharField(required=False, allow_blank=True)
    operation = serializers.DictField(required=False, help_text="The operation that ended so.")


@extend_schema_serializer(component_name="Code")
class CodeShape(serializers.Serializer[Any]):
    code = serializers.CharField()
    status = serializers.IntegerField()
    title = serializers.CharField()
    remedy = serializers.CharField()


class BulkResult(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="As it was sent.")
    outcome = serializers.ChoiceField(choices=["accepted", "refused"])
    operation = OperationShape(allow_null=True)
    problem = Problem(allow_null=True)


class BulkAnswer(serializers.Serializer[Any]):
    accepted = serializers.IntegerField()
    refused = serializers.IntegerField()
    results = BulkResult(many=True)


class FeedAnswer(serializers.Serializer[Any]):
    """The next events. A page may hold fewer than `limit`, or none, and the feed go on."""

    results = EventShape(many=True)
    cursor = serializers.IntegerField(help_text="Ask on with `after=` this.")
    more = serializers.BooleanField(help_text="The feed goes on there already: ask at once.")


def _header(name: str, description: str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, str, OpenApiParameter.HEADER, description=description, **more)


def _query(name: str, description: str, *, kind: Any = str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, kind, OpenApiParameter.QUERY, description=description, **more)


ON_BEHALF_OF = _header(
    "X-On-Behalf-Of",
    "The owner that a service key acts for, percent-encoded as in an address (`encodeURIComponent`) where the id "
    "holds blanks, a `%` or other than ASCII. Only keys with `sandboxes:any` may omit it.",
    pattern=ENCODED_OWNER,
    examples=[OpenApiExample("an owner", "user_2abc")],
)
REQUEST_ID = _header("X-Request-ID", "Yours; it comes back, is on the operation and in our logs.")
PREFER = _header(
    "Prefer",
    "`wait=N`: wait up to N (at most 60) seconds for the operation to end.",
    examples=[OpenApiExample("wait", "wait=20")],
)
KEY_PATTERN = r"^[!-~]{1,255}$"
IDEMPOTENCY_KEY = _header(
    "Idempotency-Key",
    "A repetition with the same key and body within 24 hours gets the first answer again.",
    pattern=KEY_PATTERN,
)
SANDBOX_ID = OpenApiParameter(
    "sandbox_id",
    str,
    OpenApiParameter.PATH,
    description="Our id or Daytona's.",
    pattern=r"^[A-Za-z0-9._:-]{1,255}$",
)
CAPACITY_QUERY = (
    _query("sandbox", "The sandbox to be started: our id or Daytona's."),
    _query("target", "A region, without a sandbox.", pattern=r"^[A-Za-z0-9._-]{1,100}$"),
)
FEED_QUERY = (
    _query(
        "after",
        "The `cursor` of the page before, or `latest` for where the feed is now; if absent, the oldest event kept.",
        pattern="^(latest|[0-9]{1,18})$",
    ),
    _query("limit", f"Events a page, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} if absent.", kind=int),
    _query("wait", "As `Prefer: wait`, for who cannot send a header.", kind=int),
    _query("sandbox", "Of one sandbox: our id or Daytona's."),
    _query("type", "May be given several times.", enum=EventKind.values, many=True),
)
ANSWER_HEADERS = (
    _header("X-Request-ID", "Of this request.", response=True),
    _header("RateLimit", "What is left in this minute; once we know who calls.", response=True),
    _header("RateLimit-Policy", "The limit.", response=True),
    _header("Retry-After", "Seconds; on a 409 only with `request_in_progress`.", response=[409, 429, 503]),
    _header("WWW-Authenticate", "`Bearer`.", response=[401]),
)
REPLAYED = _header("Idempotency-Replayed", "`true`: the first answer to this key, given again.", response=True)
LOCATION = _header("Location", "The operation's address.", response=[202])
PREFERENCE_APPLIED = _header("Preference-Applied", "We waited.", response=[200, 202])
WAIT_FOR_EVENT = (
    _header("Prefer", "`wait=N`: wait up to N (at most 60) seconds for an event.",
            examples=[OpenApiExample("wait", "wait=20")]),
    _header("Preference-Applied", "We waited.", response=[200]),
)  # fmt: skip
ETAG = _header("ETag", "Of the sandbox as it is shown.", response=[200])
IF_MATCH = _header(
    "If-Match", "Only if the sandbox still has this ETag (or one of these); checked under its lock.",
    examples=[OpenApiExample("an ETag", '"0f1e2d3c4b5a69788796a5b4c3d2e1f0"')],
)  # fmt: skip
IF_NONE_MATCH = _header("If-None-Match", "An ETag that you have: 304 without a body while it is still so.")
NOT_MODIFIED = OpenApiResponse(description="It is as If-None-Match says.")


def page_parameters(orders: Iterable[str], default: str) -> list[OpenApiParameter]:
    values = [value for name in orders for value in (name, f"-{name}")]
    return [
        _query("limit", f"Rows a page, 1 to {MAX_LIMIT}; {DEFAULT_LIMIT} if absent.", kind=int),
        _query("cursor", "Only as it stands in `next`."),
        _query("order", f"`-` reverses; `{default}` if absent.", enum=values),
    ]


def filter_parameters(filters: type[django_filters.FilterSet] | None) -> list[OpenApiParameter]:
    """A list's filters as query parameters."""
    return [_filter_parameter(name, one) for name, one in (filters.base_filters if filters else {}).items()]


def _filter_parameter(name: str, one: django_filters.Filter) -> OpenApiParameter:
    description = str(one.extra.get("help_text", ""))
    if isinstance(one, django_filters.MultipleChoiceFilter):
        known = [value for value, _ in one.extra["choices"]]
        return _query(name, description, many=True, **({"enum": known} if known else {}))
    if isinstance(one, django_filters.IsoDateTimeFilter):
        return _query(name, description, kind=OpenApiTypes.DATETIME)
    return _query(name, description)


@cache
def page_of(shape: type[serializers.Serializer[Any]], name: str) -> Any:
    """A page of a list."""
    following = serializers.URLField(allow_null=True, help_text="The next page; null on the last one.")
    return inline_serializer(f"{name}Page", {"results": shape(many=True), "next": following})


def documented(  # noqa: PLR0913 - one parameter for each thing that a page of the documentation has
    summary: str,
    *,
    answers: dict[int, Any],
    refusals: Iterable[Code] = (),
    body: Any = None,
    waits: bool = False,
    post: bool = False,
    changes: bool = False,
    parameters: Iterable[OpenApiParameter] = (),
    description: str = "",
) -> Callable[[F], F]:
    """Document a method: its answers by status, and every code it may refuse with.

    `waits`: takes `Prefer: wait`, so all ends of an operation are answers; `post`: takes an Idempotency-Key.
    """
    codes = [*ALWAYS, *refusals]
    codes += WITH_BODY if body is not None else ()
    codes += CHANGING if changes or post else ()
    codes += IDEMPOTENT if post else ()
    codes += ENDS if waits else ()
    return extend_schema(
        summary=summary,
        description=description or None,
        request=OpenApiRequest(body, examples=[OpenApiExample("an example", examples.of(body))]) if body else None,
        parameters=[*_headers(waits=waits, post=post), *parameters],
        responses={**answer_responses(answers), **problem_responses(codes)},
    )


def _headers(*, waits: bool, post: bool) -> list[OpenApiParameter]:
    headers = [ON_BEHALF_OF, REQUEST_ID, *ANSWER_HEADERS]
    headers += [PREFER, LOCATION, PREFERENCE_APPLIED] if waits else []
    return headers + ([IDEMPOTENCY_KEY, REPLAYED] if post else [])


MEANT = {
    200: "How it is now; after `Prefer: wait`, how it ended.",
    201: "Made.",
    202: "Accepted: it goes on. `Location` is where to look.",
    207: "What became of each.",
}


def answer_responses(answers: dict[int, Any]) -> dict[int, OpenApiResponse]:
    return {
        status: shape
        if isinstance(shape, OpenApiResponse)
        else OpenApiResponse(
            shape, description=MEANT[status], examples=[OpenApiExample("an example", examples.of(shape, status))]
        )
        for status, shape in answers.items()
    }


def problem_responses(codes: Iterable[Code]) -> dict[Any, OpenApiResponse]:
    by_status: dict[int, list[Code]] = {}
    for code in sorted(set(codes)):
        by_status.setdefault(MEANINGS[code].status, []).append(code)
    return {
        (status, problems.MEDIA_TYPE): OpenApiResponse(
            Problem,
            description="\n".join(f"* `{code}`: {MEANINGS[code].title}. {MEANINGS[code].remedy}" for code in found),
            examples=[_example(code) for code in found],
        )
        for status, found in sorted(by_status.items())
    }


def _example(code: Code) -> OpenApiExample:
    meaning = MEANINGS[code]
    value = {
        "type": f"{problems.TYPE}{code}",
        "title": meaning.title,
        "status": meaning.status,
        "detail": meaning.title,
        "instance": "/api/v1/sandboxes/9f0c2c9e-5b0e-4f0b-8a55-0d4c1d6c7a10/start",
        "code": code.value,
        "remedy": meaning.remedy,
        "request_id": "6f1c0c5f9c1e4a0f",
    }
    return OpenApiExample(code.value, value, response_only=True, media_type=problems.MEDIA_TYPE)
