from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from sandboxes.core.vocabulary import AuditAction
from sandboxes.models.sandbox import Owner, Sandbox


class AuditEntry(models.Model):
    """What somebody did, from where, and what it changed. Append-only in the database too, until it is outdated."""

    at = models.DateTimeField()
    actor = models.CharField(max_length=300, help_text="Who, such as staff:admin.")
    action = models.CharField(max_length=30, choices=AuditAction.choices)
    about_kind = models.CharField(max_length=50, blank=True, help_text="What kind of thing it was done to.")
    about_id = models.CharField(max_length=255, blank=True)
    about_name = models.CharField(max_length=300, blank=True)
    owner = models.CharField(max_length=255, blank=True, help_text="Whose sandboxes it is about.")
    reason = models.CharField(max_length=500, blank=True)
    before: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    after: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    request_id = models.CharField(max_length=100, blank=True)
    address = models.CharField("from", max_length=300, blank=True, help_text="The client's address, or user@host.")
    keep_until = models.DateTimeField(help_text="The database refuses to delete it before.")

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["-at"], name="audit_at"),
            models.Index(fields=["actor", "-at"], name="audit_actor"),
            models.Index(fields=["owner", "-at"], name="audit_owner", condition=~Q(owner="")),
            models.Index(fields=["about_id", "-at"], name="audit_about", condition=~Q(about_id="")),
            models.Index(fields=["request_id"], name="audit_request", condition=~Q(request_id="")),
            models.Index(fields=["keep_until"], name="audit_keep_until"),
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} by {self.actor}"


class Note(models.Model):
    """What staff tell each other of an owner or a sandbox. Internal: no program and no owner reads it."""

    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="notes")
    sandbox = models.ForeignKey(Sandbox, null=True, blank=True, on_delete=models.CASCADE, related_name="notes")
    at = models.DateTimeField()
    author = models.CharField(max_length=300)
    text = models.TextField(max_length=2000)

    class Meta:
        default_permissions = ("view", "add")

    def __str__(self) -> str:
        return self.text
