from __future__ import annotations

from django.db import models

from sandboxes.core.usage import Measure


class UsageHour(models.Model):
    """One number of one hour: of an owner's sandboxes of one size and region. A roll-up: made anew from events.

    A quota has no owner, the sandboxes' class in the place of the tier, and a row for the hours that told it alone.
    """

    hour = models.DateTimeField()
    owner = models.CharField(max_length=255)
    tier = models.CharField(max_length=50, blank=True)
    region = models.CharField(max_length=100, blank=True)
    measure = models.CharField(max_length=20, choices=Measure.choices)
    bound = models.PositiveIntegerField(
        default=0, help_text="Of starts: they took at most so many milliseconds, and more than the bound below."
    )
    value = models.BigIntegerField()
    rolled_up_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "hour", "measure", "tier", "region", "bound"], name="usage_of_owner"
            )
        ]
        indexes = [models.Index(fields=["hour", "measure"], name="usage_hour")]

    def __str__(self) -> str:
        return f"{self.measure} of {self.owner}"
