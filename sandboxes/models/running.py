from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q

from sandboxes.core.codes import NoticeCode
from sandboxes.models.lease import Leased, LeasedRows

if TYPE_CHECKING:
    from datetime import datetime


class Notice(models.Model):
    """One open row per condition that staff must know; never one per sandbox."""

    code = models.CharField(max_length=50, choices=[(c.value, c.value) for c in NoticeCode])
    message = models.TextField()
    remedy = models.CharField("fix", max_length=500)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=1)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["code"], condition=Q(closed_at__isnull=True), name="one_open_notice_per_code"
            )
        ]

    def __str__(self) -> str:
        return self.message


class Lease(Leased):
    """A named right that one process holds at a time: the sweep, the room of a region."""

    name = models.CharField(primary_key=True, max_length=255)
    holder = models.CharField(max_length=255, blank=True)

    objects = models.Manager.from_queryset(LeasedRows)()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class CircuitBreaker(models.Model):
    """What all processes know together of another system: whether to call it, and what it can do.

    Closed while `open_until` is empty. Nobody calls before `open_until`; after it the breaker is half-open: one
    call tries for all, and closes or opens it again.
    """

    name = models.CharField(primary_key=True, max_length=255)
    reason = models.CharField(max_length=50, blank=True, help_text="Why it counts failures; empty: all is well.")
    failures = models.PositiveIntegerField(default=0, help_text="Calls in a row without a usable answer.")
    open_until = models.DateTimeField(null=True, blank=True)
    has_own_functions = models.BooleanField(
        null=True, blank=True, help_text="Whether the latest call found ours in Convex; empty: none has looked."
    )
    functions = models.JSONField(default=list, blank=True, help_text="All that it found, where they can be listed.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name

    def is_open(self, now: datetime) -> bool:
        return self.open_until is not None and self.open_until > now

    @property
    def is_half_open(self) -> bool:
        """Asked where it is not open: nobody knows yet whether the reason is over."""
        return self.open_until is not None


class CallBudget(models.Model):
    """How many calls of one bucket Daytona takes in a window, and how many of them workers have taken."""

    bucket = models.CharField(primary_key=True, max_length=100)
    limit = models.PositiveIntegerField(default=0, help_text="Calls in a window; 0: none is known.")
    window = models.FloatField(default=0.0, help_text="Seconds.")
    ends_at = models.DateTimeField(null=True, blank=True)
    taken = models.PositiveIntegerField(default=0)
    closed_until = models.DateTimeField(null=True, blank=True, help_text="Nobody calls before then.")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.bucket


class Schedule(models.Model):
    """Work that is done once in so many seconds by whichever process comes first; and what last came of it."""

    name = models.CharField(primary_key=True, max_length=255)
    due_at = models.DateTimeField(null=True, blank=True, help_text="Empty: now.")
    result: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class WorkerHeartbeat(models.Model):
    """One row per process that runs without requests, written every 10 s with its call counters."""

    class Role(models.TextChoices):
        WORKER = "worker"
        RECONCILE = "reconcile"
        WATCH = "watch"

    # The database fills it in for a worker of the release before, which may beat during the migration.
    role = models.CharField(max_length=20, choices=Role.choices, default=Role.WORKER, db_default=Role.WORKER)
    worker_id = models.CharField(primary_key=True, max_length=100)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    places = models.PositiveIntegerField(help_text="Turns that it takes at the same time.")
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True, blank=True)
    freed_at = models.DateTimeField(null=True, blank=True, help_text="When another worker freed what it held.")
    counters = models.JSONField(default=dict, blank=True)
    lanes: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(
        default=dict, db_default={}, blank=True, help_text="Of each lane: the places taken, and those there are."
    )

    class Meta:
        verbose_name = "worker"
        default_permissions = ("view",)

    def __str__(self) -> str:
        return self.worker_id


class Sweep(models.Model):
    """One pass of reconcile and what it found."""

    class Result(models.TextChoices):
        RUNNING = "running"
        COMPLETE = "complete"
        PARTIAL = "partial"
        REFUSED = "refused"

    result = models.CharField(max_length=20, choices=Result.choices, default=Result.RUNNING)
    host = models.CharField(max_length=255, blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    dry_run = models.BooleanField(default=False)
    owner = models.CharField(max_length=255, blank=True)
    counts = models.JSONField(default=dict, blank=True)
    detail = models.TextField(blank=True)

    class Meta:
        default_permissions = ("view",)
        indexes = [models.Index(fields=["-started_at"], name="sweep_started")]

    def __str__(self) -> str:
        return f"sweep {self.pk}"
