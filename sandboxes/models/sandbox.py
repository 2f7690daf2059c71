from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any, Self

from django.db import connections, models
from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Greatest
from django.db.models.lookups import Exact
from django.utils.text import slugify

from sandboxes import clock
from sandboxes.core.derived import Derived
from sandboxes.core.vocabulary import Action, ActorKind, Intent, Status
from sandboxes.models.lease import Leased
from sandboxes.models.names import NameField
from sandboxes.models.scope import SandboxRows

if TYPE_CHECKING:
    from collections.abc import Iterable


class Owner(models.Model):
    """The end user a sandbox belongs to: the `sub` of their identity token, not a Django user."""

    id = models.CharField(primary_key=True, max_length=255)
    sandbox_limit = models.PositiveIntegerField(
        null=True, blank=True, help_text="Empty: SANDBOXES_PER_OWNER of the settings."
    )
    limit_reason = models.CharField(max_length=500, blank=True)
    hold_since = models.DateTimeField(null=True, blank=True)
    hold_actor = models.CharField(max_length=300, blank=True)
    hold_reason = models.CharField(max_length=500, blank=True, help_text="Internal: staff alone read it.")
    hold_public_reason = models.CharField(
        max_length=500, blank=True, default="", db_default="", help_text="What the owner and their programs read."
    )
    operations_hour = models.DateTimeField(null=True, blank=True, help_text="The hour that is being counted.")
    operations_in_hour = models.PositiveIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        permissions = [
            ("hold_owner", "Can put an owner on hold"),
            ("limit_owner", "Can set an owner's limit"),
        ]
        indexes = [models.Index(fields=["-created_at", "id"], name="owner_created")]

    def __str__(self) -> str:
        return self.id

    @property
    def on_hold(self) -> bool:
        return self.hold_since is not None


LIVE = ~Q(status="gone")
# The actions whose permissions Django makes: `add_sandbox`, `delete_sandbox`.
DJANGOS_OWN = (Action.CREATE, Action.DELETE)
# When it was last used by our own clock: the API's order `last_used`.
LAST_ACCESSED = Coalesce("last_accessed_at", "created_at")
# `Sandbox.last_used_at` for the database.
LAST_USED = Greatest(Coalesce("last_accessed_at", "created_at"), Coalesce("last_activity_at", "created_at"))
# What the database sorts by, for an attribute that is no column.
SORTED_BY = {"last_used_at": LAST_USED}


# What moves without a change of the sandbox: by mere use, by the list's pages, and by our own work.
WORKING_FIELDS = frozenset(
    {
        "last_accessed_at", "touch_forwarded_at", "touch_due_at", "listed_at", "fetch_due_at", "failures",
        "lease_token", "lease_until", "updated_at", "policies_from", "policy_due_at",
        "policy_warnings",
    }
)  # fmt: skip


