"""What both clients do, without a socket or a clock: what to send, when again, and what an answer means.

A course is a generator: it yields what is to be sent, or how long to pause, and is sent what came of it.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx

from sandkeeper_client import errors

T = TypeVar("T")
V1 = "/api/v1"
LONGEST_WAIT = 60.0  # seconds that the server waits at most
LONGEST_PAUSE = 60.0  # seconds; a Retry-After beyond that is the caller's to keep
BESIDE_THE_WAIT = 10.0  # seconds that an answer may take beyond the wait that was asked for
REPEATED_SAFELY = ("/ensure-running", "/touch")  # no Idempotency-Key is needed
# Of an operation that was waited for: it may go well the next time.
WORTH_ASKING_AGAIN = ("superseded", "cancelled", "no_longer_due", "timeout", "daytona_rejected")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    query: dict[str, Any] = field(default_factory=dict)
    wait: float | None = None
    if_match: str | None = None
    idempotency_key: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        found = {
            "Prefer": None if self.wait is None else f"wait={round(self.wait)}",
            "If-Match": self.if_match,
            "Idempotency-Key": self.idempotency_key,
        }
        return {name: value for name, value in found.items() if value is not None}

    @property
    def timeout(self) -> float:
        return (self.wait or 0.0) + BESIDE_THE_WAIT

    @property
    def may_be_repeated(self) -> bool:
        """Whether a repetition does no harm where the answer was lost; with If-Match it would be a 412."""
        return self.method == "GET" or self.idempotency_key is not None or self.if_match is None


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


Outcome = httpx.Response | httpx.TransportError | None
Course = Generator[Ask | Pause, Outcome, T]


def path(template: str, *values: str) -> str:
    """The path with each value in its place, encoded."""
    for value in values:
        before, _, rest = template.partition("{")
        template = before + quote(value, safe="") + rest.partition("}")[2]
    return template


def next_page(address: str) -> str:
    """The path and query of a `next`, so that nobody but the server that we know is sent the key."""
    parts = urlsplit(address)
    return f"{parts.path.partition(V1)[2]}?{parts.query}"


def call(ask: Ask, *, retries: int) -> Course[Any]:
    """The body of the answer, asking again where that is safe and may help."""
    answer = yield from ask_for(ask, retries=retries)
    return answer.json() if answer.content else None


def ask_for(ask: Ask, *, retries: int) -> Course[httpx.Response]:
    """The answer, if it is none of an error.

    Raises:
        SandkeeperError: of the family of its code.
    """
    if ask.method == "POST" and ask.idempotency_key is None and not ask.path.endswith(REPEATED_SAFELY):
        ask = replace(ask, idempotency_key=str(uuid4()))
    attempt = 0
    while True:
        came = yield ask
        if isinstance(came, httpx.Response) and came.is_success:
            return came
        error = error_of(came)
        seconds = pause_before_again(error, ask, attempt)
        if attempt >= retries or seconds is None:
            raise error
        attempt += 1
        yield Pause(seconds)


def error_of(came: Outcome) -> errors.SandkeeperError:
    if not isinstance(came, httpx.Response):
        return errors.Unreachable({"code": "unreachable", "detail": repr(came)})
    problem = _problem(came)
    if problem is None:
        told = {
            "code": "unreachable",
            "status": came.status_code,
            "detail": f"{came.status_code} without a problem",
        }
        return errors.Unreachable(told)
    family = errors.family_of(str(problem["code"]), came.status_code)
    return family(problem, retry_after=_seconds(came.headers.get("Retry-After")))


def _problem(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        found = answer.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) and "code" in found else None


def _seconds(header: str | None) -> float | None:
    return float(header) if header and header.isdecimal() else None


def pause_before_again(error: errors.SandkeeperError, ask: Ask, attempt: int) -> float | None:
    """Seconds until the same request is sent again; None: it is not."""
    if isinstance(error, errors.Unreachable):
        again = ask.may_be_repeated
    else:
        again = isinstance(error, errors.NotNow) and (error.status == 429 or ask.may_be_repeated)
    if not again:
        return None
    if error.retry_after is not None:
        return error.retry_after if error.retry_after <= LONGEST_PAUSE else None
    return min(0.25 * 2.0**attempt, 8.0) * random.uniform(0.5, 1.0)  # callers that met once part


def ensure_running(sandbox_id: str, *, reason: str, patience: float, retries: int, clock: Any) -> Course[Any]:
    """The running sandbox; started unless a person wants it stopped."""
    began, tried = clock(), 0
    while True:
        left = patience - (clock() - began)
        body = {"reason": reason} if reason else {}
        ask = Ask("POST", path("/sandboxes/{}/ensure-running", sandbox_id), body=body, wait=_wait(left))
        try:
            answer = yield from ask_for(ask, retries=retries)
        except errors.SandkeeperError as error:
            tried += 1
            if error.code not in WORTH_ASKING_AGAIN or tried > retries or left <= 0:
                raise
            yield Pause(min(2.0**tried, max(left, 0.0)))
            continue
        if answer.status_code == 200:
            return answer.json()
        if left <= 0:
            raise errors.NotNow({"code": "timeout", "detail": f"It is not running after {patience:g} seconds."})
        if "Preference-Applied" not in answer.headers:
            yield Pause(min(1.0, left))  # the server has no place left for who waits


def until_ended(operation_id: str, *, patience: float, retries: int, clock: Any) -> Course[Any]:
    """The operation when it has succeeded; the error of its code when it has not."""
    began = clock()
    while True:
        left = patience - (clock() - began)
        ask = Ask("GET", path("/operations/{}", operation_id), wait=_wait(left))
        answer = yield from ask_for(ask, retries=retries)
        operation = answer.json()
        if operation["status"] == "succeeded":
            return operation
        if left <= 0:
            raise errors.NotNow({"code": "timeout", "detail": f"It goes on after {patience:g} seconds."})
        if "Preference-Applied" not in answer.headers:
            yield Pause(min(1.0, left))


def _wait(left: float) -> float:
    return max(0.0, min(left, LONGEST_WAIT / 2))
