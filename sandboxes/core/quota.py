"""The search for room in a full quota: its phases, and what leads from one to the next. Pure.

Daytona reserves before it checks, so a refusal can be false (recording 16_quota_concurrency): one operation at a
time, by lease of the region and class, tries again first and only then asks for a victim.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from sandboxes.core.resources import Resource

RETRY_AFTER_VICTIM = 10.0  # seconds; Daytona's usage cache shows a freed slot late


class Phase(StrEnum):
    """RETRY (a short random pause, then the call once more) → CHOOSE → VICTIM (its stop, or archive, is awaited) →
    FREED (calls again for a while) → CHOOSE …. Where others are leaving anyway, CHOOSE → LEAVING → FREED, and
    nobody is stopped for it."""

    RETRY = "retry"
    CHOOSE = "choose"
    VICTIM = "victim"
    LEAVING = "leaving"
    FREED = "freed"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaSearch:
    """One operation's search.

    `resource`: of what there is too little. `message`: Daytona's refusal. `not_before`, `until`: when RETRY begins
    and FREED ends. `victims`: the operations that it asked of others. `leaving`: the sandboxes that are awaited.
    `unanswered`: candidates that Daytona did not answer for in this round. `lease`: the token of the right to
    search. `exhausted`: why it has ended without any room, with the `ranking` of then.
    """

    phase: Phase = Phase.RETRY
    resource: Resource = Resource.COMPUTE
    message: str = ""
    not_before: datetime | None = None
    until: datetime | None = None
    victims: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    lease: str = ""
    lease_name: str = ""
    exhausted: str = ""
    ranking: tuple[dict[str, Any], ...] = ()

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Self:
        """Read what `as_data` wrote."""
        values: dict[str, Any] = {name: data[name] for name in _TEXTS if name in data}
        values |= {name: datetime.fromisoformat(data[name]) for name in _TIMES if data.get(name)}
        values |= {name: tuple(data[name]) for name in _LISTS if name in data}
        return cls(phase=Phase(data["phase"]), resource=Resource(data.get("resource", Resource.COMPUTE)), **values)

    def as_data(self) -> dict[str, Any]:
        """As JSON, without what is empty."""
        times = {name: moment.isoformat() for name in _TIMES if (moment := getattr(self, name)) is not None}
        lists = {name: list(found) for name in _LISTS if (found := getattr(self, name))}
        texts = {name: text for name in _TEXTS if (text := getattr(self, name))}
        return {"phase": self.phase.value, "resource": self.resource.value, **times, **lists, **texts}

    def refused(self, message: str, *, now: datetime) -> QuotaSearch:
        """After one more refusal: the random retry was in vain, or what became free was too little."""
        first = message.splitlines()[0] if message else ""
        is_over = self.phase is Phase.RETRY or self.until is None or now >= self.until
        return replace(self, message=first, phase=Phase.CHOOSE if is_over else self.phase)

    def forbids_call(self, *, now: datetime) -> bool:
        """Whether the call has to wait."""
        if not self.lease or self.phase in (Phase.CHOOSE, Phase.VICTIM, Phase.LEAVING):
            return True
        return self.phase is Phase.RETRY and self.not_before is not None and now < self.not_before

    def slot_freed(self, *, now: datetime) -> QuotaSearch:
        """Something ended that Daytona counted: the call is tried again for a while."""
        return replace(self, phase=Phase.FREED, until=now + timedelta(seconds=RETRY_AFTER_VICTIM))

    def victim_ended(self, *, cancelled: bool, now: datetime) -> QuotaSearch:
        """After the stop, or the archive, of the victim.

        However it ended, its slot may be free: one that failed leaves it in error, which no quota counts, nor what
        was deleted meanwhile. One that a person took back is as if it had not been chosen.
        """
        if cancelled:
            return replace(self, victims=self.victims[:-1], phase=Phase.CHOOSE)
        return self.slot_freed(now=now)

    def wait_for_victim(self, operation: str) -> QuotaSearch:
        return replace(self, victims=(*self.victims, operation), phase=Phase.VICTIM, unanswered=())

    def wait_for_leaving(self, sandboxes: list[str]) -> QuotaSearch:
        return replace(self, leaving=tuple(sandboxes), phase=Phase.LEAVING)

    def released(self) -> QuotaSearch:
        """It is over, or in another's hands: somebody else may search."""
        return replace(self, lease="")


_TIMES = ("not_before", "until")
_LISTS = ("victims", "leaving", "unanswered", "ranking")
_TEXTS = ("message", "lease", "lease_name", "exhausted")


def begin(message: str, *, now: datetime, jitter: float, resource: Resource = Resource.COMPUTE) -> QuotaSearch:
    """The first refusal: the call is tried once more after 0.2 to 0.8 s, for it may have been a false one."""
    first = message.splitlines()[0] if message else ""
    return QuotaSearch(resource=resource, message=first, not_before=now + timedelta(seconds=0.2 + 0.6 * jitter))
