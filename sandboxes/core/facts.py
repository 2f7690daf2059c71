"""What a decision is made from, and what it is: values that nobody changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from sandboxes.core.derived import Derived
from sandboxes.core.parameters import AS_BY_DEFAULT, Parameters
from sandboxes.core.vocabulary import ACTIVE, Action, Actor, CallOutcome, EventKind, Source

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sandboxes.core.codes import NoticeCode
    from sandboxes.core.plan import Step
    from sandboxes.core.policies import Policy
    from sandboxes.core.quota import QuotaSearch
    from sandboxes.core.resources import Resource
    from sandboxes.core.results import ResultKind


@dataclass(frozen=True, slots=True)
class RemoteSandbox:
    """One answer of the provider about one sandbox. Text that was missing is "", numbers and times are None.

    A GET projects `state` from the raw state and `desired_state`, the list does not: read both.
    """

    id: str
    organization_id: str
    name: str
    target: str
    snapshot: str
    cpu: int | None
    memory_gb: int | None
    disk_gb: int | None
    state: str
    desired_state: str
    error_reason: str
    recoverable: bool
    auto_stop_interval: int | None
    auto_archive_interval: int | None
    auto_delete_interval: int | None
    sandbox_class: str
    labels: dict[str, str]
    created_at: datetime | None
    last_activity_at: datetime | None

    @property
    def is_ending(self) -> bool:
        """Whether Daytona is deleting it, or has: it is renamed at once (recording 06_delete)."""
        return self.name.startswith("DESTROYED_") or "destroyed" in (self.desired_state, self.state)

    @property
    def labelled_id(self) -> UUID | None:
        """The sandbox of ours that it says it is."""
        try:
            return UUID(self.labels.get("sandkeeper_id", ""))
        except ValueError:
            return None

    def was_made_for(self, sandbox_id: UUID, daytona_name: str) -> bool:
        """Whether it was made for this sandbox: by its label, or by a name that only we give."""
        is_ours = daytona_name.endswith(f"-{sandbox_id.hex[:12]}")
        return self.labelled_id == sandbox_id or (is_ours and self.name == daytona_name)


class Wide:
    """The base of facts with dozens of fields: copied by their dict, for `__init__` makes a call for each."""

    def but(self, **values: Any) -> Self:
        """The same with other values, as `dataclasses.replace` has it."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__, **values)
        assert len(other.__dict__) == len(self.__dict__), f"no fields of {type(self).__name__}: {values}"
        return other


