"""The words that every part uses: what is wanted, what is asked for, what is shown, and who asks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import EnumType, StrEnum


class _WithChoices(EnumType):
    @property
    def choices(cls) -> list[tuple[str, str]]:
        """Value and label of each, as fields and forms take them."""
        return [(word.value, word.label) for word in cls]  # type: ignore[var-annotated]

    @property
    def values(cls) -> list[str]:
        return [word.value for word in cls]  # type: ignore[var-annotated]


class Word(StrEnum, metaclass=_WithChoices):
    """A closed set of stored words, each with a label for people."""

    @property
    def label(self) -> str:
        return self.name.replace("_", " ").title()


class Intent(Word):
    """What a person, or a service for them, wants. Only explicit requests change it."""

    RUNNING = "running"
    STOPPED = "stopped"
    ARCHIVED = "archived"
    DELETED = "deleted"


class Action(Word):
    """What can be asked for."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    ARCHIVE = "archive"
    DELETE = "delete"
    RECOVER = "recover"
    SYNC = "sync"


class Status(Word):
    """What people see: the seven words Convex accepts, and `gone`."""

    CREATING = "creating"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ARCHIVED = "archived"
    ERROR = "error"
    GONE = "gone"


class OperationStatus(Word):
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class CallOutcome(Word):
    """What is known of a call to Daytona."""

    PENDING = "pending"  # it is out, or whoever made it died
    ACCEPTED = "accepted"
    FAILED = "failed"  # it was carried out, and failed
    REFUSED = "refused"  # it was not carried out
    UNKNOWN = "unknown"  # nobody knows whether it was, or will be


class Source(Word):
    """Through which door an operation came."""

    API = "api"
    ADMIN = "admin"
    COMMAND = "command"
    EVICTION = "eviction"
    SWEEP = "sweep"
    POLICY = "policy"


class ActorKind(Word):
    OWNER = "owner"
    STAFF = "staff"
    SERVICE = "service"
    SYSTEM = "system"


class OrphanDecision(Word):
    """What staff decided about a sandbox of Daytona's that has no row here."""

    ADOPT = "adopt"
    DELETE = "delete"
    IGNORE = "ignore"


class ItemResult(Word):
    """What came of one sandbox of a job; of a request, its operation says the rest."""

    WAITING = "waiting"
    REQUESTED = "requested"
    DONE = "done"  # there was no operation to make
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"


class EventKind(Word):
    """What a line of the timeline tells of."""

    CREATED = "created"
    INTENT = "intent"
    OPERATION = "operation"
    CALL = "call"
    OBSERVATION = "observation"
    GONE = "gone"
    RETURNED = "returned"
    EVICTION = "eviction"
    CONVEX = "convex"
    RENAMED = "renamed"
    CHANGE = "change"
    PRUNED = "pruned"
    ERASED = "erased"
    POLICY = "policy"

    @classmethod
    def for_programs(cls) -> list[str]:
        """What others than staff may read: not what Daytona and Convex were asked and said."""
        return [kind.value for kind in cls if kind not in (cls.CALL, cls.CONVEX)]


class Form(Word):
    """How a receiver is told."""

    WEBHOOK = "webhook"  # signed JSON
    SLACK = "slack"  # a message as Slack and those like it take it
    MAIL = "mail"

    @property
    def label(self) -> str:
        return {"webhook": "Signed webhook", "slack": "Message to Slack, or alike", "mail": "Mail"}[self.value]


class Rule(Word):
    """What a lifecycle policy may say of a sandbox."""

    @property
    def label(self) -> str:
        return self.replace("_", " ").capitalize()

    IDLE_STOP = "idle_stop"
    LONGEST_RUN = "longest_run"
    ARCHIVE_AFTER = "archive_after"
    DELETE_AFTER = "delete_after"
    EXPIRY = "expiry"


class PolicyScope(Word):
    """Of which sandboxes a policy speaks; the later ones are more specific, and win."""

    DEFAULT = "default"
    TIER = "tier"
    OWNER = "owner"
    SANDBOX = "sandbox"


class AuditAction(Word):
    """What the audit log tells of."""

    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    SIGN_IN_FAILED = "sign_in_failed"
    ACCOUNT_ADDED = "account_added"
    ACCOUNT_CHANGED = "account_changed"
    ACCOUNT_DELETED = "account_deleted"
    KEY_CREATED = "key_created"
    KEY_REVOKED = "key_revoked"
    WEBHOOK_CREATED = "webhook_created"
    WEBHOOK_CHANGED = "webhook_changed"
    WEBHOOK_DELETED = "webhook_deleted"
    HOLD = "hold"
    HOLD_LIFTED = "hold_lifted"
    LIMIT = "limit"
    OWNER_ERASED = "owner_erased"
    RENAMED = "renamed"
    SETTINGS = "settings"
    PROTECTION = "protection"
    FORGOTTEN = "forgotten"
    POLICY = "policy"
    NOTE = "note"
    ORPHAN = "orphan"
    JOB = "job"
    JOB_CANCELLED = "job_cancelled"
    COMMAND = "command"

    @property
    def label(self) -> str:
        return self.value.replace("_", " ").capitalize()


ACTIVE = (OperationStatus.QUEUED, OperationStatus.IN_PROGRESS)

# What ends with a sandbox that runs, and begins with one that does not.
TO_RUNNING = (Action.CREATE, Action.START, Action.RECOVER)


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
