"""The vocabulary, and how Daytona's words become the words people see. Pure: no I/O, no Django models."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import TextChoices


class Intent(TextChoices):
    """What a person, or a service for them, wants. Only explicit requests change it."""

    RUNNING = "running"
    STOPPED = "stopped"
    ARCHIVED = "archived"
    DELETED = "deleted"


class Action(TextChoices):
    CREATE = "create"
    START = "start"
    STOP = "stop"
    ARCHIVE = "archive"
    DELETE = "delete"
    RECOVER = "recover"
    SYNC = "sync"


INTENT_OF: dict[str, Intent] = {
    Action.CREATE: Intent.RUNNING,
    Action.START: Intent.RUNNING,
    Action.RECOVER: Intent.RUNNING,
    Action.STOP: Intent.STOPPED,
    Action.ARCHIVE: Intent.ARCHIVED,
    Action.DELETE: Intent.DELETED,
}

ACTION_FOR: dict[str, Action] = {
    Intent.RUNNING: Action.START,
    Intent.STOPPED: Action.STOP,
    Intent.ARCHIVED: Action.ARCHIVE,
    Intent.DELETED: Action.DELETE,
}


class Status(TextChoices):
    """What people see: the seven words Convex accepts, and `gone`."""

    CREATING = "creating"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ARCHIVED = "archived"
    ERROR = "error"
    GONE = "gone"


STATUS_OF_STATE: dict[str, Status] = {
    "started": Status.RUNNING,
    "snapshotting": Status.RUNNING,
    "starting": Status.STARTING,
    "restoring": Status.STARTING,
    "resuming": Status.STARTING,
    "pulling_snapshot": Status.STARTING,
    "resizing": Status.STARTING,
    "creating": Status.CREATING,
    "pending_build": Status.CREATING,
    "building_snapshot": Status.CREATING,
    "forking": Status.CREATING,
    "unknown": Status.CREATING,
    "stopping": Status.STOPPING,
    "archiving": Status.STOPPING,
    "pausing": Status.STOPPING,
    "destroying": Status.STOPPING,
    "stopped": Status.STOPPED,
    "paused": Status.STOPPED,
    "archived": Status.ARCHIVED,
    "error": Status.ERROR,
    "build_failed": Status.ERROR,
    "destroyed": Status.GONE,
}

STABLE_STATES = frozenset({"started", "stopped", "archived", "paused"})
ERROR_STATES = frozenset({"error", "build_failed"})

# Daytona counts vCPU, memory and GPU of these against the quota of (organisation, region, class):
# constants/sandbox-states-consuming-compute of the API server; `stopping` still counts (recording 07_quota).
COMPUTE_STATES = frozenset(
    {
        "creating", "restoring", "started", "starting", "stopping", "pending_build", "building_snapshot",
        "unknown", "pulling_snapshot", "forking", "pausing", "resuming",
    }
)  # fmt: skip

# Status from an operation's first call until Daytona shows its effect.
TRANSITIONAL: dict[str, Status] = {
    Action.CREATE: Status.CREATING,
    Action.START: Status.STARTING,
    Action.RECOVER: Status.STARTING,
    Action.STOP: Status.STOPPING,
    Action.ARCHIVE: Status.STOPPING,
    Action.DELETE: Status.STOPPING,
}

# What Daytona is doing right now: it ends by itself.
MOVING = frozenset(TRANSITIONAL.values())

MET_BY: dict[str, frozenset[str]] = {
    Intent.RUNNING: frozenset({"started", "snapshotting"}),
    Intent.STOPPED: frozenset({"stopped", "paused", "archived", "archiving"}),
    Intent.ARCHIVED: frozenset({"archived"}),
    Intent.DELETED: frozenset(),
}


class OperationStatus(TextChoices):
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ACTIVE = (OperationStatus.QUEUED, OperationStatus.IN_PROGRESS)


class Source(TextChoices):
    """Through which door an operation came."""

    API = "api"
    ADMIN = "admin"
    COMMAND = "command"
    EVICTION = "eviction"
    SWEEP = "sweep"


class ActorKind(TextChoices):
    OWNER = "owner"
    STAFF = "staff"
    SERVICE = "service"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks.

    `on_behalf_of` is the one owner whose sandboxes may be seen in this call; None means any owner's, which only
    staff, the system and keys with the scope `sandboxes:any` have.
    """

    kind: ActorKind
    id: str
    on_behalf_of: str | None = None

    @classmethod
    def owner(cls, owner: str) -> Actor:
        return cls(ActorKind.OWNER, owner, owner)

    @classmethod
    def staff(cls, username: str, *, on_behalf_of: str | None = None) -> Actor:
        return cls(ActorKind.STAFF, username, on_behalf_of)

    @classmethod
    def service(cls, key_name: str, *, on_behalf_of: str | None) -> Actor:
        return cls(ActorKind.SERVICE, key_name, on_behalf_of)

    @classmethod
    def system(cls, part: str) -> Actor:
        return cls(ActorKind.SYSTEM, part)

    @property
    def only_owner(self) -> str | None:
        """The one owner whose sandboxes the actor may see; None for any owner's."""
        return self.id if self.kind == ActorKind.OWNER else self.on_behalf_of

    def may_see(self, owner: str) -> bool:
        return self.only_owner in (None, owner)

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a GET on Daytona last said of one sandbox; `missing` is the belief, never a single 404."""

    state: str
    desired_state: str = ""
    recoverable: bool = False
    missing: bool = False


def status_of(*, seen: Seen | None, action: str | None, called: bool, last: str) -> str:
    """The status people see: one pure function of the observation and the active operation.

    `action` is the active operation's (None when there is none), `called` whether it has made a call to
    Daytona yet, `last` the status to keep when Daytona says a word that nobody knows.
    """
    if seen is not None and seen.missing:
        return Status.GONE
    if action in TRANSITIONAL and (called or seen is None):
        return TRANSITIONAL[action]
    if seen is None:
        return last
    if seen.desired_state == "destroyed" and seen.state not in ERROR_STATES:
        return Status.GONE if seen.state == "destroyed" else Status.STOPPING
    return STATUS_OF_STATE.get(seen.state, Status(last))


def is_met(*, intent: str, seen: Seen | None) -> bool:
    """Whether the observation agrees with the intent (unsettled calls are the caller's to know)."""
    if seen is None or seen.missing:
        return intent == Intent.DELETED
    if seen.state in STABLE_STATES and seen.desired_state not in ("", seen.state):
        return False
    return seen.state in MET_BY[intent]