@dataclass(frozen=True, kw_only=True)
class SandboxFacts(Wide, Derived):
    """A sandbox: the fields of its row that decisions read or write, by the names that they have there."""

    id: UUID
    daytona_id: str | None
    daytona_name: str
    organization_id: str
    name: str
    owner_id: str
    harness_id: str
    language: str
    resource_tier: str
    cpu: int
    memory_gb: int
    disk_gb: int
    target: str
    sandbox_class: str
    ephemeral: bool
    snapshot: str
    labels: Mapping[str, str]
    user_labels: Mapping[str, str]
    auto_stop_minutes: int | None
    auto_archive_minutes: int | None
    auto_delete_minutes: int | None
    created_with: Mapping[str, Any]
    intent: str
    intent_actor_kind: str
    intent_actor_id: str
    intent_reason: str
    intent_at: datetime | None
    intent_met_at: datetime | None
    observed_state: str
    desired_state: str
    error_reason: str
    recoverable: bool
    observed_auto_stop: int | None
    observed_auto_archive: int | None
    observed_auto_delete: int | None
    last_accessed_at: datetime | None
    last_activity_at: datetime | None
    touch_forwarded_at: datetime | None
    observed_at: datetime | None
    fetch_due_at: datetime | None
    missing_since: datetime | None
    status: str
    status_changed_at: datetime | None
    protected_until: datetime | None
    policies_from: datetime | None
    policy_due_at: datetime | None
    policy_warnings: Mapping[str, str]
    pending_changes: Mapping[str, Any]
    created_at: datetime
    deleted_at: datetime | None

    @property
    def pk(self) -> UUID:
        return self.id


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentSetting:
    """What was wanted, by whom, since when and why."""

    intent: str
    actor_kind: str
    actor_id: str
    reason: str
    at: datetime | None
    met_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class OperationFacts(Wide):
    """One operation. `previous_intent`: what was wanted before it; `deadline_runs`: whether time counted since
    `attempted_at`."""

    id: UUID
    action: str
    status: str
    source: str
    actor_kind: str
    actor_id: str
    parameters: Parameters
    step: str
    attempt: int
    due_at: datetime | None
    attempted_at: datetime | None
    deadline: datetime | None
    deadline_runs: bool
    search: QuotaSearch | None
    code: str
    message: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    previous_intent: IntentSetting | None = None

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """One call to Daytona, or the same refused several times in a row.

    `first_at`: when the first of them was made. `in_doubt_until`: it may still be carried out until then.
    `message`: Daytona's refusal, which a fetch must confirm; `may_be_stale`: as long as that may come from a cache.
    `was_outage`: the answer said nothing. `effect_seen_at`: when a fetch that showed its effect began.
    """

    operation_id: UUID
    name: str
    made_at: datetime
    first_at: datetime
    outcome: str = CallOutcome.PENDING
    message: str = ""
    may_be_stale: bool = False
    was_outage: bool = False
    times: int = 1
    effect_seen_at: datetime | None = None
    in_doubt_until: datetime | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a GET that began at `started` said: a sandbox, or a 404.

    `confirmed`: the 404 is believed, because Daytona's list answers without the sandbox as well.
    `foreign`: a sandbox of this name exists and is not ours.
    """

    started: datetime
    remote: RemoteSandbox | None = None
    confirmed: bool = False
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a call came to, or why a fetch failed.

    `retry_after` in seconds; `limit`: the quota of `resource`, where that is full.
    """

    kind: ResultKind
    message: str = ""
    retry_after: float = 0.0
    resource: str = ""
    limit: float | None = None
    remote: RemoteSandbox | None = None


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """Daytona could not be asked, or refused to show it."""

    result: CallResult


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The latest call of the operation has its answer."""

    result: CallResult


@dataclass(frozen=True, slots=True)
class RoomSought:
    """The search for room went on, for this call."""

    search: QuotaSearch
    call: str


Answer = Fetched | FetchFailed | CallAnswered | RoomSought


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The settings that decisions depend on; seconds. `room_for`: the quotas in which room is looked for."""

    read_cache: float
    in_doubt: float
    missing_confirm: float
    intent_retry: float
    retry_base: float
    convex_first_push: float
    deadlines: Mapping[str, float]
    room_for: frozenset[Resource]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvexFacts:
    """What a create needs to know of its first push. `may_refuse`: Convex has functions with a cap of their own."""

    may_refuse: bool = False
    has_answered: bool = False
    has_no_room: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRequest:
    """The latest operation that was no sync; `parameters`: with what that which is wanted was asked for."""

    action: str
    status: str
    parameters: Parameters = AS_BY_DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that a decision may depend on.

    `operation`: the one that is attempted; None for a fetch without one. `active`: the action of another
    operation that is active. `calls`: of this sandbox, oldest first: all of the operation, all in doubt, and the
    latest. `policy`: read only for an operation that a rule began. `last_request`: read only for a fetch without
    one. `earlier`: what was answered before `answer` and is not decided yet. `jitter`: drawn from 0 to 1.
    """

    sandbox: SandboxFacts
    operation: OperationFacts | None
    active: str | None = None
    calls: tuple[CallFacts, ...] = ()
    on_hold: bool = False
    policy: Policy = field(default_factory=dict)
    convex: ConvexFacts = field(default_factory=ConvexFacts)
    last_request: LastRequest | None = None
    earlier: tuple[Answer, ...] = ()
    answer: Answer
    now: datetime
    limits: Limits
    jitter: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AddEvent:
    """A line of the timeline."""

    kind: EventKind
    text: str
    data: Mapping[str, Any]
    actor: str
    of_operation: bool


@dataclass(frozen=True, slots=True)
class OpenNotice:
    """Staff must know."""

    code: NoticeCode
    text: str


@dataclass(frozen=True, slots=True)
class CloseNotices:
    """A condition was seen to be over."""

    codes: tuple[NoticeCode, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeIntent:
    """Somebody wants something else from now on; `setting` has the new values, which the sandbox already has."""

    before: IntentSetting
    setting: IntentSetting


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOperation:
    """What is asked to be done with a sandbox, and by whom.

    `asked_at`: when, if that is a while ago; what somebody has wanted since stands.
    """

    action: Action
    actor: Actor
    source: Source
    reason: str = ""
    parameters: Parameters = AS_BY_DEFAULT
    request_id: str = ""
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReleaseRoom:
    """Give back the right to search for room."""

    search: QuotaSearch


@dataclass(frozen=True, slots=True)
class TellDaytona:
    """Tell Daytona these settings now."""

    keys: tuple[str, ...]


Effect = AddEvent | OpenNotice | CloseNotices | ChangeIntent | NewOperation | ReleaseRoom | TellDaytona


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What happens next: the step, the new values of the rows, and the effects in their order."""

    step: Step | None
    sandbox: SandboxFacts
    operation: OperationFacts | None
    calls: tuple[CallFacts, ...]
    effects: tuple[Effect, ...]
