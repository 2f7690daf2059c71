"""What is sent and answered. Written by `make clients`: do not edit."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict

BulkOutcome: TypeAlias = Literal["accepted", "refused"]
# More values may come. One that you do not know: take it for `system`.
Cause: TypeAlias = (
    Literal[
        "person",
        "program",
        "operation",
        "eviction",
        "policy",
        "intent",
        "sweep",
        "retention",
        "auto_stop",
        "outside",
        "system",
    ]
    | str
)
# More values may come. One that you do not know: ignore the event, but merge its `changes`.
EventType: TypeAlias = (
    Literal[
        "created",
        "intent",
        "operation",
        "call",
        "observation",
        "gone",
        "returned",
        "eviction",
        "convex",
        "renamed",
        "change",
        "pruned",
        "erased",
        "policy",
    ]
    | str
)
Intent: TypeAlias = Literal["running", "stopped", "archived", "deleted"]
LanguageEnum: TypeAlias = Literal["python", "typescript", "javascript"]
# More values may come. One that you do not know: show it as it is.
OperationAction: TypeAlias = (
    Literal["create", "start", "stop", "restart", "archive", "delete", "recover", "sync"] | str
)
OperationStatus: TypeAlias = Literal["queued", "in_progress", "succeeded", "failed", "cancelled"]
# More values may come. One that you do not know: show it as it is.
PolicyRule: TypeAlias = Literal["idle_stop", "longest_run", "archive_after", "delete_after", "expiry"] | str
# More values may come. One that you do not know: show it as it is.
PolicyScope: TypeAlias = Literal["default", "tier", "owner", "sandbox"] | str
# More values may come. One that you do not know: go by its HTTP status.
ProblemCode: TypeAlias = (
    Literal[
        "sandbox_not_found",
        "operation_not_found",
        "webhook_not_found",
        "policy_not_found",
        "sandbox_gone",
        "sandbox_creating",
        "sandbox_deleting",
        "ephemeral_would_be_destroyed",
        "ephemeral_cannot_archive",
        "ephemeral_cannot_restart",
        "auto_delete_would_destroy",
        "owner_on_hold",
        "sandbox_limit_reached",
        "sandbox_stopped_by_user",
        "operation_finished",
        "operation_not_cancellable",
        "address_not_allowed",
        "webhook_limit_reached",
        "not_configured",
        "superseded",
        "cancelled",
        "timeout",
        "capacity_exhausted",
        "quota_too_small",
        "disk_quota_full",
        "sandbox_errored",
        "sandbox_unrecoverable",
        "recovery_cooldown",
        "name_taken",
        "daytona_rejected",
        "no_longer_due",
        "invalid_request",
        "malformed_body",
        "owner_required",
        "unauthenticated",
        "invalid_token",
        "permission_denied",
        "missing_scope",
        "csrf_failed",
        "network_not_allowed",
        "not_found",
        "method_not_allowed",
        "not_acceptable",
        "unsupported_media_type",
        "length_required",
        "payload_too_large",
        "precondition_failed",
        "cursor_expired",
        "head_too_large",
        "request_timeout",
        "rate_limited",
        "too_many_bulk_requests",
        "operation_budget_spent",
        "request_in_progress",
        "idempotency_key_reused",
        "internal_error",
        "service_unavailable",
        "database_unavailable",
        "identity_provider_unavailable",
    ]
    | str
)
# More values may come. One that you do not know: do not offer it.
RequestableAction: TypeAlias = Literal["start", "stop", "restart", "archive", "delete", "recover", "sync"] | str
ResourceEnum: TypeAlias = Literal["vcpu", "memory_gib"]
# More values may come. One that you do not know: show it as it is.
RuleEnum: TypeAlias = (
    Literal[
        "idle_stop",
        "longest_run",
        "archive_after",
        "delete_after",
        "expiry",
        "auto_stop",
        "auto_archive",
        "auto_delete",
    ]
    | str
)
SandboxStatus: TypeAlias = Literal[
    "creating", "starting", "running", "stopping", "stopped", "archived", "error", "gone"
]
# More values may come. One that you do not know: show it as it is.
ScopeEnum: TypeAlias = Literal["default", "tier", "owner", "sandbox", "daytona"] | str
# More values may come. One that you do not know: show it as it is.
Source: TypeAlias = Literal["api", "admin", "command", "eviction", "sweep", "policy"] | str
# More values may come. One that you do not know: another installation has it.
TierEnum: TypeAlias = Literal["basic", "standard", "performance"] | str
# More values may come. One that you do not know: events of it come only where it is asked for.
TypesEnum: TypeAlias = (
    Literal[
        "created",
        "intent",
        "operation",
        "observation",
        "gone",
        "returned",
        "eviction",
        "renamed",
        "change",
        "pruned",
        "erased",
        "policy",
    ]
    | str
)


class About(TypedDict):
    name: str
    # Of the server. The API keeps its meaning within /api/v1/.
    version: str
    links: Links


class ActionBodyRequest(TypedDict):
    """Why, and what may be said with the action."""

    # Why; shown to people.
    reason: NotRequired[str]
    # Let it destroy the sandbox: an ephemeral one, or one that auto-delete ends within a day.
    force: NotRequired[bool]


class BulkAnswer(TypedDict):
    accepted: int
    refused: int
    results: list[BulkResult]


class BulkBodyRequest(TypedDict):
    """One action for several sandboxes, and what may be said with it."""

    # Why; shown to people.
    reason: NotRequired[str]
    action: RequestableAction
    # Ours or Daytona's.
    ids: list[str]
    # Let it destroy the sandbox: an ephemeral one, or one that auto-delete ends within a day.
    force: NotRequired[bool]


class BulkResult(TypedDict):
    # As it was sent.
    id: str
    outcome: BulkOutcome
    operation: Operation | None
    problem: Problem | None


class CapacityAnswer(TypedDict):
    # Whom the call is for; null for nobody in particular.
    owner: Owner | None
    in_use: list[InUse]
    last_refusal: Operation | None
    # Who would be stopped for vCPU or memory.
    next: Next
    # Who would be archived for disk; nobody where the server does not do that.
    next_archived: Next


class Code(TypedDict):
    code: str
    status: int
    title: str
    remedy: str


class CodeList(TypedDict):
    results: list[Code]


class DeadDelivery(TypedDict):
    """An event that could not be delivered within a day."""

    id: str
    # As in the header `webhook-id`.
    webhook_id: str
    # The event's place in the feed.
    seq: int
    # Our id of the sandbox.
    sandbox: str
    attempts: int
    error: str
    # When it was first attempted.
    first_at: str | None
    # Since when it is tried no more.
    died_at: str | None


class DeadDeliveryPage(TypedDict):
    # The next page; null on the last one.
    next: str | None
    results: list[DeadDelivery]


class Difference(TypedDict):
    """One setting that Daytona holds otherwise than it was asked for."""

    # Its name here; `labels.<name>` for a label.
    field: str
    # A number or a text.
    asked: Any
    # A number, a text, or null where Daytona has none.
    observed: Any
    # A change is on its way that will end it.
    pending: bool


class Event(TypedDict):
    """One line of a sandbox's timeline, and one entry of the feed."""

    # Its place in the feed; null for a moment at first.
    seq: int | None
    at: str
    type: EventType
    # Our id of the sandbox.
    sandbox: str
    # Whose the sandbox was then: who may read it.
    owner: str
    # Why it happened, as far as we know.
    cause: Cause
    # `<kind>:<id>`; empty where nobody asked.
    actor: str
    operation: str | None
    # The operation's, in an event of the type `operation`.
    status: OperationStatus | None
    # How the operation ended; empty otherwise.
    code: str
    # For people.
    message: str
    # What a copy of the sandbox must take over, by name.
    changes: dict[str, Any]
    # Details (staff).
    data: NotRequired[dict[str, Any]]


