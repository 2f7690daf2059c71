"""Every row of the contract's tables of errors: the typed error, what may be repeated, and words for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.providers.convex import gateway as convex
from sandboxes.providers.convex.gateway import ConvexGateway
from tests.providers.convex.conftest import Connect, row
from tests.support.convex import sandbox_row, seed
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

HTML = "<html><body><h1>502 Bad Gateway</h1></body></html>"
READ_ONLY = "dev:test|read-only-0123"
OTHER = "dev:other|another-0123"
REVOKED = "dev:test|revoked-0123"
Act = Callable[[ConvexGateway], Any]


def stop(gateway: ConvexGateway) -> None:
    gateway.update_status("d1", status="stopped")


def create(gateway: ConvexGateway) -> None:
    gateway.create_row("d9", owner="user_ada", row=row(harness_id="nonsense"))


def create_too_many(gateway: ConvexGateway) -> None:
    gateway.create_row("d9", owner="user_full", row=row())


def rename_hugely(gateway: ConvexGateway) -> None:
    gateway.update_name("d1", name="x" * (16 * 1024 * 1024 + 2000))


@dataclass(frozen=True)
class Expected:
    """`commits`: whether the call is carried out all the same, at once or later."""

    error: type[convex.ConvexError]
    code: str
    words: str
    ambiguous: bool = False
    commits: bool = False
    cause_unknown: bool = False
    act: Act = stop
    settings: dict[str, Any] = field(default_factory=dict)
    fault: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def http(status: int, answer: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "status", "status": status, "answer": answer, **more}


def coded(status: int, code: str, **more: Any) -> dict[str, Any]:
    return http(status, {"code": code, "message": f"Convex's words about {code}"}, **more)


def threw(words: str, **more: Any) -> dict[str, Any]:
    return http(200, {"status": "error", "errorMessage": f"[Request ID: 1f] Server Error\n{words}"}, **more)


REJECTED = (convex.ConvexRejected, "convex_rejected")
FAILED = (convex.FunctionFailed, "convex_rejected")
REFUSED = (convex.ConvexApplicationError, "convex_refused")
MISSING = (convex.FunctionMissing, "convex_function_missing")
BAD_KEY = (convex.ConvexUnauthorized, "convex_unauthorized")
PAUSED = (convex.ConvexPaused, "convex_paused")
THROTTLED = (convex.ConvexThrottled, "convex_throttled")
CONFLICT = (convex.ConvexConflict, "convex_conflict")
UNAVAILABLE = (convex.ConvexUnavailable, "convex_unavailable")
MAIN, SECOND, REDACTED = {"functions": "main"}, {"functions": "second"}, {"redact": True, "functions": "second"}
MUTATIONS = "deployment:functions:runInternalMutations"

TABLE = {
    # Inside the envelope, with HTTP 200
    "threw an Error": Expected(*FAILED, "Uncaught Error: x", fault=threw("Uncaught Error: x")),
    "threw a ConvexError": Expected(*REFUSED, "limit of 5", act=create_too_many, settings=MAIN),
    "threw a ConvexError, redacted": Expected(
        *REFUSED, "limit of 5", act=create_too_many, settings=MAIN | {"redact": True}
    ),
    "arguments do not fit": Expected(*FAILED, "ArgumentValidationError", act=create, settings=SECOND),
    "arguments do not fit, redacted": Expected(
        *FAILED, "createInternal failed: Convex hides why", act=create, settings=REDACTED, cause_unknown=True
    ),
    "arguments too large": Expected(*FAILED, "too large", fault=threw("Arguments for x are too large")),
    "unknown function": Expected(*MISSING, "sandboxes:touch", act=lambda it: it.touch("d1"), settings=MAIN),
    "unknown function, redacted": Expected(
        *MISSING, "not deployed", act=lambda it: it.touch("d1"), settings=MAIN | {"redact": True}
    ),
    "unknown function as HTTP 404": Expected(*MISSING, "doctor", fault=coded(404, "FunctionPathNotFound")),
    "wrong kind": Expected(
        *FAILED, "defined as Query", fault=threw("Trying to execute x as Mutation, but it is defined as Query.")
    ),
    "key lacks the permission": Expected(*BAD_KEY, MUTATIONS, options={"deploy_key": READ_ONLY}),
    "key lacks the permission, redacted": Expected(
        *BAD_KEY, MUTATIONS, settings=REDACTED, options={"deploy_key": READ_ONLY}, cause_unknown=True
    ),
    "paused": Expected(*PAUSED, "is paused. Resume", settings={"state": "paused"}),
    "paused, redacted": Expected(*PAUSED, "is paused. Resume", settings=REDACTED | {"state": "paused"}),
    "disabled": Expected(*PAUSED, "is disabled", settings={"state": "disabled"}),
    "suspended": Expected(*PAUSED, "is suspended", settings={"state": "suspended"}),
    "threw an Error, redacted": Expected(
        *FAILED, "hides why", settings=SECOND, fault=threw(""), cause_unknown=True
    ),
    "a query that always fails, redacted": Expected(
        *FAILED,
        "hides why",
        act=lambda it: it.owner_of("d1"),
        settings=MAIN | {"redact": True},
        fault=threw("", path="/api/query", body="getOwnerByDaytonaId", times=9),
        cause_unknown=True,
    ),
    "too many reads": Expected(*FAILED, "Too many reads", fault=threw("Too many reads in a single function")),
    # HTTP 400 to 404: never carried out, never repeated
    "body no JSON": Expected(*REJECTED, "BadJsonBody", fault=coded(400, "BadJsonBody")),
    "body too large": Expected(*REJECTED, "BadJsonBody", act=rename_hugely, settings=SECOND),
    "bad path": Expected(*REJECTED, "BadConvex", fault=coded(400, "BadConvexFunctionIdentifier")),
    "client too old": Expected(*REJECTED, "Unsupported", fault=coded(400, "ClientVersionUnsupported")),
    "key revoked": Expected(*BAD_KEY, "CONVEX_DEPLOY_KEY", options={"deploy_key": REVOKED}),
    "key of another deployment": Expected(*BAD_KEY, "CONVEX_DEPLOY_KEY", options={"deploy_key": OTHER}),
    "forbidden": Expected(*BAD_KEY, "CONVEX_DEPLOY_KEY", fault=coded(403, "BadDeployKey")),
    "wrong address": Expected(*REJECTED, "NotFound", fault=coded(404, "InstanceNotFound")),
    # Refused before the work, or thrown away after it
    "too many at once": Expected(*THROTTLED, "more slowly", fault=coded(429, "TooManyConcurrentRequests")),
    "too many writes": Expected(*THROTTLED, "more slowly", fault=coded(429, "TooManyWrites")),
    "lost to other writes": Expected(
        *CONFLICT, "Other writes", fault=coded(503, "OptimisticConcurrencyControlFailure")
    ),
    "committer full": Expected(*UNAVAILABLE, "too busy", fault=coded(503, "CommitterFullError")),
    "worker overloaded": Expected(*UNAVAILABLE, "too busy", fault=coded(503, "WorkerOverloaded")),
    "misdirected": Expected(*UNAVAILABLE, "too busy", fault=coded(421, "MisdirectedRequest")),
    "too early": Expected(*UNAVAILABLE, "too busy", fault=coded(425, "TooEarly")),
    "nobody listens": Expected(*UNAVAILABLE, "cannot be reached", options={"url": "http://127.0.0.1:9"}),
    # Carried out or not: nobody knows
    "server timeout": Expected(*UNAVAILABLE, "HTTP 408", ambiguous=True, fault=http(408, None)),
    "server timeout after the work": Expected(
        *UNAVAILABLE, "HTTP 408", ambiguous=True, commits=True, fault=http(408, None, execute=True)
    ),
    "server noticed that we left": Expected(
        *UNAVAILABLE, "HTTP 408", ambiguous=True, fault=coded(408, "ClientDisconnected")
    ),
    "internal error": Expected(*UNAVAILABLE, "unknown", ambiguous=True, fault=coded(500, "InternalServerError")),
    "internal error after the work": Expected(
        *UNAVAILABLE, "unknown", ambiguous=True, commits=True, fault=coded(500, "InternalServerError", execute=True)
    ),
    "no answer": Expected(
        *UNAVAILABLE, "did not answer", ambiguous=True, fault={"kind": "hang"}, options={"read_timeout": 0.2}
    ),
    "no answer, and done later": Expected(
        *UNAVAILABLE,
        "did not answer",
        ambiguous=True,
        commits=True,
        fault={"kind": "hang", "execute_after": 0.5},
        options={"read_timeout": 0.2},
    ),
    "connection lost": Expected(*UNAVAILABLE, "did not answer", ambiguous=True, fault={"kind": "drop_before"}),
    "connection lost after the work": Expected(
        *UNAVAILABLE, "did not answer", ambiguous=True, commits=True, fault={"kind": "drop_after"}
    ),
    "connection lost, and done later": Expected(
        *UNAVAILABLE,
        "did not answer",
        ambiguous=True,
        commits=True,
        fault={"kind": "drop_before", "execute_after": 0.3},
    ),
    "proxy found no server": Expected(*UNAVAILABLE, "HTTP 502", ambiguous=True, fault=http(502, HTML)),
    "proxy is overloaded": Expected(*UNAVAILABLE, "HTTP 503", ambiguous=True, fault=http(503, HTML)),
    "proxy gave up": Expected(*UNAVAILABLE, "HTTP 504", ambiguous=True, fault=http(504, None)),
    "proxy's own status": Expected(*UNAVAILABLE, "not Convex", ambiguous=True, fault=http(520, HTML)),
    "HTML with HTTP 200": Expected(*UNAVAILABLE, "not Convex", ambiguous=True, fault=http(200, HTML)),
    "HTML with HTTP 404": Expected(*UNAVAILABLE, "not Convex", ambiguous=True, fault=http(404, HTML)),
    "JSON that is no envelope": Expected(*UNAVAILABLE, "not Convex", ambiguous=True, fault=http(200, {"ok": True})),
    "a list": Expected(*UNAVAILABLE, "not Convex", ambiguous=True, fault=http(200, [1])),
}


@pytest.mark.parametrize("expected", TABLE.values(), ids=TABLE.keys())
def test_the_error_says_what_happened(emulator: Emulator, connect: Connect, expected: Expected) -> None:
    arrange(emulator, expected)
    gateway = connect(**expected.options)

    with pytest.raises(convex.ConvexError) as caught:
        expected.act(gateway)

    error = caught.value
    assert type(error) is expected.error
    assert (error.code, error.ambiguous) == (expected.code, expected.ambiguous)
    assert expected.words in str(error)
    assert error.cause_unknown is expected.cause_unknown
    if expected.commits:
        wait_until(lambda: emulator.log(system="convex", key="d1"), what="the commit of the lost call")
    else:
        assert emulator.log(system="convex", key="d1") == []


@pytest.mark.parametrize("expected", TABLE.values(), ids=TABLE.keys())
def test_no_error_shows_the_key(emulator: Emulator, connect: Connect, expected: Expected) -> None:
    arrange(emulator, expected)
    gateway = connect(**expected.options)

    with pytest.raises(convex.ConvexError) as caught:
        expected.act(gateway)

    secret = expected.options.get("deploy_key", emulator.convex_key).split("|")[1]
    assert secret not in f"{caught.value!s} {caught.value!r} {caught.value.detail} {gateway!r}"
    assert caught.value.__cause__ is None


def arrange(emulator: Emulator, expected: Expected) -> None:
    keys = {
        emulator.convex_key: {},
        READ_ONLY: {"permissions": ["deployment:functions:runInternalQueries", "deployment:data:view"]},
        REVOKED: {"revoked": True},
    }
    emulator.settings(convex_keys=keys, convex=expected.settings)
    full = [sandbox_row(f"full{number}", userId="user_full") for number in range(5)]
    seed(emulator, sandboxes=[sandbox_row(), *full])
    if expected.fault:
        # Only the call itself: what the gateway asks to find the reason is answered as usual.
        rule: dict[str, Any] = {"system": "convex", "path": "/api/mutation", "times": 1}
        emulator.faults.add(**(rule | expected.fault))
