"""Calling Daytona: what is written before a call, the call, and what its answer means for the operation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.conf import settings

from sandboxes.codes import Code, NoticeCode
from sandboxes.gateways import daytona_errors as daytona
from sandboxes.gateways.daytona import DaytonaGateway, NewSandbox, RemoteSandbox
from sandboxes.models import Operation, Sandbox
from sandboxes.services import notices
from sandboxes.services.asked import labels_of

LOOK_REFUSED_PAUSE = 5.0  # seconds


class Outcome(StrEnum):
    PENDING = "pending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the loop does after a call or a failed look.

    `pause`: seconds until the next look. `counted`: whether the deadline runs meanwhile. `fail`: the code that ends
    the operation. `quota`: Daytona has no room. `rejected`: Daytona's words, to be settled by observing once more;
    `may_be_stale`: for as long as a GET may come from Daytona's cache.
    """

    outcome: Outcome
    why: str = ""
    pause: float = 0.0
    counted: bool = True
    fail: Code | None = None
    quota: daytona.ComputeQuotaFull | None = None
    rejected: str = ""
    may_be_stale: bool = False
    remote: RemoteSandbox | None = None


# Which conditions an accepted call shows to be over: a suspended organisation may still stop and delete.
KEY_WORKS = (NoticeCode.DAYTONA_UNAUTHORIZED, NoticeCode.DAYTONA_NOT_CONFIGURED)
DISPROVED_BY = dict.fromkeys(("create", "start", "recover"), (*KEY_WORKS, NoticeCode.ORG_SUSPENDED))


def mark(row: Sandbox, operation: Operation, name: str, *, now: datetime) -> None:
    """Before a mutating call: from here on it may run, whatever happens to this worker."""
    row.last_call = {
        "name": name,
        "at": now.isoformat(),
        "outcome": Outcome.PENDING,
        "unsettled_before": row.unsettled_until.isoformat() if row.unsettled_until else None,
    }
    row.unsettled_until = now + timedelta(seconds=settings.UNSETTLED_SECONDS)
    operation.calls = [*operation.calls, {"name": name, "at": now.isoformat(), "outcome": Outcome.PENDING}]


def note(row: Sandbox, operation: Operation, answer: Answer) -> bool:
    """After it: a definite answer settles this call, though not an earlier one that may still run late.

    Returns whether it is news: the same refusal again is only counted, for a condition may last for days.
    """
    row.last_call = {**row.last_call, "outcome": answer.outcome, "counted": answer.counted}
    *earlier, made = operation.calls
    made = {**made, "outcome": answer.outcome}
    if answer.rejected:
        made |= {"words": answer.rejected, "may_be_stale": answer.may_be_stale}
    is_news = not earlier or answer.outcome != Outcome.REFUSED or not _is_same(earlier[-1], made)
    if not is_news:
        first = earlier.pop()
        made = {**first, "times": first.get("times", 1) + 1}
    operation.calls = [*earlier, made]
    if answer.outcome != Outcome.UNKNOWN:
        before = row.last_call.get("unsettled_before")
        row.unsettled_until = datetime.fromisoformat(before) if before else None
    return is_news