class EventPage(TypedDict):
    # The next page; null on the last one.
    next: str | None
    results: list[Event]


class FeedAnswer(TypedDict):
    """The next events. A page may hold fewer than `limit`, or none, and the feed go on."""

    results: list[Event]
    # Ask on with `after=` this.
    cursor: int
    # The feed goes on there already: ask at once.
    more: bool


class FieldError(TypedDict):
    # Dotted path; empty for the whole body.
    field: str
    message: str
    code: str


class FiguresShape(TypedDict):
    """What was used in a time, and what happened."""

    # Hours in which Daytona counted one; divided by those of the time it is how many ran on average.
    sandbox_hours: float
    vcpu_hours: float
    memory_gib_hours: float
    # How often one was stopped to make room.
    evictions: int
    # Operations that ended for lack of room.
    refusals: int
    # Creates, starts and recovers that ended with one that runs.
    starts: int
    # Seconds from the request, exact to a tenth of it.
    time_to_running_p50: float | None
    time_to_running_p95: float | None


class Foreseen(TypedDict):
    """What will be done: by a rule of a lifecycle policy, or by one of Daytona's own intervals."""

    rule: RuleEnum
    # Of whose policy; the most specific one wins.
    scope: ScopeEnum
    minutes: int


class InUse(TypedDict):
    """What Daytona counts against the quota of one region and class."""

    target: str
    sandbox_class: str
    sandboxes: int
    in_use_cpu: int
    in_use_memory_gb: int
    own_sandboxes: int
    own_cpu: int
    own_memory_gb: int


