"""What a sweep is asked and what it answers."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sandboxes.models import Sweep

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from sandboxes.services.reconcile.changes import FieldChange

MOST_FINDINGS = 1000  # of a kind that are kept to be shown; the counts are of all


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`dry_run` looks, and writes nothing but its line in the list of sweeps. `owner` limits all to one owner.
    `force` believes even a list that lacks very many sandboxes. `restored`: from a backup; see restored.py.
    `adopt_unlisted` takes over what Convex does not list as well; `delete_unlisted` names by Daytona's id which of
    those are deleted in Daytona, as an operator confirmed them.
    """

    owner: str = ""
    dry_run: bool = False
    adopt: bool = False
    adopt_unlisted: bool = False
    delete_unlisted: frozenset[str] = frozenset()
    enforce_intent: bool = False
    verify_convex: bool = False
    force: bool = False
    restored: bool = False

    def deletes(self, daytona_id: str) -> bool:
        return daytona_id in self.delete_unlisted


class FindingKind(StrEnum):
    DRIFT = "drift"
    SETTING = "setting"
    MISSING = "missing"
    GONE = "gone"
    REVIVED = "revived"
    ORPHAN = "orphan"
    ADOPTED = "adopted"
    UNLISTED = "unlisted"
    DELETED = "deleted"
    LEFTOVER = "leftover"
    INTENT_BROKEN = "intent_broken"
    ENFORCED = "enforced"
    STUCK = "stuck"
    CONVEX = "convex"
    UNMATCHED = "unmatched"
    BAD_ROW = "bad_row"
    UNANSWERED = "unanswered"


# What a dry run reports with exit code 2: something is not as it should be, or would be changed.
OUT_OF_LINE = frozenset(FindingKind) - {FindingKind.UNANSWERED, FindingKind.BAD_ROW}


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepFinding:
    """One line of the result: what of which sandbox, in words."""

    kind: FindingKind
    text: str
    daytona_id: str = ""
    sandbox_id: UUID | str | None = None
    name: str = ""
    owner: str = ""
    changes: tuple[FieldChange, ...] = ()

    def as_data(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "text": self.text,
            "sandbox": str(self.sandbox_id or ""),
            "daytona_id": self.daytona_id,
            "name": self.name,
            "owner": self.owner,
            "changes": [change.as_data() for change in self.changes],
        }


@dataclass
class SweepReport:
    """Counts and findings as they come in, from any thread; flat, however many sandboxes there are.

    `on_finding` gets every finding, also those that are no longer kept.
    """

    counts: Counter[str] = field(default_factory=Counter)
    findings: list[SweepFinding] = field(default_factory=list)
    on_finding: Callable[[SweepFinding], None] = lambda finding: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, name: str, number: int = 1) -> None:
        with self._lock:
            self.counts[name] += number

    def add(self, *findings: SweepFinding) -> None:
        for finding in findings:
            with self._lock:
                self.counts[finding.kind.value] += 1
                if self.counts[finding.kind.value] <= MOST_FINDINGS:
                    self.findings.append(finding)
                self.on_finding(finding)

    @property
    def out_of_line(self) -> int:
        return sum(self.counts[kind.value] for kind in OUT_OF_LINE)


@dataclass(frozen=True, slots=True)
class SweepResult:
    """How a sweep ended. `detail` says why it is partial or refused."""

    options: Options
    result: str
    report: SweepReport
    detail: str
    seconds: float

    @property
    def exit_code(self) -> int:
        """0: clean or healed; 2: a dry run found something, or Convex differed; 3: partial or refused."""
        if self.result != Sweep.Result.COMPLETE:
            return 3
        differs = self.options.verify_convex and self.report.counts[FindingKind.CONVEX]
        return 2 if differs or (self.options.dry_run and self.report.out_of_line) else 0

    def as_data(self) -> dict[str, Any]:
        return {
            "result": self.result,
            "dry_run": self.options.dry_run,
            "owner": self.options.owner,
            "seconds": round(self.seconds, 3),
            "counts": dict(sorted(self.report.counts.items())),
            "findings": [finding.as_data() for finding in self.report.findings],
            "detail": self.detail,
        }
