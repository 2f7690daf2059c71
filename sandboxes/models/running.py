from __future__ import annotations

from django.db import models
from django.db.models import Q

from sandboxes.codes import NoticeCode


class Notice(models.Model):
    """One open row per condition that staff must know; never one per sandbox."""

    code = models.CharField(max_length=50, choices=[(c.value, c.value) for c in NoticeCode])
    message = models.TextField()
    cure = models.CharField(max_length=500)
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


class Lease(models.Model):
    """A named right that one process holds at a time: the sweep, the room of a region."""

    name = models.CharField(primary_key=True, max_length=255)
    holder = models.CharField(max_length=255, blank=True)
    token = models.CharField(max_length=40, blank=True)
    epoch = models.BigIntegerField(default=0)
    until = models.DateTimeField(null=True, blank=True)
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class WorkerHeartbeat(models.Model):
    """One row per worker process, written every 10 s with its call counters."""

    worker_id = models.CharField(primary_key=True, max_length=100)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    threads = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True, blank=True)
    counters = models.JSONField(default=dict, blank=True)

    class Meta:
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