class IntentSet(TypedDict):
    """What was last asked for, by whom and why, and since when it is so."""

    # `<kind>:<id>`.
    by: str
    reason: str
    at: str | None
    # When it first came true; null while it has not.
    met_at: str | None


class Links(TypedDict):
    """Paths on this server."""

    sandboxes: str
    operations: str
    events: str
    webhooks: str
    policies: str
    capacity: str
    owner: str
    usage: str
    problems: str
    schema: str
    docs: str


class NewSandboxRequest(TypedDict):
    # Why; shown to people.
    reason: NotRequired[str]
    name: NotRequired[str]
    tier: NotRequired[TierEnum]
    language: NotRequired[LanguageEnum]
    harness_id: NotRequired[str]
    # Daytona's region; default: ours.
    target: NotRequired[str]
    # A stop deletes it.
    ephemeral: NotRequired[bool]
    # Kept and shown; cloning is yours.
    git_repo: NotRequired[str]
    # Up to 20, yours to filter by. Reserved are names that begin with sandkeeper, harness, daytona, code-
    # toolbox, auto_.
    labels: NotRequired[dict[str, str]]
    # Minutes without use until Daytona stops it; 0: never.
    auto_stop_minutes: NotRequired[int]
    # Minutes after a stop until Daytona archives it; 0: as late as it allows, 43200.
    auto_archive_minutes: NotRequired[int]
    # Minutes after a stop until Daytona deletes it; -1: never. 0 stands for ephemeral, and is not set here.
    auto_delete_minutes: NotRequired[int]


class NewWebhook(TypedDict):
    """A webhook with its secret, which no other answer has."""

    id: str
    url: str
    # None: all types.
    types: list[TypesEnum]
    # Whose events it is told; empty: all that its key may read.
    owner: str
    # Whether anything is sent.
    enabled: bool
    # Nothing is sent since then.
    disabled_at: str | None
    disabled_reason: str
    # Since when it has taken nothing; null while all is well.
    failing_since: str | None
    # How far in the feed it is: all later events are still to be sent.
    position: int
    created_at: str
    # What its deliveries are signed with.
    secret: str


class NewWebhookRequest(TypedDict):
    # An https address on the public internet.
    url: str
    # None: all types.
    types: NotRequired[list[TypesEnum]]


