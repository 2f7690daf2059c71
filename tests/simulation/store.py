"""The rows in memory: leases, fenced writes, and what services write for a request, through the core's Draft."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from sandboxes.core import gate, without_operation
from sandboxes.core.actions import ACTION_FOR, INTENT_OF, joins
from sandboxes.core.codes import Code, Refused
from sandboxes.core.decide import deadline_for
from sandboxes.core.draft import Draft
from sandboxes.core.facts import (
    AddEvent,
    Answer,
    CallFacts,
    ConvexFacts,
    Decision,
    Facts,
    IntentSetting,
    LastRequest,
    NewOperation,
    OperationFacts,
    ReleaseRoom,
    SandboxFacts,
)
from sandboxes.core.observation import refresh_status
from sandboxes.core.parameters import AS_BY_DEFAULT, Parameters
from sandboxes.core.quota import Phase, QuotaSearch
from sandboxes.core.resources import QUOTAS, Quota, Resource
from sandboxes.core.vocabulary import (
    Action,
    Actor,
    Intent,
    OperationStatus,
    Source,
    Status,
)
from tests.core.building import LIMITS, sandbox

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxes.core.policies import Policy

LEASE = 30.0  # seconds
EVICTOR = Actor.system("evictor")


@dataclass(slots=True)
class Row:
    """A sandbox with all that hangs on it. `version` moves with each write; `armed`: the wake-up that is set."""

    sandbox: SandboxFacts
    version: int = 0
    token: str = ""
    leased_until: datetime | None = None
    operations: list[OperationFacts] = field(default_factory=list)
    calls: tuple[CallFacts, ...] = ()
    convex: ConvexFacts = field(default_factory=ConvexFacts)
    armed: datetime | None = None
    is_pushed: bool = False

    @property
    def name(self) -> str:
        return self.sandbox.name

    @property
    def active(self) -> OperationFacts | None:
        return next((one for one in self.operations if one.is_active), None)

    def operation(self, key: UUID | None) -> OperationFacts | None:
        return next((one for one in self.operations if one.id == key), None)

    @property
    def due(self) -> datetime | None:
        """When somebody must look at it."""
        return self.active.due_at if self.active is not None else self.sandbox.fetch_due_at

    @property
    def latest_request(self) -> OperationFacts | None:
        return next((one for one in reversed(self.operations) if one.action != Action.SYNC), None)


class Store:
    """`arm` is told of each row that was written; `say` hears what happens."""

    def __init__(
        self, now: Callable[[], datetime], *, say: Callable[[str], None], arm: Callable[[Row], None]
    ) -> None:
        self._now, self.say, self.arm = now, say, arm
        self.rows: list[Row] = []
        self.on_hold = False
        self.policy: Policy = {}
        # Who may search for room in each quota, and until when.
        self.room: dict[Resource, tuple[str, datetime]] = dict.fromkeys(Resource, ("", now()))
        self._ids = 100

    def new_id(self) -> int:
        self._ids += 1
        return self._ids

    # --- leases and fenced writes

    def claim(self, row: Row) -> str:
        """Take the lease; "" while another worker has it."""
        if row.leased_until is not None and row.leased_until > self._now():
            return ""
        row.token, row.leased_until = f"lease {self.new_id()}", self._now() + timedelta(seconds=LEASE)
        return row.token

    def renew(self, row: Row, token: str, *, seconds: float) -> bool:
        if row.token != token:
            return False
        row.leased_until = self._now() + timedelta(seconds=seconds)
        return True

    def release(self, row: Row, token: str) -> None:
        if row.token == token:
            row.token, row.leased_until = "", None
            self.arm(row)

    def gather(self, row: Row, key: UUID | None, answer: Answer, *, jitter: float) -> Facts:
        operation, active = row.operation(key), row.active
        return Facts(
            sandbox=row.sandbox, operation=operation, calls=row.calls, on_hold=self.on_hold, convex=row.convex,
            active=active.action if active is not None and active.id != key else None, answer=answer,
            policy=self.policy if operation is not None and operation.source == Source.POLICY else {},
            last_request=self._last_request(row) if operation is None and active is None else None,
            now=self._now(), limits=LIMITS, jitter=jitter,
        )  # fmt: skip

    def _last_request(self, row: Row) -> LastRequest | None:
        last = row.latest_request
        return (
            LastRequest(action=last.action, status=last.status, parameters=self._said(row))
            if last is not None
            else None
        )

    def _said(self, row: Row) -> Parameters:
        alike = [one for one in row.operations if one.action == ACTION_FOR[row.sandbox.intent]]
        return alike[-1].parameters if alike else AS_BY_DEFAULT

    def write(self, row: Row, key: UUID | None, decision: Decision, *, token: str, version: int) -> bool:
        """Write a decision, unless another worker has the row now or somebody else has changed it."""
        if row.token != token or row.version != version:
            return False
        self.put(row, key, decision)
        return True

    def put(self, row: Row, key: UUID | None, decision: Decision) -> None:
        """Write it on the locked row."""
        row.version += 1
        row.sandbox = decision.sandbox
        row.calls = tuple(call if call.id else replace(call, id=self.new_id()) for call in decision.calls)[-30:]
        if decision.operation is not None:
            row.operations = [decision.operation if one.id == key else one for one in row.operations]
        for effect in decision.effects:
            match effect:
                case AddEvent():
                    self.say(f"{row.name}: {effect.text}")
                case NewOperation():
                    self.create_operation(
                        row,
                        effect.action,
                        actor=effect.actor,
                        source=effect.source,
                        parameters=effect.parameters,
                    )
                case ReleaseRoom(search) if search.lease == self.room[search.resource][0]:
                    self.room[search.resource] = ("", self._now())
        self.arm(row)

    # --- what services write

    def draft(self, row: Row, operation: OperationFacts | None) -> Draft:
        return Draft(row.sandbox, now=self._now(), limits=LIMITS, calls=row.calls, operation=operation)

    def create(self, name: str, *, ephemeral: bool) -> Row:
        """A new sandbox, that has yet to be made in Daytona."""
        key, now = UUID(int=self.new_id() << 80), self._now()
        row = Row(
            sandbox(
                "", id=key, name=name, daytona_id=None, daytona_name=f"{name}-{key.hex[:12]}", status="creating",
                auto_delete_minutes=0 if ephemeral else -1, ephemeral=ephemeral, intent_at=now, intent_met_at=None,
                observed_at=None, observed_auto_delete=None, observed_auto_stop=None, created_at=now,
                status_changed_at=now, desired_state="",
            )
        )  # fmt: skip
        row.convex = ConvexFacts(may_refuse=True)
        self.rows.append(row)
        self.create_operation(row, Action.CREATE, actor=Actor.owner("alice"), source=Source.API)
        return row

    def create_operation(
        self,
        row: Row,
        action: Action,
        *,
        actor: Actor,
        source: Source,
        parameters: Parameters = AS_BY_DEFAULT,
        previous: IntentSetting | None = None,
    ) -> OperationFacts:
        assert row.active is None, f"two active operations of {row.name}"
        now = self._now()
        operation = OperationFacts(
            id=UUID(int=self.new_id()), action=action, status=OperationStatus.QUEUED, source=source,
            actor_kind=actor.kind, actor_id=actor.id, parameters=parameters, step="queued", attempt=0, due_at=now,
            attempted_at=None, deadline=deadline_for(row.sandbox, action, now=now, limits=LIMITS), search=None,
            deadline_runs=True, code="", message="", created_at=now, started_at=None, finished_at=None,
            previous_intent=previous,
        )  # fmt: skip
        self.say(f"{row.name}: {action} by {actor}{' with force' if parameters.force else ''}")
        row.operations.append(operation)
        draft = self.draft(row, operation)
        refresh_status(draft)
        self.put(row, operation.id, draft.decide(None))
        return operation

    def refusal(self, row: Row, action: Action, *, force: bool) -> Refused | None:
        active = row.active
        of_active = active is not None and any(call.operation_id == active.id for call in row.calls)
        in_doubt = of_active or any(call.in_doubt_until and not call.effect_seen_at for call in row.calls)
        return gate.refusal(
            row.sandbox, action, active=active.action if active else None, is_uncertain=in_doubt,
            on_hold=self.on_hold, force=force,
        )  # fmt: skip

    def request(
        self, row: Row, action: Action, *, actor: Actor, force: bool = False, source: Source = Source.API
    ) -> bool:
        """A person asks; returns whether it was accepted. The newest wish wins, the same again is joined."""
        if self.refusal(row, action, force=force) is not None:
            return False
        active, said = row.active, Parameters(force=force)
        if action == Action.SYNC:
            if active is None:
                self.create_operation(row, action, actor=actor, source=Source.API)
            return True
        is_joined = active is not None and joins(action, active.action)
        previous = None
        if not (is_joined and row.sandbox.intent == INTENT_OF[action] and row.sandbox.intent_met_at is None):
            draft = self.draft(row, None)
            previous = draft.intent_setting()
            draft.set_intent(INTENT_OF[action], actor=actor, reason="")
            self.put(row, None, draft.decide(None))
        if active is not None and is_joined:
            later = row.sandbox.missing_since is not None
            joined = replace(
                active, actor_kind=actor.kind, actor_id=actor.id, parameters=active.parameters.joined_by(said),
                due_at=active.due_at if later else self._now(),
                previous_intent=active.previous_intent or previous,
            )  # fmt: skip
            draft = self.draft(row, joined)
            refresh_status(draft)
            self.put(row, active.id, draft.decide(None))
            return True
        if active is not None:
            self.close(row, active, Code.SUPERSEDED)
        operation = self.create_operation(
            row, action, actor=actor, source=source, parameters=said, previous=previous
        )
        if row.sandbox.status == Status.GONE:
            self.close(row, operation, None)
        return True

    def close(self, row: Row, operation: OperationFacts, code: Code | None, *, revert: bool = False) -> None:
        draft = self.draft(row, operation)
        if revert:
            draft.revert_intent()
        draft.close_operation(OperationStatus.CANCELLED if code else OperationStatus.SUCCEEDED, code=code)
        refresh_status(draft)
        self.put(row, operation.id, draft.decide(None))

    def cancel(self, row: Row) -> None:
        """Take back what has not been asked of Daytona; the wish from before is brought about again."""
        active = row.active
        if active is None or any(call.operation_id == active.id for call in row.calls):
            return
        if active.action == Action.CREATE:
            self.request(row, Action.DELETE, actor=Actor.owner("alice"))
            return
        before = active.previous_intent
        if self.on_hold and before is not None and before.intent == Intent.RUNNING != row.sandbox.intent:
            return
        self.close(row, active, Code.CANCELLED, revert=True)
        if active.source == Source.POLICY:
            row.sandbox = replace(row.sandbox, policies_from=self._now(), policy_due_at=self._now())
        is_unmet = row.sandbox.intent_met_at is None and row.sandbox.deleted_at is None
        others = [one for one in row.operations if one.id != active.id and one.action != Action.SYNC]
        had_failed = bool(others) and others[-1].status == OperationStatus.FAILED
        start_failed = had_failed and INTENT_OF[others[-1].action] == row.sandbox.intent == Intent.RUNNING
        if is_unmet and before is not None and not start_failed:
            new = without_operation.keep_intent(row.sandbox, parameters=self._said(row))
            self.create_operation(row, new.action, actor=new.actor, source=new.source, parameters=new.parameters)

    def set_hold(self, on: bool) -> None:
        """Put the owner on hold, and stop what runs; or lift it."""
        self.on_hold = on
        self.say(f"hold: {on}")
        for row in self.rows:
            row.version += 1
            if not on:
                row.sandbox = replace(row.sandbox, policies_from=self._now(), policy_due_at=self._now())
            resting = (Status.GONE, Status.STOPPED, Status.ARCHIVED, Status.ERROR)
            if on and row.sandbox.intent != Intent.DELETED and row.sandbox.status not in resting:
                self.request(row, Action.STOP, actor=Actor.staff("bob"))

    # --- the search for room

    def search_step(self, row: Row, key: UUID, search: QuotaSearch) -> QuotaSearch:
        """Go on with it: the right to search, then whose stop, or archive, is awaited."""
        quota = QUOTAS[search.resource]
        holder, until = self.room[search.resource]
        if holder != search.lease or not holder:
            if holder and until > self._now():
                return replace(search, lease="")
            search = replace(search, lease=f"room {self.new_id()}")
        self.room[search.resource] = (search.lease, self._now() + timedelta(seconds=LEASE))
        if search.phase is Phase.VICTIM:
            operations = (one for other in self.rows for one in other.operations)
            asked = next(one for one in operations if str(one.id) == search.victims[-1])
            if asked.is_active:
                return search
            search = search.victim_ended(cancelled=asked.status == OperationStatus.CANCELLED, now=self._now())
        if search.phase is Phase.LEAVING:
            counted = [other for other in self._counted(row, quota) if str(other.sandbox.id) in search.leaving]
            if len(counted) < len(search.leaving):
                search = search.slot_freed(now=self._now())
            elif not any(self._is_leaving(other, quota) for other in counted):
                search = replace(search, phase=Phase.CHOOSE)
        return self._choose(row, search) if search.phase is Phase.CHOOSE else search

    def _choose(self, row: Row, search: QuotaSearch) -> QuotaSearch:
        quota = QUOTAS[search.resource]
        counted = self._counted(row, quota)
        if leaving := [str(other.sandbox.id) for other in counted if self._is_leaving(other, quota)]:
            return search.wait_for_leaving(leaving)
        if len(search.victims) >= 3:
            return replace(search, exhausted=f"three were {quota.done} in vain")
        for other in counted:
            one, is_wanted = other.sandbox, other.sandbox.intent != Intent.DELETED
            is_to_stay = (one.observed_auto_delete or 0) < 0
            if one.status == quota.victims and is_wanted and other.active is None and is_to_stay:
                asked = self.create_operation(other, quota.freed_by, actor=EVICTOR, source=Source.EVICTION)
                return search.wait_for_victim(str(asked.id))
        return replace(search, exhausted=f"nothing may be {quota.done} for it")

    def _counted(self, row: Row, quota: Quota) -> list[Row]:
        others = (other for other in self.rows if other is not row and other.sandbox.deleted_at is None)
        return [other for other in others if other.sandbox.observed_state in quota.counted]

    def _is_leaving(self, other: Row, quota: Quota) -> bool:
        one, since = other.sandbox, self._now() - timedelta(seconds=LIMITS.deadlines[quota.leaves_within])
        if (active := other.active) is not None:
            return active.action in quota.leaving and active.created_at > since
        is_seen = one.observed_state in quota.leaving_states and one.status == Status.STOPPING
        return is_seen and (one.status_changed_at or since) > since
