from __future__ import annotations

from django.db import models

from sandboxes.core.facts import ChangeIntent, IntentSetting
from sandboxes.core.vocabulary import ActorKind, Intent
from sandboxes.models.sandbox import Sandbox


class IntentChange(models.Model):
    """Who wanted something else of a sandbox, when and why, and what was wanted before; append-only."""

    sandbox = models.ForeignKey(Sandbox, on_delete=models.CASCADE, related_name="intent_changes", db_index=False)
    at = models.DateTimeField(null=True, blank=True)
    intent = models.CharField(max_length=20, choices=Intent.choices)
    actor_kind = models.CharField(max_length=20, choices=ActorKind.choices)
    actor_id = models.CharField(max_length=255, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    from_intent = models.CharField(max_length=20, choices=Intent.choices)
    from_actor_kind = models.CharField(max_length=20, choices=ActorKind.choices)
    from_actor_id = models.CharField(max_length=255, blank=True)
    from_reason = models.CharField(max_length=500, blank=True)
    from_at = models.DateTimeField(null=True, blank=True)
    from_met_at = models.DateTimeField(null=True, blank=True, help_text="Since when it was met; empty: it was not.")

    class Meta:
        default_permissions = ("view",)
        indexes = [models.Index(fields=["sandbox", "id"], name="intent_change_of_sandbox")]

    def __str__(self) -> str:
        return f"{self.from_intent} → {self.intent} by {self.actor_kind}:{self.actor_id}"

    @classmethod
    def of(cls, sandbox: Sandbox, change: ChangeIntent) -> IntentChange:
        """The row of a change that was decided."""
        new, old = change.setting, change.before
        return cls(
            sandbox=sandbox, at=new.at, intent=new.intent, actor_kind=new.actor_kind, actor_id=new.actor_id,
            reason=new.reason, from_intent=old.intent, from_actor_kind=old.actor_kind, from_actor_id=old.actor_id,
            from_reason=old.reason, from_at=old.at, from_met_at=old.met_at,
        )  # fmt: skip

    @property
    def before(self) -> IntentSetting:
        """What was wanted before."""
        return IntentSetting(
            intent=self.from_intent, actor_kind=self.from_actor_kind, actor_id=self.from_actor_id,
            reason=self.from_reason, at=self.from_at, met_at=self.from_met_at,
        )  # fmt: skip