class Next(TypedDict):
    # In the order in which they would make room.
    own: list[Ranked]
    # Other owners', counted per rule.
    others: dict[str, int]


class ObservedIntervals(TypedDict):
    """What Daytona holds, as a GET last said; null while it has not said."""

    auto_stop_minutes: int | None
    auto_archive_minutes: int | None
    auto_delete_minutes: int | None


class Operation(TypedDict):
    """One requested action, in flight or finished."""

    id: str
    # Our id of the sandbox.
    sandbox: str
    daytona_id: str | None
    owner: str
    action: OperationAction
    status: OperationStatus
    # What it does now, for people.
    step: str
    # Who asked: `<kind>:<id>`.
    actor: str
    source: Source
    reason: str
    # Whether it may destroy the sandbox.
    force: bool
    # What was said with it, by the names in the request; what is as by default is left out.
    parameters: dict[str, Any]
    request_id: str
    # The operation it was done for (staff).
    caused_by: NotRequired[str | None]
    attempt: int
    code: str
    # What `code` means; empty without one.
    title: str
    # What to do about it; empty without a code.
    remedy: str
    # Daytona's or Convex's words (staff).
    message: NotRequired[str]
    created_at: str
    started_at: str | None
    finished_at: str | None
    deadline: str | None


class OperationPage(TypedDict):
    # The next page; null on the last one.
    next: str | None
    results: list[Operation]


class Owner(TypedDict):
    """What an owner has and may have: what a create would be refused for."""

    id: str
    # Sandboxes that count: all that are not gone.
    used: int
    # At so many a create is `sandbox_limit_reached`.
    limit: int
    # Nothing of theirs starts: `owner_on_hold`.
    on_hold: bool
    # For the owner to read; may be empty.
    hold_reason: str


class OwnerInFull(TypedDict):
    """What an owner has and may have: what a create would be refused for."""

    id: str
    # Sandboxes that count: all that are not gone.
    used: int
    # At so many a create is `sandbox_limit_reached`.
    limit: int
    # Nothing of theirs starts: `owner_on_hold`.
    on_hold: bool
    # For the owner to read; may be empty.
    hold_reason: str
    # What their sandboxes used since the month began, in UTC.
    this_month: FiguresShape


class PatchedChangesRequest(TypedDict):
    """What a PATCH may change; what is absent, or as GET gave it, stays."""

    name: NotRequired[str]
    # Merged into those there are (RFC 7396): null takes one away, or all. Reserved are names that begin with
    # sandkeeper, harness, daytona, code-toolbox, auto_.
    labels: NotRequired[dict[str, str | None] | None]
    # Minutes without use until Daytona stops it; 0: never. null: nobody asks for a value any more; Daytona's
    # stands.
    auto_stop_minutes: NotRequired[int | None]
    # Minutes after a stop until Daytona archives it; 0: as late as it allows, 43200. null: nobody asks for a
    # value any more; Daytona's stands.
    auto_archive_minutes: NotRequired[int | None]
    # Minutes after a stop until Daytona deletes it; -1: never. 0 stands for ephemeral, and is not set here.
    # null: nobody asks for a value any more; Daytona's stands.
    auto_delete_minutes: NotRequired[int | None]
    # Tell Daytona again what was asked for, where it holds otherwise.
    reapply: NotRequired[bool]
    # Never evicted until then; null lifts the protection. At most 30 days ahead, but for staff.
    protected_until: NotRequired[str | None]
    reason: NotRequired[str]


