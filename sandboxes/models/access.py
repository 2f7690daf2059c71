from __future__ import annotations

from django.db import models

from sandboxes.models.names import NameField


class ServiceKey(models.Model):
    """A program's key: a visible prefix, an HMAC of the secret, scopes. The secret is shown once, never stored."""

    class Scope(models.TextChoices):
        READ = "sandboxes:read"
        WRITE = "sandboxes:write"
        USE = "sandboxes:use"
        ANY = "sandboxes:any"

    name = NameField(max_length=100, unique=True)
    prefix = models.CharField(max_length=20, unique=True)
    digest = models.CharField(max_length=64)
    scopes: models.JSONField[list[str], list[str]] = models.JSONField(default=list)
    allowed_networks: models.JSONField[list[str], list[str]] = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.CharField(max_length=255, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=255, blank=True, default="", db_default="")
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ("view", "add")
        permissions = [("revoke_servicekey", "Can revoke service keys")]

    def __str__(self) -> str:
        return str(self.name)


class IdempotencyAnswer(models.Model):
    """What a POST with an Idempotency-Key was answered; empty `status` while the first one still runs."""

    principal = models.CharField(max_length=300)
    owner = models.CharField(
        max_length=255, default="", db_default="", blank=True, help_text="For whom the request was."
    )
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveIntegerField(null=True, blank=True)
    headers = models.JSONField(default=dict, blank=True)
    body = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["principal", "owner", "key"], name="one_answer_per_key")]
        indexes = [models.Index(fields=["created_at"], name="idempotency_created")]

    def __str__(self) -> str:
        return self.key
