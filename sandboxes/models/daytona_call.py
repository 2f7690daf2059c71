from __future__ import annotations

from django.db import models
from django.db.models import Q

from sandboxes.core.vocabulary import CallOutcome
from sandboxes.models.operation import Operation
from sandboxes.models.sandbox import Sandbox


class DaytonaCallRows(models.QuerySet["DaytonaCall"]):
    def in_doubt(self) -> DaytonaCallRows:
        """Those of which nobody knows whether they were, or will be, carried out."""
        return self.filter(in_doubt_until__isnull=False)


class DaytonaCall(models.Model):
    """A call that changes something in Daytona, written before it is made; or the same refused again and again."""

    sandbox = models.ForeignKey(Sandbox, on_delete=models.CASCADE, related_name="calls", db_index=False)
    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, related_name="calls")
    name = models.CharField(max_length=20)
    made_at = models.DateTimeField(help_text="When it was made; of several, the latest.")
    first_at = models.DateTimeField(help_text="When the first of several refused alike was made.")
    times = models.PositiveIntegerField(default=1)
    outcome = models.CharField(max_length=20, choices=CallOutcome.choices, default=CallOutcome.PENDING)
    message = models.TextField(blank=True, help_text="For staff: Daytona's words, where it was refused or failed.")
    may_be_stale = models.BooleanField(default=False, help_text="The refusal may be of a state that is over.")
    was_outage = models.BooleanField(default=False, help_text="The answer said nothing of the call.")
    effect_seen_at = models.DateTimeField(null=True, blank=True, help_text="When a look that showed it began.")
    in_doubt_until = models.DateTimeField(null=True, blank=True, help_text="It may be carried out until then.")

    objects = models.Manager.from_queryset(DaytonaCallRows)()

    class Meta:
        verbose_name = "call to Daytona"
        verbose_name_plural = "calls to Daytona"
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["sandbox", "id"], name="call_of_sandbox"),
            models.Index(fields=["sandbox"], name="call_in_doubt", condition=Q(in_doubt_until__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.outcome}"