class PatchedPolicyChangesRequest(TypedDict):
    """What a PATCH says; rules that are absent stay."""

    # Stop after so many minutes without use, 1 at least; 0: never; null: nothing is said here.
    idle_stop_minutes: NotRequired[int | None]
    # Stop after so many minutes of running, 1 at least; 0: never; null: nothing is said here.
    longest_run_minutes: NotRequired[int | None]
    # Archive after so many minutes at rest, 1 at least; 0: never; null: nothing is said here.
    archive_after_minutes: NotRequired[int | None]
    # Delete after so many minutes at rest, 60 at least; 0: never; null: nothing is said here.
    delete_after_minutes: NotRequired[int | None]
    # Delete after so many minutes since somebody last asked for it, 60 at least; 0: never; null: nothing is
    # said here.
    expiry_minutes: NotRequired[int | None]
    # Why; shown to people.
    reason: NotRequired[str]


class PatchedWebhookChangesRequest(TypedDict):
    """What a PATCH may change; what is absent stays."""

    url: NotRequired[str]
    # None: all types.
    types: NotRequired[list[TypesEnum]]
    # false: nothing is sent, and nothing forgotten.
    enabled: NotRequired[bool]


class Policy(TypedDict):
    """The rules of one scope, in minutes: null says nothing, 0 says never. The most specific scope wins."""

    # Its place among the policies.
    id: str
    # The later ones are more specific.
    scope: PolicyScope
    # The tier, the owner or our id of the sandbox; empty for `default`.
    subject: str
    idle_stop_minutes: int | None
    longest_run_minutes: int | None
    archive_after_minutes: int | None
    delete_after_minutes: int | None
    expiry_minutes: int | None
    # null: it never said anything.
    changed_at: str | None
    # `<kind>:<id>` (staff).
    changed_by: NotRequired[str]


class PolicyPage(TypedDict):
    # The next page; null on the last one.
    next: str | None
    results: list[Policy]


class PolicyPreviewLine(TypedDict):
    """What a rule will do to a sandbox if nothing changes."""

    # Our id of the sandbox.
    sandbox: str
    # For people to read.
    name: str
    owner: str
    action: RequestableAction
    at: str
    rule: PolicyRule
    # Of whose policy.
    scope: PolicyScope
    minutes: int


class PreviewAnswer(TypedDict):
    """Whom rules will touch. A page is of so many sandboxes: it may have more lines than `limit`, or none, and
    there be a next one."""

    # In the order of `at` on this page.
    results: list[PolicyPreviewLine]
    # The next page; null on the last one.
    next: str | None
    # How far this looked ahead.
    until: str


class Problem(TypedDict):
    """RFC 9457. Branch on `code`: it never changes its meaning."""

    # The address of the code's description.
    type: str
    # What the code means.
    title: str
    status: int
    # What happened this time.
    detail: str
    # The request's path.
    instance: str
    code: ProblemCode
    # What to do next.
    remedy: str
    request_id: str
    errors: NotRequired[list[FieldError]]
    current_status: NotRequired[SandboxStatus]
    intent: NotRequired[Intent]
    # The active operation's id.
    blocking_operation: NotRequired[str]
    allowed_actions: NotRequired[list[str]]
    # Seconds.
    retry_after: NotRequired[float]
    stopped_by: NotRequired[str]
    stopped_at: NotRequired[str]
    stopped_reason: NotRequired[str]
    # Sandboxes that the owner has.
    used: NotRequired[int]
    # Sandboxes that the owner may have.
    limit: NotRequired[int]
    on_hold: NotRequired[bool]
    hold_reason: NotRequired[str]
    # The operation that ended so.
    operation: NotRequired[dict[str, Any]]


class QuotaShape(TypedDict):
    """A quota as Daytona told it when it refused a call; it is the last known one until the next of its kind."""

    # The hour in which it was told, in UTC; it may be before `from`.
    start: str
    # Daytona's region.
    target: str
    sandbox_class: str
    resource: ResourceEnum
    limit: int


class Ranked(TypedDict):
    """One candidate; it may be stopped, or archived, if it breaks no rule."""

    sandbox: str
    name: str
    owner: str
    status: SandboxStatus
    cpu: int
    memory_gb: int
    disk_gb: int
    last_used_at: str
    broken: list[str]


