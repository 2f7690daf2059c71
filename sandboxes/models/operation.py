from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Q, Value

from sandboxes.core.codes import FOR_LACK_OF_ROOM
from sandboxes.core.vocabulary import ACTIVE, Action, ActorKind, EventKind, OperationStatus, Source
from sandboxes.models.intent import IntentChange
from sandboxes.models.sandbox import Sandbox
from sandboxes.models.scope import OperationRows, is_active

UNUSUAL = (OperationStatus.FAILED, OperationStatus.CANCELLED)
NO_ROOM = tuple(map(str, FOR_LACK_OF_ROOM))
RARE = (Action.CREATE, Action.RESTART, Action.ARCHIVE, Action.DELETE, Action.RECOVER)
NUMBERED = Q(seq__isnull=False)


class Operation(models.Model):
    """One requested action, in flight or finished. At most one is active per sandbox. Services alone write it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    sandbox = models.ForeignKey(Sandbox, on_delete=models.CASCADE, related_name="operations", db_index=False)
    owner = models.CharField(
        max_length=255, blank=True, db_default="", help_text="Whose the sandbox is: owners take turns."
    )
    action = models.CharField(max_length=20, choices=Action.choices)
    status = models.CharField(max_length=20, choices=OperationStatus.choices, default=OperationStatus.QUEUED)
    step = models.CharField(max_length=200, blank=True, help_text="What it does now, for people.")
    actor_kind = models.CharField(max_length=20, choices=ActorKind.choices)
    actor_id = models.CharField(max_length=255)
    reason = models.CharField(max_length=500, blank=True)
    source = models.CharField(max_length=20, choices=Source.choices)
    request_id = models.CharField(max_length=100, blank=True)
    caused_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="caused", db_index=False
    )
    intent_change = models.ForeignKey(
        IntentChange, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False,
        help_text="What it changed of the intent; taken back when it is cancelled before any call.",
    )  # fmt: skip
    parameters: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField()), blank=True,
        help_text="What was said with it otherwise than by default: core/parameters.py.",
    )  # fmt: skip
    search = models.JSONField(null=True, blank=True, help_text="The search for room in a full quota.")
    attempt = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    attempted_at = models.DateTimeField(null=True, blank=True)
    deadline = models.DateTimeField(null=True, blank=True)
    deadline_runs = models.BooleanField(
        default=True, db_default=True, help_text="Whether the time since the last attempt counts."
    )
    code = models.CharField(max_length=50, blank=True)
    message = models.TextField(blank=True, help_text="For staff: may hold Daytona's or Convex's words.")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = models.Manager.from_queryset(OperationRows)()

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["sandbox"], condition=is_active(), name="one_active_operation_per_sandbox"
            ),
            # Owners take turns by it: those of nobody would wait behind each other.
            models.CheckConstraint(condition=~is_active() | ~Q(owner=""), name="active_operation_has_its_owner"),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="operation_due", condition=is_active()),
            models.Index(fields=["owner", "due_at"], name="operation_turn", condition=is_active()),
            models.Index(fields=["sandbox", "created_at", "id"], name="operation_of_sandbox"),
            models.Index(fields=["created_at", "id"], name="operation_created"),
            models.Index(fields=["finished_at"], name="operation_finished", condition=Q(finished_at__isnull=False)),
            models.Index(fields=["caused_by"], name="operation_caused_by", condition=Q(caused_by__isnull=False)),
            models.Index(fields=["request_id"], name="operation_request", condition=~Q(request_id="")),
            # What is asked of the few that did not simply succeed, or are seldom requested.
            models.Index(fields=["code", "created_at"], name="operation_code", condition=~Q(code="")),
            models.Index(fields=["status", "created_at"], name="operation_failed", condition=Q(status__in=UNUSUAL)),
            models.Index(fields=["action", "created_at"], name="operation_rare", condition=Q(action__in=RARE)),
            models.Index(fields=["finished_at"], name="operation_no_room", condition=Q(code__in=NO_ROOM)),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.status}"

    @property
    def is_active(self) -> bool:
        return self.status in ACTIVE


class SandboxEvent(models.Model):
    """One line of a sandbox's timeline and one entry of the feed; append-only: the audit trail."""

    Kind = EventKind
    # What is told when the row of a sandbox is deleted here: it has no row to belong to.
    REMOVALS = (EventKind.PRUNED, EventKind.ERASED)

    id = models.BigAutoField(primary_key=True)
    seq = models.BigIntegerField(
        null=True, blank=True, editable=False, help_text="Its place in the feed; given after it was committed."
    )
    sandbox = models.ForeignKey(
        Sandbox, null=True, blank=True, on_delete=models.CASCADE, related_name="events", db_index=False
    )
    owner = models.CharField(max_length=255, blank=True, help_text="Whose the sandbox was then: who may read it.")
    operation = models.ForeignKey(
        Operation, null=True, blank=True, on_delete=models.SET_NULL, related_name="events"
    )
    kind = models.CharField(max_length=20, choices=Kind.choices)
    at = models.DateTimeField()
    text = models.CharField(max_length=500)
    actor = models.CharField(max_length=300, blank=True)
    data = models.JSONField(default=dict, blank=True)
    changes: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField()), blank=True,
        help_text="The new values of what is shown of the sandbox.",
    )  # fmt: skip

    class Meta:
        verbose_name = "event"
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["seq"], name="event_seq"),
            models.CheckConstraint(
                condition=Q(sandbox__isnull=True) | ~Q(owner=""), name="event_of_a_sandbox_has_its_owner"
            ),
        ]
        indexes = [
            models.Index(fields=["sandbox", "-at", "-id"], name="event_of_sandbox"),
            models.Index(fields=["at"], name="event_at"),
            # The feed: of all, of one owner, of one sandbox; and what has no place in it yet.
            models.Index(fields=["owner", "seq"], name="event_of_owner_seq", condition=NUMBERED),
            models.Index(fields=["sandbox", "seq"], name="event_of_sandbox_seq", condition=NUMBERED),
            models.Index(fields=["id"], name="event_without_seq", condition=Q(seq__isnull=True)),
        ]

    def __str__(self) -> str:
        return self.text


class Feed(models.Model):
    """One row, locked while events get their numbers: how far they go, and up to where they were deleted."""

    last = models.BigIntegerField(default=0)
    expired = models.BigIntegerField(default=0)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.expired} to {self.last}"
