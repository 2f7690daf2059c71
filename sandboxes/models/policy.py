from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.db import models
from django.db.models import Q

from sandboxes.core.policies import in_force
from sandboxes.core.vocabulary import PolicyScope, Rule

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sandboxes.core import policies
    from sandboxes.models.sandbox import Sandbox

FROM_THE_FIRST = UUID(int=0)


class PolicyRows(models.QuerySet[Any]):
    def in_force(self, sandboxes: Collection[Sandbox]) -> dict[UUID, policies.Policy]:
        """The rules that hold for each of these sandboxes: one query."""
        names = {
            PolicyScope.DEFAULT: {""},
            PolicyScope.TIER: {row.resource_tier for row in sandboxes},
            PolicyScope.OWNER: {row.owner_id for row in sandboxes},
            PolicyScope.SANDBOX: {str(row.pk) for row in sandboxes},
        }
        wanted = Q(pk__in=[])
        for scope, subjects in names.items():
            wanted |= Q(scope=scope, subject__in=subjects)
        found = {(row.scope, row.subject): row for row in self.filter(wanted)} if sandboxes else {}
        return {row.pk: in_force(_of(row, found)) for row in sandboxes}

    def saying_something(self) -> Self:
        """Those that have a rule; what says nothing any more is as if it were not there."""
        return self.exclude(**{f"{rule}_minutes": None for rule in Rule})

    def about(self, owner: str, sandboxes: Iterable[UUID]) -> Self:
        """Those of this owner, and of these sandboxes of theirs."""
        of_sandboxes = Q(scope=PolicyScope.SANDBOX, subject__in=[str(pk) for pk in sandboxes])
        return self.filter(Q(scope=PolicyScope.OWNER, subject=owner) | of_sandboxes)

    def about_all(self) -> Self:
        """Those that are about all owners' sandboxes."""
        return self.filter(scope__in=(PolicyScope.DEFAULT, PolicyScope.TIER))


def _of(row: Sandbox, found: dict[tuple[str, str], Policy]) -> list[Policy]:
    subjects = ("", row.resource_tier, row.owner_id, str(row.pk))
    return [found[key] for key in zip(PolicyScope, subjects, strict=True) if key in found]


class Policy(models.Model):
    """The lifecycle rules of one scope, in minutes: null says nothing, 0 says never. Services alone write it."""

    scope = models.CharField(max_length=20, choices=PolicyScope.choices)
    subject = models.CharField(
        max_length=255, blank=True, help_text="A tier, an owner's id, or a sandbox's; or none."
    )
    idle_stop_minutes = models.PositiveIntegerField(null=True, blank=True)
    longest_run_minutes = models.PositiveIntegerField(null=True, blank=True)
    archive_after_minutes = models.PositiveIntegerField(null=True, blank=True)
    delete_after_minutes = models.PositiveIntegerField(null=True, blank=True)
    expiry_minutes = models.PositiveIntegerField(null=True, blank=True)
    told_up_to = models.UUIDField(
        null=True, blank=True, help_text="Sandboxes behind this id have still to be judged by it; empty: none has."
    )
    changed_by = models.CharField(max_length=300, blank=True)
    changed_at = models.DateTimeField()

    objects = models.Manager.from_queryset(PolicyRows)()

    class Meta:
        verbose_name = "lifecycle policy"
        verbose_name_plural = "lifecycle policies"
        default_permissions = ("view", "change")
        constraints = [models.UniqueConstraint(fields=["scope", "subject"], name="one_policy_per_scope")]
        indexes = [
            models.Index(fields=["told_up_to"], name="policy_to_tell", condition=Q(told_up_to__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.scope} {self.subject}".strip()

    @property
    def address(self) -> str:
        """What it is about, in one word: `default`, `tier:basic`, `owner:user_2abc`, or `sandbox:` and its id."""
        return f"{self.scope}:{self.subject}" if self.subject else self.scope

    @property
    def minutes(self) -> dict[Rule, int | None]:
        return {rule: getattr(self, f"{rule}_minutes") for rule in Rule}