class ReasonRequest(TypedDict):
    # Why; shown to people.
    reason: NotRequired[str]


class ReplayBodyRequest(TypedDict):
    # The `id`s of dead deliveries; all if absent.
    ids: NotRequired[list[str]]


class Replayed(TypedDict):
    # Deliveries that are tried once more.
    replayed: int


class Resources(TypedDict):
    """As Daytona granted them."""

    # vCPU, as Daytona answered.
    cpu: int
    # GiB, as Daytona answered.
    memory_gb: int
    # GiB, as Daytona answered.
    disk_gb: int


class RuleInForce(TypedDict):
    """A rule that holds for a sandbox."""

    rule: PolicyRule
    # What it does.
    action: RequestableAction
    # 0: never.
    minutes: int
    # Of whose policy; the most specific one wins.
    scope: PolicyScope
    # When it acts, if nothing changes; null: not as the sandbox is now.
    at: str | None


class Sandbox(TypedDict):
    """One sandbox. Its rows carry `active`: the list of its one active operation, or nothing."""

    id: str
    daytona_id: str | None
    # For people to read.
    name: str
    # Whether a person gave it its name; false: `name` is Daytona's name or id.
    name_known: bool
    owner: str
    status: SandboxStatus
    status_changed_at: str | None
    intent: Intent
    intent_set: IntentSet
    # The active operation, or null.
    operation: Operation | None
    # What a request would accept now, without force.
    allowed_actions: list[RequestableAction]
    language: str
    tier: str
    resources: Resources
    # Daytona's region.
    target: str
    # Daytona deletes it when it stops.
    ephemeral: bool
    snapshot: str
    harness_id: str
    git_repo: str
    # Those that people gave it.
    labels: dict[str, str]
    # Asked for; empty: by nobody.
    auto_stop_minutes: int | None
    # Asked for; empty: by nobody.
    auto_archive_minutes: int | None
    # Asked for; empty: by nobody.
    auto_delete_minutes: int | None
    observed: ObservedIntervals
    # What Daytona holds otherwise than asked for.
    differences: list[Difference]
    protected_until: str | None
    protected_reason: str
    # When it will be stopped, if nothing changes; null: never.
    stops_at: str | None
    # What stops it then.
    stops_by: Foreseen | None
    # When it will be archived; null: not for now.
    archives_at: str | None
    # What archives it then.
    archives_by: Foreseen | None
    # When it will be deleted; null: not for now.
    deletes_at: str | None
    # What deletes it then.
    deletes_by: Foreseen | None
    last_accessed_at: str | None
    # Daytona's clock of use.
    last_activity_at: str | None
    # When the GET that said so began.
    observed_at: str | None
    recoverable: bool
    # Daytona's own word (staff).
    observed_state: NotRequired[str]
    # Daytona's words on an error (staff).
    error_reason: NotRequired[str]
    # Convex's words on a refused push (staff).
    convex_error: NotRequired[str]
    created_at: str
    updated_at: str
    # Since when it is gone.
    deleted_at: str | None
    # For If-Match; of all but the times of use, looks and updates, and what follows from them or from Daytona:
    # `observed`, `differences`, `stops_at` and its like.
    etag: str


class SandboxPage(TypedDict):
    # The next page; null on the last one.
    next: str | None
    results: list[Sandbox]


class SandboxPolicy(TypedDict):
    """All rules that hold for one sandbox, whosever policy says them."""

    # Our id of the sandbox.
    sandbox: str
    rules: list[RuleInForce]


class UsageAnswer(TypedDict):
    """By owner, then by time, tier and region."""

    results: list[UsageShape]
    # Of the organisation, in the order of time; none for a single owner.
    quotas: list[QuotaShape]
    # The next owners; null after the last.
    next: str | None
    # What came later is not rolled up yet.
    known_until: str | None


