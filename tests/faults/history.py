"""Requests made while workers ran, and whether each accepted mutation was wanted when it was decided."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandboxes.core.actions import INTENT_OF
from sandboxes.core.vocabulary import Action, Intent, OperationStatus, Source
from sandboxes.models import Operation, Sandbox
from tests.faults.wishes import ALLOWED, MUTATIONS

if TYPE_CHECKING:
    from uuid import UUID

LONGEST_CALL = 15.0  # seconds from the decision to Daytona's acceptance, on a machine that is busy


@dataclass(frozen=True, slots=True)
class Asked:
    """An accepted request: it came into force somewhere between two moments (wall clock, seconds)."""

    wish: Intent
    operation: UUID
    began: float
    ended: float


@dataclass
class History:
    """Written by many threads."""

    asked: dict[UUID, list[Asked]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, operation: Operation, action: Action, *, began: float) -> None:
        if action != Action.SYNC:
            line = Asked(INTENT_OF[action], operation.pk, began, time.time())
            with self._lock:
                self.asked[operation.sandbox_id].append(line)

    def wishes_at(self, sandbox: UUID, moment: float) -> set[str]:
        """What may have been the last wish then."""
        lines = [line for line in self.asked[sandbox] if line.began <= moment]
        settled = max((line.ended for line in lines if line.ended <= moment), default=0.0)
        # A request that ended before another one began was overtaken by it.
        latest = max((line.began for line in lines if line.ended <= moment), default=0.0)
        in_force = [line for line in lines if line.ended >= min(settled, latest)]
        return {str(line.wish) for line in in_force} | self._restored(sandbox, lines, moment)

    def last_wishes(self, sandbox: UUID) -> set[str]:
        return self.wishes_at(sandbox, time.time())

    def _restored(self, sandbox: UUID, lines: list[Asked], moment: float) -> set[str]:
        """Wishes that hold again, because a later one failed before Daytona was asked for anything."""
        ids = [line.operation for line in lines]
        failed = Operation.objects.filter(pk__in=ids, status=OperationStatus.FAILED, calls=None)
        if any(op.finished_at and op.finished_at.timestamp() <= moment for op in failed):
            return {str(line.wish) for line in lines}
        return set()

    def contradictions(self, log: list[dict[str, Any]]) -> list[str]:
        """The mutations without a call of ours, a second one for one call, and those against the wish of then."""
        everything = list(Sandbox.objects.all())
        rows = {row.daytona_id: row for row in everything}
        by_name = {row.daytona_name: row for row in everything}
        found: list[str] = []
        used: set[tuple[UUID, int]] = set()
        for line in log:
            if line["system"] != "daytona" or line["action"] not in MUTATIONS:
                continue
            row = rows.get(line["id"]) or by_name.get(line["name"])
            call = _call_of(row, line, used) if row else None
            if row is None or call is None:
                found.append(f"{line['action']} of {line['name']} without a call of ours")
                continue
            operation, place, moment = call
            used.add((operation.pk, place))
            wishes = self.wishes_at(row.pk, moment)
            is_allowed = any(line["action"] in ALLOWED[wish] for wish in wishes)
            if not is_allowed and operation.source != Source.EVICTION:
                found.append(f"{line['action']} of {row.name} {row.pk} at {moment:.3f}, wanted {sorted(wishes)}")
        return found


def _call_of(
    row: Sandbox, line: dict[str, Any], used: set[tuple[UUID, int]]
) -> tuple[Operation, int, float] | None:
    """The call that Daytona accepted: the latest of that name decided before, if it was not accepted already."""
    calls = [
        (call.made_at.timestamp(), call.operation, call.pk)
        for call in row.calls.select_related("operation").filter(name=line["action"])
    ]
    past = [call for call in calls if line["time"] - LONGEST_CALL <= call[0] <= line["time"]]
    for moment, operation, place in sorted(past, key=lambda call: call[0], reverse=True):
        if (operation.pk, place) not in used:
            return operation, place, moment
    return None
