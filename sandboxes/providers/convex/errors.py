"""What Convex's answers other than success mean: the error classes, and the function that tells them apart.

An error that a function raised comes with HTTP 200. Only `errorData` in it is stable: production deployments
replace the words of every other error. Everything else is told apart by HTTP status and `code`.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from sandboxes.providers.messages import named, said

# All that a production deployment leaves of an error's words.
_HIDDEN = re.compile(r"\s*(\[Request ID: [^\]]*\])?\s*(Server Error)?\s*")
MESSAGE_LIMIT = 1000


class ConvexError(Exception):
    """A call that Convex did not carry out, or of which we cannot say whether it did.

    `code`: stable word for programs. `ambiguous`: it may have been carried out, now or later. `str()` is what
    happened and what to do, for people; `detail` is what Convex said, "" when it said nothing. `request_id` finds
    the call in Convex's own logs.
    `cause_unknown`: Convex hides why its function failed and nothing else tells, so no one cause is likelier.
    """

    code: ClassVar[str] = "convex_rejected"
    ambiguous = False

    def __init__(
        self,
        message: str,
        *,
        detail: str = "",
        status: int | None = None,
        request_id: str = "",
        cause_unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.cause_unknown = cause_unknown
        self.message = message
        self.detail = said(detail)
        self.status = status
        self.request_id = request_id


class ConvexRejected(ConvexError):
    """Convex or the function refused this call; repeating it as it is will not help."""


class ConvexApplicationError(ConvexRejected):
    """The function threw a ConvexError: `application_code` and `data` are its own and survive redaction."""

    code = "convex_refused"

    def __init__(self, message: str, *, application_code: str = "", data: Any = None, **known: Any) -> None:
        super().__init__(message, **known)
        self.application_code = application_code
        self.data = data


class FunctionFailed(ConvexRejected):
    """The function failed without errorData, and the gateway found no other reason for it.

    Production deployments hide the words of such an error: then `cause_unknown` is True.
    """

    def __init__(self, path: str, **known: Any) -> None:
        detail = str(known.get("detail", ""))
        hidden = _HIDDEN.fullmatch(detail) is not None
        why = "Convex hides why; its own logs tell." if hidden else detail[:MESSAGE_LIMIT]
        super().__init__(f"Convex's function {path} failed: {why}", cause_unknown=hidden, **known)


class FunctionMissing(ConvexError):
    """`path` is not deployed, or not with the arguments we send (`reason` says which)."""

    code = "convex_function_missing"

    def __init__(self, path: str, *, reason: str = "it is not deployed", **known: Any) -> None:
        super().__init__(
            f"Convex's function {path} cannot be used: {reason}. Deploy it; `manage.py doctor` says which.",
            **known,
        )
        self.path = path
        self.reason = reason


class ConvexUnauthorized(ConvexError):
    """The deploy key was refused, or lacks `permission`."""

    code = "convex_unauthorized"

    def __init__(self, message: str, *, permission: str = "", **known: Any) -> None:
        super().__init__(message, **known)
        self.permission = permission


class ConvexPaused(ConvexError):
    """The deployment runs no functions: `state` is paused, disabled or suspended."""

    code = "convex_paused"

    def __init__(self, state: str, **known: Any) -> None:
        super().__init__(f"Convex's deployment is {state}. Resume it on Convex's dashboard.", **known)
        self.state = state


class ConvexThrottled(ConvexError):
    """Too many calls at once, or too many writes. Nothing was carried out."""

    code = "convex_throttled"


class ConvexConflict(ConvexError):
    """Other writes got in the way until Convex gave up. Nothing was committed."""

    code = "convex_conflict"


class ConvexUnavailable(ConvexError):
    """No usable answer. `ambiguous` is False when it is certain that nothing was carried out."""

    code = "convex_unavailable"

    def __init__(self, message: str, *, ambiguous: bool, **known: Any) -> None:
        super().__init__(message, **known)
        self.ambiguous = ambiguous


_BAD_KEY = "Convex refuses the deploy key. Put a valid one into CONVEX_DEPLOY_KEY and restart the workers."
_NOT_CONVEX = "What answers at CONVEX_URL is not Convex. Check the address, and the proxy in front of it."
_BUSY = "Convex is too busy at the moment; it will be tried again."
# Answers that are given before a function runs, or after its writes were thrown away.
_NOT_EXECUTED = (421, 425)


def of_status(status: int, body: Any, *, path: str, **known: Any) -> ConvexError:
    """The error of an answer that is no envelope. `body` is None when it was no JSON object."""
    known |= {"status": status, "detail": _said(body)}
    code = body.get("code") if isinstance(body, dict) else None
    if status in (401, 403):
        return ConvexUnauthorized(_BAD_KEY, **known)
    if status == 429:
        return ConvexThrottled("Convex limits our calls; they will be tried again more slowly.", **known)
    if code is None:
        return ConvexUnavailable(_no_convex(status), ambiguous=True, **known)
    if code == "OptimisticConcurrencyControlFailure":
        return ConvexConflict("Other writes to the same rows came first; it will be tried again.", **known)
    if status == 503 or status in _NOT_EXECUTED:
        return ConvexUnavailable(_BUSY, ambiguous=False, **known)
    if status >= 500 or status == 408:
        return ConvexUnavailable(
            f"Convex broke off (HTTP {status}); whether it did the work is unknown.", ambiguous=True, **known
        )
    if code == "FunctionPathNotFound":
        return FunctionMissing(path, **known)
    return ConvexRejected(f"Convex refused the call to {path}: {known['detail']}", **known)


def of_envelope(envelope: dict[str, Any], *, path: str, **known: Any) -> ConvexError:
    """The error of an envelope with `status: "error"`."""
    known["detail"] = said(str(envelope.get("errorMessage", "")))
    data = envelope.get("errorData")
    if data is None:
        return FunctionFailed(path, **known)
    fields = data if isinstance(data, dict) else {"message": data}
    return ConvexApplicationError(
        said(str(fields.get("message") or fields.get("code") or data)),
        application_code=named(str(fields.get("code", ""))),
        data=data,
        **known,
    )


def _no_convex(status: int) -> str:
    if status in (408, 500, 502, 503, 504):
        return f"Convex, or a proxy in front of it, does not work (HTTP {status}); it will be tried again."
    return _NOT_CONVEX


def _said(body: Any) -> str:
    if not isinstance(body, dict):
        return ""
    return said(": ".join(str(body[name]) for name in ("code", "message") if body.get(name)))