class UsageShape(TypedDict):
    """What one owner's sandboxes of one tier and region used in one period."""

    # Hours in which Daytona counted one; divided by those of the time it is how many ran on average.
    sandbox_hours: float
    vcpu_hours: float
    memory_gib_hours: float
    # How often one was stopped to make room.
    evictions: int
    # Operations that ended for lack of room.
    refusals: int
    # Creates, starts and recovers that ended with one that runs.
    starts: int
    # Seconds from the request, exact to a tenth of it.
    time_to_running_p50: float | None
    time_to_running_p95: float | None
    # When the period began, in UTC.
    start: str
    owner: str
    tier: str
    # Daytona's region.
    target: str


class Webhook(TypedDict):
    """Where a program is told of events."""

    id: str
    url: str
    # None: all types.
    types: list[TypesEnum]
    # Whose events it is told; empty: all that its key may read.
    owner: str
    # Whether anything is sent.
    enabled: bool
    # Nothing is sent since then.
    disabled_at: str | None
    disabled_reason: str
    # Since when it has taken nothing; null while all is well.
    failing_since: str | None
    # How far in the feed it is: all later events are still to be sent.
    position: int
    created_at: str


class WebhookPage(TypedDict):
    # The next page; null on the last one.
    next: str | None
    results: list[Webhook]


class GetCapacityQuery(TypedDict):
    # The sandbox to be started: our id or Daytona's.
    sandbox: NotRequired[str]
    # A region, without a sandbox.
    target: NotRequired[str]


class ListEventsQuery(TypedDict):
    # The `cursor` of the page before, or `latest` for where the feed is now; if absent, the oldest event kept.
    after: NotRequired[str]
    # Events a page, 1 to 200; 50 if absent.
    limit: NotRequired[int]
    # Of one sandbox: our id or Daytona's.
    sandbox: NotRequired[str]
    # May be given several times.
    type: NotRequired[
        list[
            Literal[
                "call",
                "change",
                "convex",
                "created",
                "erased",
                "eviction",
                "gone",
                "intent",
                "observation",
                "operation",
                "policy",
                "pruned",
                "renamed",
                "returned",
            ]
        ]
    ]


class ListOperationsQuery(TypedDict):
    # May be given several times.
    action: NotRequired[list[Literal["archive", "create", "delete", "recover", "restart", "start", "stop", "sync"]]]
    # How it ended.
    code: NotRequired[str]
    # Asked for at or after this time.
    created_since: NotRequired[str]
    # Only as it stands in `next`.
    cursor: NotRequired[str]
    # Rows a page, 1 to 200; 50 if absent.
    limit: NotRequired[int]
    # `-` reverses; `-created_at` if absent.
    order: NotRequired[Literal["-created_at", "created_at"]]
    # An owner's id.
    owner: NotRequired[str]
    # The X-Request-ID of the request that asked for it.
    request_id: NotRequired[str]
    # May be given several times.
    status: NotRequired[list[Literal["cancelled", "failed", "in_progress", "queued", "succeeded"]]]


class ListPoliciesQuery(TypedDict):
    # Only as it stands in `next`.
    cursor: NotRequired[str]
    # Rows a page, 1 to 200; 50 if absent.
    limit: NotRequired[int]
    # `-` reverses; `-changed_at` if absent.
    order: NotRequired[Literal["-changed_at", "changed_at"]]
    # May be given several times.
    scope: NotRequired[list[Literal["default", "owner", "sandbox", "tier"]]]
    # A tier, an owner's id, or our id of a sandbox.
    subject: NotRequired[str]


class GetPolicyPreviewQuery(TypedDict):
    # Only as it stands in `next`.
    cursor: NotRequired[str]
    # How far to look ahead, up to 8784; 24 if absent.
    hours: NotRequired[float]
    # Rows a page, 1 to 200; 50 if absent.
    limit: NotRequired[int]
    # `-` reverses; `due_at` if absent.
    order: NotRequired[Literal["-due_at", "due_at"]]
    # Of one owner.
    owner: NotRequired[str]


