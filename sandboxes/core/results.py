"""What the answers of a provider mean for an operation: one table, by the kind of the answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sandboxes.core.codes import Code, NoticeCode
from sandboxes.core.resources import QUOTAS, Resource
from sandboxes.core.vocabulary import CallOutcome


class ResultKind(StrEnum):
    """What a call, or a fetch, came to."""

    ACCEPTED = "accepted"
    THROTTLED = "throttled"
    UNAUTHORIZED = "unauthorized"
    NOT_CONFIGURED = "not_configured"
    SUSPENDED = "suspended"
    BUSY = "busy"
    NAME_TAKEN = "name_taken"
    COMPUTE_QUOTA_FULL = "compute_quota_full"
    DISK_QUOTA_FULL = "disk_quota_full"
    NO_RUNNERS = "no_runners"
    RECOVER_COOLDOWN = "recover_cooldown"
    RECOVER_EXHAUSTED = "recover_exhausted"
    START_FAILED = "start_failed"
    WRONG_STATE = "wrong_state"
    REJECTED = "rejected"
    NOT_SENT = "not_sent"
    NO_ANSWER = "no_answer"
    NOTHING_SAID = "nothing_said"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What one kind of answer does to the operation.

    `pause`: seconds until the next fetch. `counts`: whether the deadline runs meanwhile; it never does where the
    answer says "not now". `fail`: the code that ends the operation. `is_rejection`: Daytona says why, and a fetch
    decides whether that stands. `may_be_stale`: for as long as that fetch may come from Daytona's cache.
    `lacks`: the quota that is full; where room may be made in it, it is looked for instead of failing.
    """

    outcome: CallOutcome
    why: str
    pause: float = 0.0
    counts: bool = True
    fail: Code | None = None
    is_rejection: bool = False
    may_be_stale: bool = False
    notice: NoticeCode | None = None
    lacks: Resource | None = None


_REFUSED, _UNKNOWN = CallOutcome.REFUSED, CallOutcome.UNKNOWN
K = ResultKind
MEANINGS: dict[ResultKind, Meaning] = {
    K.ACCEPTED: Meaning(CallOutcome.ACCEPTED, "Daytona accepted it"),
    K.THROTTLED: Meaning(_REFUSED, "Daytona throttles; waiting", 0.2, counts=False),
    K.UNAUTHORIZED: Meaning(
        _REFUSED, "Daytona refuses our key; waiting", 60, counts=False, notice=NoticeCode.DAYTONA_UNAUTHORIZED
    ),
    K.NOT_CONFIGURED: Meaning(
        _REFUSED, "Daytona is not configured; waiting", 60, counts=False, notice=NoticeCode.DAYTONA_NOT_CONFIGURED
    ),
    K.SUSPENDED: Meaning(
        _REFUSED, "the organisation is suspended; waiting", 30, counts=False, notice=NoticeCode.ORG_SUSPENDED
    ),
    K.NO_RUNNERS: Meaning(_REFUSED, "Daytona has no free runner; waiting", 2, counts=False),
    K.NOT_SENT: Meaning(_REFUSED, "Daytona cannot be reached; waiting", 1),
    K.BUSY: Meaning(_REFUSED, "another change is in progress; waiting", 0.5),
    K.NAME_TAKEN: Meaning(_REFUSED, "looking who has the name"),
    K.COMPUTE_QUOTA_FULL: Meaning(_REFUSED, QUOTAS[Resource.COMPUTE].why, 0.2, lacks=Resource.COMPUTE),
    K.DISK_QUOTA_FULL: Meaning(
        _REFUSED, QUOTAS[Resource.DISK].why, 0.2, fail=Code.DISK_QUOTA_FULL, lacks=Resource.DISK
    ),
    K.RECOVER_COOLDOWN: Meaning(_REFUSED, "it was recovered recently", fail=Code.RECOVERY_COOLDOWN),
    K.RECOVER_EXHAUSTED: Meaning(_REFUSED, "it was recovered too often", fail=Code.SANDBOX_UNRECOVERABLE),
    K.START_FAILED: Meaning(CallOutcome.FAILED, "Daytona tried and failed; looking why", 0.2),
    K.WRONG_STATE: Meaning(
        _REFUSED, "Daytona refused; looking why", 0.2, is_rejection=True, may_be_stale=True
    ),
    K.REJECTED: Meaning(_REFUSED, "Daytona refused; looking why", is_rejection=True),
    # A call without an answer may be at work; an answer that says nothing is an outage.
    K.NO_ANSWER: Meaning(_UNKNOWN, "Daytona did not answer; looking what happened", 0.5),
    K.NOTHING_SAID: Meaning(_UNKNOWN, "Daytona did not answer; looking what happened", 0.5, counts=False),
}  # fmt: skip