def _is_same(call: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(call.get(name) == other.get(name) for name in ("name", "outcome", "words", "may_be_stale"))


def was_rejected(operation: Operation, name: str, *, now: datetime) -> bool:
    """Whether Daytona's refusal of this call stands: it was observed since, and the call is still what is needed.

    A refusal for the sandbox's state stands only when it has outlived the cache that GETs come from.
    """
    refusals = []
    for made in reversed(operation.calls):
        if made["name"] != name or "words" not in made:
            break
        refusals.append(made)
    if not refusals:
        return False
    if not refusals[0]["may_be_stale"]:
        return True
    age = (now - datetime.fromisoformat(refusals[-1]["at"])).total_seconds()
    return age >= float(settings.CALL_ECHO_SECONDS)


def awaiting(row: Sandbox, *, now: datetime) -> str | None:
    """Our latest call while its effect may still be invisible to a GET.

    Daytona answers GETs from a cache of up to 10 s; a call with an unknown outcome is believed to have been
    lost after half of that, and may be made again.
    """
    call: dict[str, Any] = row.last_call
    if not call or call["outcome"] == Outcome.REFUSED:
        return None
    echo = settings.CALL_ECHO_SECONDS * (1.0 if call["outcome"] == Outcome.ACCEPTED else 0.5)
    age = (now - datetime.fromisoformat(call["at"])).total_seconds()
    return str(call["name"]) if age < echo else None


def was_outage(row: Sandbox) -> bool:
    """Whether an outage answered our latest call, so that nobody knows what became of it."""
    return row.last_call.get("outcome") == Outcome.UNKNOWN and not row.last_call.get("counted", True)


def make(gateway: DaytonaGateway, row: Sandbox, name: str) -> Answer:
    """Make the call and say what its answer means."""
    try:
        remote = gateway.create(_new(row)) if name == "create" else getattr(gateway, name)(row.daytona_id)
    except daytona.DaytonaError as error:
        return meaning(error)
    notices.close(*DISPROVED_BY.get(name, KEY_WORKS))
    return Answer(Outcome.ACCEPTED, why=f"Daytona accepted {name}", remote=remote)


def _new(row: Sandbox) -> NewSandbox:
    """The snapshot of the tier, or its resources; never both (Daytona refuses both)."""
    sized = not row.snapshot
    return NewSandbox(
        name=row.daytona_name,
        snapshot=row.snapshot or None,
        cpu=row.cpu if sized else None,
        memory_gb=row.memory_gb if sized else None,
        disk_gb=row.disk_gb if sized else None,
        labels=labels_of(row),
        target=row.target,
        auto_stop=row.auto_stop_minutes,
        auto_archive=row.auto_archive_minutes,
        auto_delete=row.auto_delete_minutes,
    )


def unseen(error: daytona.DaytonaError) -> Answer:
    """What it means that a look failed. Nobody can say when a refused one will succeed: it is repeated slowly."""
    answer = meaning(error)
    if not isinstance(error, daytona.Rejected):
        return answer
    notices.tell(NoticeCode.UNKNOWN_ANSWER, f"Daytona refuses to show a sandbox: {error.message}")
    return replace(answer, why="Daytona refuses to show it; waiting", pause=LOOK_REFUSED_PAUSE)


def meaning(error: daytona.DaytonaError) -> Answer:
    """What each class of the gateway's errors does to the operation (the table of the design)."""
    refused, unknown = Outcome.REFUSED, Outcome.UNKNOWN
    match error:
        case daytona.RateLimited():
            return Answer(refused, "Daytona throttles; waiting", pause=max(error.retry_after, 0.2), counted=False)
        case daytona.Unauthorized():
            notices.tell(NoticeCode.DAYTONA_UNAUTHORIZED, f"Daytona refuses our key: {error.message}")
            return Answer(refused, "Daytona refuses our key; waiting", pause=error.retry_after or 60, counted=False)
        case daytona.NotConfigured():
            notices.tell(NoticeCode.DAYTONA_NOT_CONFIGURED, str(error.message))
            return Answer(refused, "Daytona is not configured; waiting", pause=60, counted=False)
        case daytona.Suspended():
            notices.tell(NoticeCode.ORG_SUSPENDED, error.message)
            return Answer(refused, "the organisation is suspended; waiting", pause=30, counted=False)
        case daytona.Busy():
            return Answer(refused, "another change is in progress; waiting", pause=0.5)
        case daytona.NameTaken():
            return Answer(refused, "looking who has the name", pause=0)
        case daytona.ComputeQuotaFull():
            return Answer(refused, "waiting for capacity", quota=error)
        case daytona.DiskQuotaFull():
            return Answer(refused, fail=Code.DISK_QUOTA_FULL, rejected=error.message)
        case daytona.NoRunners():
            return Answer(refused, "Daytona has no free runner; waiting", pause=2)
        case daytona.RecoverCooldown():
            return Answer(refused, fail=Code.RECOVERY_COOLDOWN, rejected=error.message)
        case daytona.WrongState():
            return Answer(
                refused, "Daytona refused; looking why", pause=0.2, rejected=error.message, may_be_stale=True
            )
        case daytona.Rejected():
            return Answer(refused, "Daytona refused; looking why", pause=0, rejected=error.message)
        case daytona.Unknown() if not error.sent:
            return Answer(refused, "Daytona cannot be reached; waiting", pause=1)
    # An answer that says nothing is an outage; a call without one may be at work.
    return Answer(unknown, "Daytona did not answer; looking what happened", pause=0.5, counted=error.status is None)
