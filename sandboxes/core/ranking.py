"""Who would make room, and why not the others. Pure: rules with names, a ranking with verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sandboxes.core.resources import QUOTAS, Resource
from sandboxes.core.vocabulary import Intent, Status

if TYPE_CHECKING:
    from uuid import UUID


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sandbox as it was ranked; `taken_by` is its value of TAKEN_BY."""

    sandbox_id: UUID
    daytona_id: str | None
    name: str
    owner: str
    status: str
    intent: str
    cpu: int
    memory_gb: int
    disk_gb: int
    auto_delete: int | None
    protected_until: datetime | None
    last_used_at: datetime
    taken_by: datetime
    busy: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of the ranking: the rules this candidate breaks; none = it may make room."""

    candidate: Candidate
    broken: tuple[str, ...]

    @property
    def passes(self) -> bool:
        return not self.broken

    def as_data(self) -> dict[str, Any]:
        c = self.candidate
        return {
            "sandbox": str(c.sandbox_id), "name": c.name, "owner": c.owner, "status": c.status, "cpu": c.cpu,
            "memory_gb": c.memory_gb, "disk_gb": c.disk_gb, "last_used_at": c.last_used_at.isoformat(),
            "broken": list(self.broken),
        }  # fmt: skip


def survives_a_stop(auto_delete: int | None) -> bool:
    """Whether it comes back after a stop. An auto-delete of 0 minutes makes Daytona delete it when it stops, a
    positive one dooms it some minutes later, and one that Daytona did not tell may be either."""
    return auto_delete is not None and auto_delete < 0


# The attribute of a sandbox by which it is taken, the smallest first.
TAKEN_BY = "last_used_at"
Check = Callable[[Candidate, datetime, float], bool]


@dataclass(frozen=True, slots=True)
class RankingRule:
    """`check` says whether a candidate passes; None where only the stop itself can tell. `passed` and `broken` are
    how people read it. `of`: where it is a rule; a stop makes room for compute, an archive for disk."""

    passed: str
    broken: str
    check: Check | None = None
    of: frozenset[Resource] = frozenset(Resource)


COMPUTE, DISK = frozenset({Resource.COMPUTE}), frozenset({Resource.DISK})
# By the name that a stored ranking and the API have for it.
RULES: dict[str, RankingRule] = {
    "running": RankingRule(
        "running", "does not run, or is to be deleted",
        lambda c, now, idle: c.status == Status.RUNNING and c.intent != Intent.DELETED, COMPUTE,
    ),
    "stopped": RankingRule(
        "stopped", "is not stopped, or is to be deleted",
        lambda c, now, idle: c.status == Status.STOPPED and c.intent != Intent.DELETED, DISK,
    ),
    "survives_a_stop": RankingRule(
        "survives a stop", "a stop would destroy it", lambda c, now, idle: survives_a_stop(c.auto_delete), COMPUTE
    ),
    "is_to_stay": RankingRule(
        "is to stay", "auto-delete will end it", lambda c, now, idle: survives_a_stop(c.auto_delete), DISK
    ),
    "not_protected": RankingRule(
        "not protected", "protected", lambda c, now, idle: c.protected_until is None or c.protected_until <= now
    ),
    "no_operation": RankingRule("no operation active", "an operation is active", lambda c, now, idle: not c.busy),
    "idle": RankingRule(
        "idle long enough", "used too recently",
        lambda c, now, idle: (now - c.last_used_at).total_seconds() >= idle,
    ),
    "readable": RankingRule("Daytona answered", "Daytona did not answer"),
    "unchanged": RankingRule("unchanged since ranked", "changed since ranked"),
}  # fmt: skip


def judge(candidate: Candidate, resource: Resource, *, now: datetime, min_idle: float) -> Verdict:
    """The rules by which this candidate makes no room; `min_idle` in seconds."""
    checks = ((name, rule.check) for name, rule in RULES.items() if rule.check is not None and resource in rule.of)
    return Verdict(candidate, tuple(name for name, check in checks if not check(candidate, now, min_idle)))


def verdicts(broken: Collection[str], resource: Resource) -> list[tuple[bool, str]]:
    """Whether each rule is passed, and how people read that: of all that were checked, and of those broken."""
    checked = [name for name, rule in RULES.items() if rule.check is not None and resource in rule.of]
    shown = [name for name in RULES if name in checked or name in broken]
    return [(name not in broken, RULES[name].broken if name in broken else RULES[name].passed) for name in shown]


def rank(
    candidates: Iterable[Candidate], resource: Resource, *, now: datetime, min_idle: float, first_owner: str = ""
) -> list[Verdict]:
    """By TAKEN_BY; the asking owner's own ones before everybody else's."""
    ordered = sorted(candidates, key=lambda c: (c.owner != first_owner, c.taken_by, c.sandbox_id))
    return [judge(c, resource, now=now, min_idle=min_idle) for c in ordered]


def for_owner(verdicts: Iterable[dict[str, Any]], resource: Resource, owner: str) -> dict[str, Any]:
    """What an owner may read of a stored ranking: their own lines, others' only as counts per rule."""
    lines = list(verdicts)
    foreign = [line for line in lines if line["owner"] != owner]
    counts = Counter(rule for line in foreign for rule in (line["broken"] or [f"may_be_{QUOTAS[resource].done}"]))
    return {"own": [line for line in lines if line["owner"] == owner], "others": dict(counts)}
