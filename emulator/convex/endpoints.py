"""Convex's HTTP API (crates/local_backend/src/public_api.rs): order of checks, envelopes, error bodies."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from emulator.convex import keys
from emulator.convex.values import FORMATS, BadValue, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from emulator.convex.deployment import Deployment, FunctionResult
    from emulator.convex.keys import DeployKey

MAX_BODY = 16 * 1024 * 1024 + 2000
PATH = re.compile(r"[A-Za-z0-9_./]+(:[A-Za-z0-9_]+)?")


class HttpError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True)
class Call:
    path: str
    args: Any
    form: str


class Endpoints:
    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment

    def routes(self) -> list[Route]:
        return [
            Route("/api/query", self._typed("Query"), methods=["POST"]),
            Route("/api/mutation", self._typed("Mutation"), methods=["POST"]),
            Route("/api/action", self._typed("Action"), methods=["POST"]),
            Route("/api/function", self._guarded(self.any_function), methods=["POST"]),
            Route("/api/query_batch", self._guarded(self.batch), methods=["POST"]),
            Route("/api/run/{path:path}", self._guarded(self.run), methods=["POST"]),
            Route("/version", _text("unknown"), methods=["GET"]),
            Route("/instance_name", _text("sandkeeper-emulator"), methods=["GET"]),
            Route("/instance_version", _text("unknown"), methods=["GET"]),
        ]

    def _typed(self, kind: str) -> Any:
        async def endpoint(request: Request) -> Response:
            _check_headers(request)
            call = _call(await _body(request))
            return self._answer(call, request, kind=kind, key=self._key(request))

        return self._guarded(endpoint)

    async def any_function(self, request: Request) -> Response:
        _check_headers(request)
        call = _call(await _body(request))
        key = self._key(request)
        if key is None:
            raise HttpError(403, "BadDeployKey", "The provided deploy key was invalid for this deployment.")
        return self._answer(call, request, kind=None, key=key)

    async def run(self, request: Request) -> Response:
        _check_headers(request)
        module, _, export = request.path_params["path"].rpartition("/")
        call = _call({"path": f"{module}:{export}"} | await _body(request))
        return self._answer(call, request, kind=None, key=self._key(request))

    async def batch(self, request: Request) -> Response:
        _check_headers(request)
        body = await _body(request)
        calls = [_call(query) for query in body.get("queries", [])]
        key = self._key(request)
        outcomes = [self.deployment.call(call.path, call.args, kind="Query", key=key) for call in calls]
        envelopes = [
            self._envelope(outcome, request, form=call.form) for call, outcome in zip(calls, outcomes, strict=True)
        ]
        return _json(200, {"results": envelopes})

    def _answer(self, call: Call, request: Request, *, kind: str | None, key: DeployKey | None) -> Response:
        outcome = self.deployment.call(call.path, call.args, kind=kind, key=key)
        return _json(200, self._envelope(outcome, request, form=call.form))

    def _envelope(self, outcome: FunctionResult, request: Request, *, form: str) -> dict[str, Any]:
        # The format is looked at after the function ran: a mutation is committed by now.
        if form not in FORMATS:
            raise HttpError(400, "BadFormat", f"Unknown format {form!r}.")
        redact = self.deployment.setting("redact")
        envelope: dict[str, Any] = {"status": "error" if outcome.error else "success"}
        if outcome.error:
            request_id = request.headers.get("convex-request-id") or secrets.token_hex(8)
            envelope["errorMessage"] = f"[Request ID: {request_id}] Server Error"
            if not redact:
                envelope["errorMessage"] += f"\n{outcome.error}"
            if outcome.has_data:
                envelope["errorData"] = encode(outcome.data, form=form)
        else:
            envelope["value"] = encode(outcome.value, form=form)
        if outcome.log_lines and not redact:
            envelope["logLines"] = outcome.log_lines
        return envelope

    def _key(self, request: Request) -> DeployKey | None:
        """None: nobody. Its syntax was checked already; here Convex looks whether it is valid."""
        given = request.headers.get("authorization", "")
        if not given:
            return None
        kind, _, secret = given.partition(" ")
        try:
            secret, acting_as = keys.split(secret)
        except keys.Malformed as error:
            raise HttpError(400, "HeaderParseFailure", "Malformed Authorization header.") from error
        known = self.deployment.core.settings.convex_keys
        key = keys.find(secret, known, acting_as) if kind == "Convex" else None
        if key is None:
            raise HttpError(401, "BadAdminKey", "The provided admin key was invalid for this instance")
        return key

    def _guarded(self, endpoint: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def guarded(request: Request) -> Response:
            try:
                answer: Response = await endpoint(request)
            except HttpError as error:
                return _json(error.status, {"code": error.code, "message": error.message})
            return answer

        return guarded


def _check_headers(request: Request) -> None:
    authorization = request.headers.get("authorization")
    if authorization is not None and not re.fullmatch(r"(Convex|Bearer) \S+", authorization):
        raise HttpError(400, "InvalidHeaderFailure", "The Authorization header could not be parsed.")
    client = request.headers.get("convex-client")
    if client is not None and not re.fullmatch(r".+-\d+\.\d+\.\d+\S*", client):
        raise HttpError(400, "InvalidClientVersion", f"Failed to parse client version: {client}")


async def _body(request: Request) -> dict[str, Any]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HttpError(400, "BadJsonBody", "Expected request with `Content-Type: application/json`")
    raw = await request.body()
    if len(raw) > MAX_BODY:
        raise HttpError(400, "BadJsonBody", "Failed to buffer the request body: length limit exceeded")
    try:
        body = json.loads(raw)
    except ValueError as error:
        message = f"Failed to parse the request body as JSON: {error}"
        raise HttpError(400, "BadJsonBody", message) from error
    if not isinstance(body, dict):
        raise HttpError(400, "BadJsonBody", "Failed to parse the request body as JSON: expected an object")
    return body


def _call(body: dict[str, Any]) -> Call:
    """The canonical call: `sandboxes.js:updateStatus` is `sandboxes:updateStatus`, `[args]` is `args`."""
    for name in ("path", "args"):
        if name not in body:
            raise HttpError(400, "BadJsonBody", f"Failed to deserialize the JSON body: missing field `{name}`")
    path, args = body["path"], body["args"]
    if not isinstance(path, str) or not PATH.fullmatch(path):
        raise HttpError(400, "BadConvexFunctionIdentifier", f"{path!r} is not a valid path to a function.")
    module, _, export = path.partition(":")
    if isinstance(args, list):
        args = args[0] if args else {}
    try:
        arguments = decode(args)
    except BadValue as error:
        raise HttpError(400, "BadJsonBody", str(error)) from error
    return Call(f"{module.removesuffix('.js')}:{export or 'default'}", arguments, body.get("format", "json"))


def _json(status: int, body: Any) -> Response:
    return Response(json.dumps(body, separators=(",", ":")), status_code=status, media_type="application/json")


def _text(text: str) -> Callable[[Request], Response]:
    return lambda request: PlainTextResponse(text)
