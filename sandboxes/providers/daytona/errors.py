"""What Daytona's refusals and failures mean: the error classes, and the one table that tells them apart.

Daytona sends no machine-readable code: the body is `{path, timestamp, statusCode, error, message}`, and
only the status and the words of `message` say what happened.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandboxes.core.facts import CallResult
from sandboxes.core.results import ResultKind
from sandboxes.providers.daytona.throttle import retry_after
from sandboxes.providers.messages import said

if TYPE_CHECKING:
    from collections.abc import Mapping


class DaytonaError(Exception):
    """A call that Daytona did not carry out, or of which we cannot say whether it did.

    `message`: Daytona's own words. `status`: of HTTP, None when no answer came. `recording`: what proves
    the pattern that chose this class. `outcome_known`: False when the call may have been carried out all
    the same.
    """

    outcome_known = True
    kind = ResultKind.REJECTED

    def __init__(self, message: str = "", *, status: int | None = None, recording: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.recording = recording

    def as_result(self) -> CallResult:
        """The same as decisions take it."""
        return CallResult(self.kind, self.message)


class NotConfigured(DaytonaError):
    """This process has no Daytona URL or key. Nothing was sent."""

    kind = ResultKind.NOT_CONFIGURED


class NotFound(DaytonaError):
    """A GET by id or name found nothing. No proof: with its database down Daytona says so of any sandbox."""

    kind = ResultKind.NOTHING_SAID


class Busy(DaytonaError):
    """Another change of this sandbox is in progress: wait and observe. Never a failure."""

    kind = ResultKind.BUSY


class NameTaken(DaytonaError):
    """A create whose name exists already in the organisation: look it up by name."""

    kind = ResultKind.NAME_TAKEN


class QuotaFull(DaytonaError):
    """The whole quota of `resource` (CPU, memory, GPU or disk) is in use; `limit` is the quota.

    `limit` counts CPUs, GiB or GPUs, and is None when the words did not give it. Under concurrency the
    refusal may be false (recording 16_quota_concurrency).
    """

    def __init__(
        self,
        message: str = "",
        *,
        resource: str = "",
        limit: float | None = None,
        status: int | None = None,
        recording: str = "",
    ) -> None:
        super().__init__(message, status=status, recording=recording)
        self.resource = resource
        self.limit = limit

    def as_result(self) -> CallResult:
        return CallResult(self.kind, self.message, resource=self.resource, limit=self.limit)


class ComputeQuotaFull(QuotaFull):
    """The running sandboxes use it up: stopping one helps."""

    kind = ResultKind.COMPUTE_QUOTA_FULL


class DiskQuotaFull(QuotaFull):
    """All that are not archived use it up: archiving or deleting one helps, stopping does not."""

    kind = ResultKind.DISK_QUOTA_FULL


class NoRunners(DaytonaError):
    """No host can take the new sandbox at the moment: worth another try later."""

    kind = ResultKind.NO_RUNNERS


class RecoverCooldown(DaytonaError):
    """This sandbox was recovered less than an hour ago; Daytona will not try again yet."""

    kind = ResultKind.RECOVER_COOLDOWN


class RateLimited(DaytonaError):
    """Throttled: `bucket` (`all` for every one) rests for `retry_after` seconds. Not carried out."""

    kind = ResultKind.THROTTLED

    def __init__(
        self,
        message: str = "",
        *,
        retry_after: float = 0.0,
        bucket: str = "all",
        status: int | None = None,
        recording: str = "",
    ) -> None:
        super().__init__(message, status=status, recording=recording)
        self.retry_after = retry_after
        self.bucket = bucket

    def as_result(self) -> CallResult:
        return CallResult(self.kind, self.message, retry_after=self.retry_after)


class Suspended(DaytonaError):
    """The organisation is suspended, for `reason` ("" when Daytona gave none)."""

    kind = ResultKind.SUSPENDED

    def __init__(
        self, message: str = "", *, reason: str = "", status: int | None = None, recording: str = ""
    ) -> None:
        super().__init__(message, status=status, recording=recording)
        self.reason = reason


class Unauthorized(DaytonaError):
    """The key was refused. No call leaves for `retry_after` seconds: bad keys lock the whole address out."""

    kind = ResultKind.UNAUTHORIZED

    def __init__(
        self, message: str = "", *, retry_after: float = 0.0, status: int | None = None, recording: str = ""
    ) -> None:
        super().__init__(message, status=status, recording=recording)
        self.retry_after = retry_after

    def as_result(self) -> CallResult:
        return CallResult(self.kind, self.message, retry_after=self.retry_after)


class Rejected(DaytonaError):
    """Any other refusal. Repeating the call as it is will not help; `message` says why."""


class RecoverExhausted(DaytonaError):
    """It was recovered as often as it can be: each time expands its storage, which has an end."""

    kind = ResultKind.RECOVER_EXHAUSTED


class StartFailed(DaytonaError):
    """The create, start or recover was carried out, and failed: the sandbox is in error."""

    kind = ResultKind.START_FAILED


class WrongState(Rejected):
    """Refused for the state it is in (already there, errored): observe."""

    kind = ResultKind.WRONG_STATE


class Unknown(DaytonaError):
    """No answer that can be trusted: the call may have been carried out, so observe before anything else.

    `sent` is False when no connection was made, and so nothing carried out. `dropped`: the connection was
    lost before a whole answer came.
    """

    outcome_known = False

    def __init__(
        self,
        message: str = "",
        *,
        sent: bool = True,
        dropped: bool = False,
        status: int | None = None,
        recording: str = "",
    ) -> None:
        super().__init__(message, status=status, recording=recording)
        self.sent = sent
        self.dropped = dropped
        self.outcome_known = not sent

    def as_result(self) -> CallResult:
        if not self.sent:
            return CallResult(ResultKind.NOT_SENT, self.message)
        return CallResult(ResultKind.NO_ANSWER if self.status is None else ResultKind.NOTHING_SAID, self.message)


@dataclass(frozen=True, slots=True)
class Pattern:
    """One row: these statuses and this message (searched for) in answer to these operations are this error."""

    error: type[DaytonaError]
    statuses: tuple[int, ...]
    message: re.Pattern[str]
    proof: str
    operations: tuple[str, ...] = ()

    def matches(self, operation: str, status: int, message: str) -> bool:
        return (
            status in self.statuses
            and (not self.operations or operation in self.operations)
            and self.message.search(message) is not None
        )


def _pattern(
    error: type[DaytonaError], statuses: tuple[int, ...], message: str, proof: str, *operations: str
) -> Pattern:
    return Pattern(error, statuses, re.compile(message, re.IGNORECASE), proof, operations)


_QUOTA = r"(?:limit|quota) exceeded"
_NUMBER = r"\d+(?:\.\d+)?"
_LIMIT = rf"(?:\D*Maximum allowed: (?P<limit>{_NUMBER})|\s*\({_NUMBER}\D* > (?P<old_limit>{_NUMBER}))?"

# The first row that matches wins. `proof` names the recording, or the place in Daytona's source when no
# recording has it. Servers older than 2026-04-27 answer 403 instead of 400 to a full quota (and still older
# ones say "quota" for "limit"), those older than 2026-04-02 answer 400 instead of 409 to a change in
# progress.
PATTERNS: tuple[Pattern, ...] = (
    _pattern(Unauthorized, (401,), r"", "02_lookup_auth_errors"),
    _pattern(RateLimited, (429,), r"", "14_throttle"),
    _pattern(DiskQuotaFull, (400, 403), rf"Total (?P<resource>disk) {_QUOTA}{_LIMIT}", "07_quota"),
    _pattern(ComputeQuotaFull, (400, 403), rf"Total (?P<resource>CPU|memory|GPU) {_QUOTA}{_LIMIT}", "07_quota"),
    _pattern(Suspended, (403,), r"Organization is suspended(?:: (?P<reason>.+))?", "11_suspended"),
    _pattern(Busy, (409, 400), r"Sandbox state change in progress", "05_conflicts"),
    _pattern(Busy, (409,), r"Sandbox was modified by another operation", "05_conflicts"),
    _pattern(NameTaken, (409,), r"Sandbox with name .* already exists", "01_create_get", "create"),
    _pattern(
        RecoverCooldown,
        (409,),
        r"recovery has been attempted recently",
        "source: sandbox.service.ts, recover",
        "recover",
    ),
    _pattern(NoRunners, (400,), r"No available runners", "15_outages"),
    _pattern(WrongState, (400,), r"Sandbox is not in a stoppable state", "04_lifecycle"),
    _pattern(WrongState, (400,), r"Sandbox is not stopped", "04_lifecycle"),
    _pattern(WrongState, (400,), r"Sandbox is not in a recoverable state", "04_lifecycle"),
    _pattern(WrongState, (400,), r"Sandbox is in an errored state", "08_errored"),
    _pattern(StartFailed, (400,), r"Sandbox failed to start: ", "08_errored"),
    _pattern(
        RecoverExhausted,
        (403,),
        r"Sandbox storage cannot be further expanded",
        "source: seen of v0.190.0 on 27 November 2026",
        "recover",
    ),
    _pattern(
        WrongState,
        (400,),
        r"Sandbox must be in error state to recover",
        "source: sandbox.service.ts, recover",
    ),
    _pattern(WrongState, (400,), r"Sandbox is not in valid state", "source: sandbox.service.ts, start"),
    _pattern(NotFound, (404,), r"Sandbox with ID or name .* not found", "02_lookup_auth_errors", "get"),
    _pattern(Rejected, (404,), r"^Region not found", "01_create_get", "create"),
    # Any other 404 may be an outage (with the database down, even POST says "not found" of a living
    # sandbox) or a wrong URL (recording 02_lookup_auth_errors).
    _pattern(Unknown, (404,), r"", "15_outages"),
    _pattern(Unknown, (408, 425), r"", "source: proxies between us and Daytona"),
)


def classify(operation: str, status: int, headers: Mapping[str, str], body: bytes) -> DaytonaError:
    """The error that an answer other than 2xx means.

    An answer that is not in Daytona's form (a proxy's HTML, say) is Unknown whatever its status, except 401
    and 429, which mean the same from anyone.
    """
    message = _message(body)
    if message is None and status not in (401, 429):
        return Unknown(f"HTTP {status} with a body that is not Daytona's", status=status)
    if status < 400 or status >= 500:
        return Unknown(message or f"HTTP {status}", status=status)
    message = message or f"HTTP {status}"
    for row in PATTERNS:
        if row.matches(operation, status, message):
            return _build(row, operation, status, headers, message)
    return Rejected(message, status=status)


def _build(row: Pattern, operation: str, status: int, headers: Mapping[str, str], message: str) -> DaytonaError:
    found = row.message.search(message)
    groups = found.groupdict() if found else {}
    if issubclass(row.error, QuotaFull):
        limit = groups.get("limit") or groups.get("old_limit")
        return row.error(
            message,
            resource=_RESOURCES[groups["resource"].lower()],
            limit=float(limit) if limit else None,
            status=status,
            recording=row.proof,
        )
    if row.error is RateLimited:
        seconds, bucket = retry_after(headers, operation)
        return RateLimited(message, retry_after=seconds, bucket=bucket, status=status, recording=row.proof)
    if row.error is Suspended:
        return Suspended(message, reason=groups.get("reason") or "", status=status, recording=row.proof)
    return row.error(message, status=status, recording=row.proof)


_RESOURCES = {"cpu": "CPU", "memory": "memory", "gpu": "GPU", "disk": "disk"}


def _message(body: bytes) -> str | None:
    """Daytona's words, or None when the body is not Daytona's error form."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    message = answer.get("message") if isinstance(answer, dict) else None
    if isinstance(message, list):
        message = ", ".join(str(part) for part in message)
    return said(message) if isinstance(message, str) and message else None
