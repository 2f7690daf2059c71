from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.db import models, transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce, Greatest

from sandboxes import clock
from sandboxes.core.vocabulary import Status
from sandboxes.models.lease import Leased, LeasedRows
from sandboxes.models.sandbox import Sandbox

if TYPE_CHECKING:
    from datetime import datetime


class ProjectionRows(LeasedRows):
    def behind(self) -> Self:
        """Those of which Convex has still to be told something."""
        return self.filter(behind_since__isnull=False)

    def level(self) -> Self:
        """Those of which Convex has been told all."""
        return self.filter(behind_since=None)

    def due(self, now: datetime) -> Self:
        """Those whose time to be pushed has come."""
        return self.filter(due_at__lte=now)

    def in_order(self) -> Self:
        """The same rows, locked in the order of their keys: writers of several cannot wait for each other."""
        ids = list(self.order_by("pk").select_for_update(of=("self",)).values_list("pk", flat=True))
        rows: Self = self.model._default_manager.filter(pk__in=ids)
        return rows

    def make_due(self, *, above: int = 0, **values: Any) -> int:
        """Have them pushed at once, under a new generation, higher than `above`; returns how many they are.

        The one way in which a projection becomes due. A push under way ends with the generation that it read, so
        that the row is pushed once more after it.
        """
        now = clock.present()
        return self.update(
            wanted_generation=Greatest(F("wanted_generation"), above) + 1 if above else F("wanted_generation") + 1,
            behind_since=Coalesce("behind_since", now),
            due_at=now,
            **values,
        )

    def withdraw(self) -> int:
        """Have those that are gone taken off Convex's list by the next push, for good; returns how many."""
        shown = self.filter(sandbox__status=Status.GONE, withdrawn=False)
        with transaction.atomic():
            return shown.in_order().make_due(withdrawn=True)


class ConvexProjection(Leased):
    """What Convex is to show of one sandbox, and what it is known to have; made together with the sandbox.

    The generation goes up with each change that Convex must see: it is behind while the pushed one is lower. Before
    Daytona has given the sandbox an id there is nothing to show: Convex names its rows by that id.
    """

    sandbox = models.OneToOneField(Sandbox, on_delete=models.CASCADE, primary_key=True, related_name="projection")
    wanted_generation = models.BigIntegerField(default=0)
    pushed_generation = models.BigIntegerField(default=0)
    behind_since = models.DateTimeField(null=True, blank=True, help_text="Empty while Convex is not behind.")
    due_at = models.DateTimeField(null=True, blank=True, help_text="When the next push is due.")
    resend_at = models.DateTimeField(
        null=True, blank=True, help_text="A lost call may commit late: send once more then."
    )
    pushed_at = models.DateTimeField(null=True, blank=True)
    attempt = models.PositiveIntegerField(default=0, help_text="Pushes that failed in a row.")
    error = models.TextField(blank=True)
    refusal = models.CharField(
        max_length=50, blank=True, help_text="Convex refused the row of a sandbox that is still being created."
    )
    known = models.BooleanField(default=False, help_text="Convex has, or may have, a row of it.")
    sent: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(
        default=dict, blank=True, help_text="What Convex is known to have of it from us."
    )
    withdrawn = models.BooleanField(
        default=False, help_text="It is gone, and taken off Convex's list to make room there."
    )
    removed = models.BooleanField(
        default=False, help_text="Its user took it off Convex's list: it is not put back by itself."
    )
    link_due = models.BooleanField(
        default=False, help_text="A person created it with a harness that is still to be linked."
    )

    objects = models.Manager.from_queryset(ProjectionRows)()

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["due_at"], name="projection_due", condition=Q(due_at__isnull=False)),
            models.Index(
                fields=["behind_since"], name="projection_behind", condition=Q(behind_since__isnull=False)
            ),
        ]
        constraints = [
            # What is behind is due at some time: no row can slip.
            models.CheckConstraint(
                condition=Q(behind_since__isnull=True, pushed_generation=F("wanted_generation"))
                | Q(behind_since__isnull=False, due_at__isnull=False, pushed_generation__lt=F("wanted_generation")),
                name="projection_behind_is_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.sandbox_id} in Convex"

    @property
    def is_behind(self) -> bool:
        return self.behind_since is not None