class ListSandboxesQuery(TypedDict):
    # Only as it stands in `next`.
    cursor: NotRequired[str]
    # The harness that it is linked to.
    harness_id: NotRequired[str]
    # What was last asked for.
    intent: NotRequired[list[Literal["archived", "deleted", "running", "stopped"]]]
    # `name:value`, the whole of both. May be given several times: all of them hold.
    label: NotRequired[list[str]]
    # Rows a page, 1 to 200; 50 if absent.
    limit: NotRequired[int]
    # `-` reverses; `-created_at` if absent.
    order: NotRequired[
        Literal[
            "-created_at", "-last_used", "-name", "-updated_at", "created_at", "last_used", "name", "updated_at"
        ]
    ]
    # An owner's id.
    owner: NotRequired[str]
    # Part of the name, or an id. Fewer than three letters or digits: the start of the name.
    q: NotRequired[str]
    # May be given several times. Without it, `gone` ones are left out.
    status: NotRequired[
        list[Literal["archived", "creating", "error", "gone", "running", "starting", "stopped", "stopping"]]
    ]
    # Daytona's region.
    target: NotRequired[str]
    # Its size by name.
    tier: NotRequired[str]
    # Changed at or after this time, `gone` ones included: with `order=updated_at` a feed of changes (mere use
    # is none: it moves `last_accessed_at` alone).
    updated_since: NotRequired[str]


class ListSandboxEventsQuery(TypedDict):
    # Only as it stands in `next`.
    cursor: NotRequired[str]
    # Rows a page, 1 to 200; 50 if absent.
    limit: NotRequired[int]
    # `-` reverses; `-at` if absent.
    order: NotRequired[Literal["-at", "at"]]


class ListSandboxOperationsQuery(TypedDict):
    # May be given several times.
    action: NotRequired[list[Literal["archive", "create", "delete", "recover", "restart", "start", "stop", "sync"]]]
    # How it ended.
    code: NotRequired[str]
    # Asked for at or after this time.
    created_since: NotRequired[str]
    # Only as it stands in `next`.
    cursor: NotRequired[str]
    # Rows a page, 1 to 200; 50 if absent.
    limit: NotRequired[int]
    # `-` reverses; `-created_at` if absent.
    order: NotRequired[Literal["-created_at", "created_at"]]
    # An owner's id.
    owner: NotRequired[str]
    # The X-Request-ID of the request that asked for it.
    request_id: NotRequired[str]
    # May be given several times.
    status: NotRequired[list[Literal["cancelled", "failed", "in_progress", "queued", "succeeded"]]]


GetUsageQuery = TypedDict(
    "GetUsageQuery",
    {
        # Owners after this one; only as it stands in `next`.
        "after": "NotRequired[str]",
        # The first hour, in UTC: `2026-05-01`, or with a time. The first of the month if absent.
        "from": "NotRequired[str]",
        # Owners a page, 1 to 200; 50 if absent.
        "limit": "NotRequired[int]",
        # Of one owner.
        "owner": "NotRequired[str]",
        # What is summed: `hour` (7 days at most), `day` (92; if absent) or `month`, of UTC.
        "period": "NotRequired[Literal['day', 'hour', 'month']]",
        # Up to this hour, not included; now if absent.
        "to": "NotRequired[str]",
    },
)


class ListWebhooksQuery(TypedDict):
    # Only as it stands in `next`.
    cursor: NotRequired[str]
    # Rows a page, 1 to 200; 50 if absent.
    limit: NotRequired[int]
    # `-` reverses; `created_at` if absent.
    order: NotRequired[Literal["-created_at", "created_at"]]


class GetWebhookDeadQuery(TypedDict):
    # Only as it stands in `next`.
    cursor: NotRequired[str]
    # Rows a page, 1 to 200; 50 if absent.
    limit: NotRequired[int]
    # `-` reverses; `-died_at` if absent.
    order: NotRequired[Literal["-died_at", "died_at"]]