class DatabaseTime(models.DateTimeField):  # type: ignore[type-arg] # takes none where the code runs
    """The database's time of the last save, whatever the clock of the host that saves."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:  # noqa: ARG002
        return clock.present()


class SandboxQuerySet(SandboxRows):
    def update(self, **values: Any) -> int:
        """`updated_at` moves with whatever is a change; as `save` does it."""
        if not WORKING_FIELDS.issuperset(values):
            values.setdefault("updated_at", clock.present())
        return super().update(**values)

    def labelled(self, labels: Iterable[tuple[str, str]]) -> Self:
        """Those that carry all of these labels. SQLite scans for them; PostgreSQL has an index of what has any."""
        if connections[self.db].vendor == "postgresql":
            wanted = [Q(user_labels__contains={name: value}) for name, value in labels]
            return self.filter(*wanted).exclude(user_labels={})
        held = [Q(Exact(KeyTextTransform(name, "user_labels"), value)) for name, value in labels]
        return self.filter(*held)


class Sandbox(Derived, Leased):
    """One sandbox: who owns it, what is wanted, and what Daytona last said. Services alone write it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    daytona_id = models.CharField(max_length=255, null=True, blank=True)
    daytona_name = models.CharField(max_length=255, blank=True, help_text="Its name in Daytona; never changes.")
    organization_id = models.CharField(max_length=255, blank=True)
    name = NameField(max_length=200, blank=True, help_text="Empty: no person has named it, as far as we know.")
    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="sandboxes", db_index=False)
    harness_id = models.CharField(max_length=255, blank=True)
    language = models.CharField(max_length=50, default="python")
    resource_tier = models.CharField(max_length=50, default="basic")
    cpu = models.PositiveIntegerField(default=0, help_text="vCPU, as Daytona answered.")
    memory_gb = models.PositiveIntegerField(default=0, help_text="GiB, as Daytona answered.")
    disk_gb = models.PositiveIntegerField(default=0, help_text="GiB, as Daytona answered.")
    target = models.CharField(max_length=100, blank=True, help_text="Daytona's region.")
    sandbox_class = models.CharField(max_length=100, blank=True)
    ephemeral = models.BooleanField(default=False, help_text="Daytona deletes it when it stops.")
    snapshot = models.CharField(max_length=255, blank=True)
    git_repo = models.CharField(max_length=500, blank=True)
    labels = models.JSONField(default=dict, blank=True, help_text="What Daytona holds, ours among them.")
    user_labels: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField(
        default=dict, db_default={}, blank=True, help_text="Those that people gave it, told Daytona with ours."
    )
    # Asked for, beside what Daytona holds (observed_auto_stop …); core/asked.py compares the two.
    auto_stop_minutes = models.IntegerField(null=True, blank=True, help_text="Asked for; empty: by nobody.")
    auto_archive_minutes = models.IntegerField(null=True, blank=True, help_text="Asked for; empty: by nobody.")
    auto_delete_minutes = models.IntegerField(null=True, blank=True, help_text="Asked for; empty: by nobody.")
    created_with: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(
        default=dict,
        db_default={},
        blank=True,
        help_text="Snapshot, region and size that our create asked for; never changes.",
    )

    intent = models.CharField(max_length=20, choices=Intent.choices, default=Intent.RUNNING)
    intent_actor_kind = models.CharField(max_length=20, choices=ActorKind.choices, default=ActorKind.SYSTEM)
    intent_actor_id = models.CharField(max_length=255, blank=True)
    intent_reason = models.CharField(max_length=500, blank=True)
    intent_at = models.DateTimeField(null=True, blank=True)
    intent_met_at = models.DateTimeField(null=True, blank=True)

    observed_state = models.CharField(max_length=50, blank=True)
    desired_state = models.CharField(max_length=50, blank=True)
    error_reason = models.TextField(blank=True)
    recoverable = models.BooleanField(default=False)
    observed_auto_stop = models.IntegerField(null=True, blank=True)
    observed_auto_archive = models.IntegerField(null=True, blank=True)
    observed_auto_delete = models.IntegerField(null=True, blank=True)
    last_activity_at = models.DateTimeField(null=True, blank=True, help_text="Daytona's clock of use.")
    observed_at = models.DateTimeField(null=True, blank=True, help_text="When the GET that said so began.")
    fetch_due_at = models.DateTimeField(null=True, blank=True, help_text="Look again then.")
    missing_since = models.DateTimeField(null=True, blank=True, help_text="First 404 without a 200 since.")
    listed_at = models.DateTimeField(null=True, blank=True, help_text="Last seen in Daytona's list.")
    failures = models.PositiveSmallIntegerField(
        default=0, db_default=0, help_text="Attempts in a row that ended with an error of our own."
    )

    status = models.CharField(max_length=20, choices=Status.choices, default=Status.CREATING)
    status_changed_at = models.DateTimeField(null=True, blank=True)
    last_accessed_at = models.DateTimeField(null=True, blank=True)
    touch_forwarded_at = models.DateTimeField(null=True, blank=True)
    touch_due_at = models.DateTimeField(
        null=True, blank=True, help_text="Daytona and Convex are told of its use then."
    )
    protected_until = models.DateTimeField(null=True, blank=True)
    protected_reason = models.CharField(max_length=500, blank=True)
    policies_from = models.DateTimeField(
        null=True, blank=True, help_text="No lifecycle policy counts from an earlier time."
    )
    policy_due_at = models.DateTimeField(null=True, blank=True, help_text="Its lifecycle policies are judged then.")
    policy_warnings: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(
        default=dict, db_default={}, blank=True, help_text="When each rule acts, as it was announced."
    )

    pending_changes: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(
        default=dict, blank=True, help_text="Labels and intervals that Daytona has not confirmed yet."
    )

    created_at = models.DateTimeField()
    updated_at = DatabaseTime(editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, help_text="Since when it is gone.")
    forgotten_at = models.DateTimeField(
        null=True, blank=True, help_text="Its delete does not end: since when it counts against no limit."
    )

    objects = models.Manager.from_queryset(SandboxQuerySet)()

    # While it is locked: its events, which are written at the end of the block; and, where many are locked
    # together, what else is written of all of them.
    lines: list[Any] | None = None
    batch: Any = None
    # Its latest calls to Daytona, once they were read.
    known_calls: list[Any] | None = None
    # The lifecycle rules that hold for it, once they were read.
    known_policy: Any = None

    class Meta:
        verbose_name_plural = "sandboxes"
        permissions = [
            *((f"{action}_sandbox", f"Can {action} sandboxes") for action in Action if action not in DJANGOS_OWN),
            ("protect_sandbox", "Can protect sandboxes from eviction"),
            ("cancel_operation", "Can cancel operations"),
            ("push_sandbox", "Can push sandboxes to Convex again"),
            ("rename_sandbox", "Can rename sandboxes"),
        ]
        indexes = [
            models.Index(
                fields=["owner", "created_at", "id"],
                name="sandbox_owner_created",
                # On PostgreSQL it answers the search for the start of an owner's id as well.
                opclasses=["varchar_pattern_ops", "timestamptz_ops", "uuid_ops"],
            ),
            # The orders of the API's list, each with the id that ends it.
            models.Index(fields=["created_at", "id"], name="sandbox_created"),
            models.Index(fields=["updated_at", "id"], name="sandbox_updated"),
            models.Index(fields=["name", "id"], name="sandbox_name"),
            models.Index(LAST_ACCESSED, "id", name="sandbox_last_accessed"),
            models.Index(fields=["status", "-created_at"], name="sandbox_status_created"),
            models.Index(fields=["daytona_name"], name="sandbox_daytona_name"),
            models.Index(
                fields=["fetch_due_at"], name="sandbox_fetch_due", condition=Q(fetch_due_at__isnull=False)
            ),
            models.Index(
                fields=["owner", "fetch_due_at"], name="sandbox_fetch_turn", condition=Q(fetch_due_at__isnull=False)
            ),
            models.Index(
                fields=["touch_due_at"], name="sandbox_touch_due", condition=Q(touch_due_at__isnull=False)
            ),
            models.Index(
                fields=["policy_due_at"], name="sandbox_policy_due", condition=Q(policy_due_at__isnull=False)
            ),
            # Among which is each delete that does not end: few rows, which every reading of the metrics asks for.
            models.Index(
                fields=["-created_at"],
                name="sandbox_deleting",
                condition=Q(intent="deleted", deleted_at__isnull=True),
            ),
            models.Index(fields=["failures"], name="sandbox_failing", condition=Q(failures__gt=0)),
            models.Index(
                fields=["target", "sandbox_class", "last_accessed_at"],
                name="sandbox_running",
                condition=Q(status="running"),
            ),
            # What is in use of the quotas: few rows of many, asked by the dashboard and by clients.
            models.Index(
                fields=["observed_state", "target", "sandbox_class"],
                name="sandbox_live_state",
                condition=Q(deleted_at__isnull=True),
            ),
            models.Index(fields=["harness_id", "created_at"], name="sandbox_harness", condition=~Q(harness_id="")),
            # The filters of the admin's list, whose rare answers would otherwise walk the whole table.
            models.Index(fields=["resource_tier", "-created_at"], name="sandbox_live_tier", condition=LIVE),
            models.Index(fields=["target", "-created_at"], name="sandbox_live_region", condition=LIVE),
            models.Index(LAST_USED, name="sandbox_live_last_used", condition=LIVE),
            models.Index(
                fields=["-created_at"], name="sandbox_protected", condition=Q(protected_until__isnull=False)
            ),
            models.Index(fields=["-created_at"], name="sandbox_ephemeral", condition=Q(ephemeral=True)),
        ]
        constraints = [
            # Not `unique=True`, which brings PostgreSQL a second index, for searches of the start of an id.
            models.UniqueConstraint(fields=["daytona_id"], name="sandbox_daytona_id"),
            # Lists and indexes go by the status, decisions by the time: both say the same.
            models.CheckConstraint(
                condition=Q(status="gone", deleted_at__isnull=False) | (LIVE & Q(deleted_at__isnull=True)),
                name="sandbox_gone_is_deleted",
            ),
        ]

    def __str__(self) -> str:
        return self.display_name

    def save(self, *, update_fields: Iterable[str] | None = None, **options: Any) -> None:
        """`updated_at` moves with whatever is a change."""
        if update_fields is not None and not WORKING_FIELDS.issuperset(update_fields):
            update_fields = {*update_fields, "updated_at"}
        super().save(update_fields=update_fields, **options)

    @property
    def name_known(self) -> bool:
        """Whether a person gave it its name. Only such a name is told to Convex and to Daytona."""
        return bool(self.name)

    def compose_daytona_name(self) -> str:
        """`<slug>-<short id>`: unique in the organisation, so a create is safe to repeat."""
        return f"{slugify(self.name)[:40] or 'sandbox'}-{self.short_id}"
