"""What must hold all along, and once everything is quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxes.core.actions import INTENT_OF, STARTING
from sandboxes.core.codes import Code
from sandboxes.core.facts import CallAnswered, CallFacts, Decision, Facts, Fetched, FetchFailed, OperationFacts
from sandboxes.core.gate import DAY
from sandboxes.core.observation import doubt_against_intent
from sandboxes.core.plan import Call
from sandboxes.core.results import MEANINGS
from sandboxes.core.states import ERROR_STATES, STATES
from sandboxes.core.vocabulary import (
    Action,
    ActorKind,
    CallOutcome,
    Intent,
    OperationStatus,
    Source,
    Status,
)
from tests.core.building import LIMITS
from tests.simulation.world import EPOCH, READ_CACHE, Box, Daytona, Time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from tests.simulation.store import Row, Store

LONGEST_LIE = 120.0  # seconds of fine weather: a sweep, a dead worker's lease, the cache, the pauses between looks
RESTING = (Status.STOPPED, Status.ARCHIVED)
# What an operation may end with and leave its wish unmet: it was told, and a repetition would end alike.
ANSWERS = frozenset({
    Code.SANDBOX_ERRORED, Code.SANDBOX_UNRECOVERABLE, Code.SANDBOX_GONE, Code.OWNER_ON_HOLD, Code.NAME_TAKEN,
    Code.EPHEMERAL_WOULD_BE_DESTROYED, Code.EPHEMERAL_CANNOT_ARCHIVE, Code.EPHEMERAL_CANNOT_RESTART,
    Code.AUTO_DELETE_WOULD_DESTROY,
})  # fmt: skip


class Broken(AssertionError):
    """A promise that was not kept."""


class Checks:
    def __init__(self, time: Time, daytona: Daytona, store: Store) -> None:
        self.time, self.daytona, self.store = time, daytona, store
        self.fine_since = 0.0
        self.longest_lie = 0.0
        self._not_now: dict[UUID, float] = {}
        self._last: dict[
            UUID, tuple[float, bool]
        ] = {}  # when it was last decided of, and whether that was "not now"

    def decided(self, row: Row, facts: Facts, decision: Decision) -> None:
        """A decision was written."""
        self._count_not_now(facts)
        if (row.sandbox.status == Status.GONE) != (row.sandbox.deleted_at is not None):
            raise Broken(f"{row.name} is shown {row.sandbox.status}, deleted_at is {row.sandbox.deleted_at}")
        if isinstance(facts.answer, Fetched) and facts.answer.remote is not None:
            self._status_is_true(row, facts.answer)
        if isinstance(decision.step, Call):
            self._may_call(row, facts, decision.step.name)
        if facts.sandbox.deleted_at is None and row.sandbox.deleted_at is not None:
            self._is_gone(row)
        if decision.operation is not None and facts.operation is not None and facts.operation.is_active:
            self._has_its_time(row, decision.operation, facts)
            self._has_restarted(row, decision.operation)

    def _has_restarted(self, row: Row, operation: OperationFacts) -> None:
        """What was restarted has not run since before that was asked, but for what Daytona's cache hid."""
        if (operation.action, operation.status) != (Action.RESTART, OperationStatus.SUCCEEDED):
            return
        box = self.daytona.find(row.sandbox)
        if box is not None and box.runs_since < _seconds(operation.created_at) - READ_CACHE:
            raise Broken(f"{row.name}: restarted, and it runs since {box.runs_since:.0f} s")

    def _is_gone(self, row: Row) -> None:
        box = self.daytona.find(row.sandbox)
        if box is not None and row.sandbox.daytona_id is not None and box.desired != "destroyed":
            raise Broken(f"{row.name} is believed gone, and is {box.state}")

    def _has_its_time(self, row: Row, operation: OperationFacts, facts: Facts) -> None:
        """What Daytona would not do "now" is no time that the deadline counts."""
        if operation.deadline is None:
            return
        due = LIMITS.deadlines[operation.action] + self._not_now.get(operation.id, 0.0)
        given = (operation.deadline - operation.created_at).total_seconds()
        if given < due - 0.01:
            raise Broken(f"{row.name}: {operation.action} is given {given:.2f} s, and should be {due:.2f} s")
        if operation.code == Code.TIMEOUT and facts.now <= operation.deadline:
            raise Broken(f"{row.name}: {operation.action} ended before its deadline")

    def _count_not_now(self, facts: Facts) -> None:
        if facts.operation is None:
            return
        answer, key, now = facts.answer, facts.operation.id, self.time.seconds
        is_not_now = isinstance(answer, CallAnswered | FetchFailed) and not MEANINGS[answer.result.kind].counts
        since, was_not_now = self._last.get(key, (now, False))
        if is_not_now or was_not_now:
            self._not_now[key] = self._not_now.get(key, 0.0) + now - since
        self._last[key] = now, is_not_now

    def _status_is_true(self, row: Row, fetched: Fetched) -> None:
        """What was read when Daytona's cache could only be right is what is shown."""
        box = self.daytona.find(row.sandbox)
        began = _seconds(fetched.started)
        if box is not None and not box.is_moving and box.changed_at < began - READ_CACHE and _is_opposite(row, box):
            raise Broken(f"{row.name} is shown {row.sandbox.status}, and a look has shown {box.state}")

    def _may_call(self, row: Row, facts: Facts, name: str) -> None:
        operation, box = facts.operation, self.daytona.find(row.sandbox)
        assert operation is not None
        if name in STARTING and self.store.on_hold:
            raise Broken(f"{row.name}: {name} while its owner is on hold")
        if name == Action.RECOVER and any(_may_have_run(call, operation.id) for call in facts.calls):
            raise Broken(f"{row.name}: a second recover by one operation")
        is_told = box is not None and box.set_at < self.time.seconds - READ_CACHE - 1
        if (
            box is not None
            and is_told
            and box.auto_delete >= 0
            and name == Action.STOP
            and not operation.parameters.force
        ):
            raise Broken(f"{row.name}: {operation.action} would destroy it")
        is_evictors = operation.source == Source.EVICTION and operation.actor_kind == ActorKind.SYSTEM
        if name == Action.STOP and is_evictors and operation.action == Action.ARCHIVE:
            raise Broken(f"{row.name} runs, and is stopped to be archived for room")
        if name == Action.DELETE and row.sandbox.intent != Intent.DELETED:
            raise Broken(f"{row.name}: a delete that nobody wants")
        last = next((call for call in reversed(facts.calls) if call.outcome != CallOutcome.REFUSED), None)
        if last is None or box is None or last.name != name:
            return
        is_known = last.outcome == CallOutcome.ACCEPTED or last.effect_seen_at is not None
        if is_known and max(box.stirred_at, box.late_at) < _seconds(last.made_at):
            raise Broken(f"{row.name}: {name} again, though it was accepted at {last.made_at:%T}")

    def watch(self) -> None:
        """No lie lasts."""
        if self.daytona.weather != "fine":
            self.fine_since = self.time.seconds
            return
        for row in self.store.rows:
            box = self.daytona.find(row.sandbox)
            if box is not None and not box.is_moving and _is_opposite(row, box):
                lasts = self.time.seconds - max(box.changed_at, self.fine_since)
                self.longest_lie = max(self.longest_lie, lasts)
                if lasts > LONGEST_LIE:
                    raise Broken(f"{row.name} is shown {row.sandbox.status} for {lasts:.0f} s; it is {box.state}")

    def quiet(self) -> None:
        """Everything has come to rest: each wish is met, or was answered."""
        problems = [text for row in self.store.rows for text in self._problems(row)]
        if problems:
            raise Broken("; ".join(problems))

    def _problems(self, row: Row) -> Iterator[str]:
        one, box = row.sandbox, self.daytona.find(row.sandbox)
        if row.active is not None:
            yield f"{row.name}: {row.active.action} of {row.active.created_at:%T} never ends ({row.active.step})"
        if row.leased_until is not None and row.leased_until > self.time.now:
            yield f"{row.name}: still leased"
        if box is None and one.status != Status.GONE:
            yield f"{row.name} is gone and shown {one.status}"
        if box is not None and one.status == Status.GONE:
            yield f"{row.name} is shown gone and is {box.state}"
        if box is not None and (_is_opposite(row, box) or (not box.is_moving and one.status in _MOVING)):
            yield f"{row.name} is shown {one.status} and is {box.state}"
        doubt = doubt_against_intent(one, row.calls)
        if doubt is not None and doubt < self.time.now and one.fetch_due_at is not None:
            yield f"{row.name}: it is looked at for ever, for a call that is over"
        if not self._is_answered(row, box):
            yield f"{row.name}: wanted {one.intent}, is {box.state if box else 'gone'}"

    def _is_answered(self, row: Row, box: Box | None) -> bool:
        one = row.sandbox
        if box is None:
            # What was destroyed there, or never made, cannot be had back.
            return one.status == Status.GONE
        if box.state in STATES and one.intent in STATES[box.state].meets:
            return True
        last = row.latest_request
        if box.state in ERROR_STATES and one.intent != Intent.DELETED:
            return last is not None and not last.is_active
        if one.intent in (Intent.STOPPED, Intent.ARCHIVED) and 0 <= box.auto_delete <= DAY:
            return True  # a late start undid it, and another stop would destroy it
        wished_at = _seconds(one.intent_at) if one.intent_at else 0.0
        if one.intent_met_at is not None and box.stirred_at >= wished_at - READ_CACHE:
            return one.intent != Intent.DELETED  # met, and undone by somebody there
        if last is None:
            return False
        if one.intent == Intent.RUNNING:
            return (
                last.status == OperationStatus.FAILED
                or last.source in (Source.EVICTION, Source.POLICY)
                or one.intent_met_at is not None
            )
        return last.code in ANSWERS and INTENT_OF.get(last.action) == one.intent


_MOVING = (Status.STARTING, Status.STOPPING, Status.CREATING)


def _seconds(moment: datetime) -> float:
    return (moment - EPOCH).total_seconds()


def _is_opposite(row: Row, box: Box) -> bool:
    status = row.sandbox.status
    if box.state == "started":
        return status in RESTING
    return box.state in ("stopped", "archived") and status == Status.RUNNING


def _may_have_run(call: CallFacts, operation: UUID) -> bool:
    return call.operation_id == operation and call.name == Action.RECOVER and call.outcome != CallOutcome.REFUSED
