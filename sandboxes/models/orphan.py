from __future__ import annotations

from django.db import models

from sandboxes.core.vocabulary import OrphanDecision


class Orphan(models.Model):
    """A sandbox of Daytona's without a row here, as the latest sweep saw it, and what staff decided about it."""

    daytona_id = models.CharField("Daytona's id", primary_key=True, max_length=255)
    name = models.CharField(max_length=255, blank=True)
    owner = models.CharField(max_length=255, blank=True, help_text="By its label; empty: it is somebody else's.")
    state = models.CharField(max_length=50, blank=True)
    target = models.CharField("region", max_length=100, blank=True)
    cpu = models.PositiveIntegerField("vCPU", null=True)
    memory_gb = models.PositiveIntegerField("memory", null=True)
    disk_gb = models.PositiveIntegerField("disk", null=True)
    created_at = models.DateTimeField("created", null=True)
    first_seen_at = models.DateTimeField("first seen")
    seen_at = models.DateTimeField("last seen")
    decision = models.CharField(max_length=20, choices=OrphanDecision.choices, blank=True)
    decided_by = models.CharField(max_length=300, blank=True)
    decided_at = models.DateTimeField("decided", null=True)
    adopt_for = models.CharField(max_length=255, blank=True, help_text="Whose it is to be, as staff named them.")
    reason = models.CharField(max_length=500, blank=True)
    message = models.CharField(max_length=500, blank=True, help_text="Why a sweep could not carry it out.")

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["-first_seen_at", "daytona_id"], name="orphan_first_seen")]

    def __str__(self) -> str:
        return self.name or self.daytona_id
