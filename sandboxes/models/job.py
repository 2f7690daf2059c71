from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.db.models import Count, Q, Value

from sandboxes.core.vocabulary import ACTIVE, ItemResult, OperationStatus
from sandboxes.models.lease import Leased, LeasedRows
from sandboxes.models.operation import Operation
from sandboxes.models.sandbox import Sandbox


class Job(Leased):
    """One action that staff asked for, for many sandboxes: a frozen set of them, done in the background.

    Its rows are the queue: workers take the waiting items of a due job, some at a time.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    action = models.CharField(max_length=20, help_text="By its name in the table of what staff can do.")
    actor_id = models.CharField(max_length=255, help_text="The member of staff with whose permissions it is done.")
    reason = models.CharField(max_length=500, blank=True)
    parameters: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(
        default=dict, db_default=Value({}, models.JSONField()), blank=True,
        help_text="What was said with it otherwise than by default.",
    )  # fmt: skip
    query = models.TextField(blank=True, help_text="The list where the sandboxes were chosen.")
    address = models.CharField("from", max_length=300, blank=True, help_text="The client's address.")
    total = models.PositiveIntegerField(help_text="How many sandboxes were chosen.")
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True, help_text="When nothing was left to request.")
    cancelled_at = models.DateTimeField(null=True, blank=True)
    cancelled_by = models.CharField(max_length=300, blank=True)
    cancelled_because = models.CharField(max_length=500, blank=True)

    objects = models.Manager.from_queryset(LeasedRows)()

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["due_at"], name="job_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["-created_at", "id"], name="job_created"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.total} sandboxes"

    @property
    def request_id(self) -> str:
        """Of the operations that it requests."""
        return f"job:{self.pk}"


# What has become of an item, with its operation; each item is in one of them.
_REQUESTED = Q(result=ItemResult.REQUESTED)
GROUPS: dict[str, Q] = {
    "waiting": Q(result=ItemResult.WAITING),
    "in progress": _REQUESTED & Q(operation__status__in=ACTIVE),
    "succeeded": Q(result=ItemResult.DONE) | (_REQUESTED & Q(operation__status=OperationStatus.SUCCEEDED)),
    "failed": Q(result=ItemResult.FAILED) | (_REQUESTED & Q(operation__status=OperationStatus.FAILED)),
    "skipped": Q(result=ItemResult.SKIPPED),
    "cancelled": Q(result=ItemResult.CANCELLED) | (_REQUESTED & Q(operation__status=OperationStatus.CANCELLED)),
    "not known any more": _REQUESTED & Q(operation__status=None),  # the operation was pruned
}
ASKED_FOR = Q(result__in=(ItemResult.REQUESTED, ItemResult.DONE))


class JobItemRows(models.QuerySet["JobItem"]):
    def counts(self) -> dict[str, int]:
        """How many there are of each of GROUPS: one statement."""
        counted = {str(number): Count("pk", filter=condition) for number, condition in enumerate(GROUPS.values())}
        found = self.aggregate(**counted)
        return {group: found[str(number)] for number, group in enumerate(GROUPS)}


class JobItem(models.Model):
    """One sandbox of a job, and what came of it. Sandbox and operation may have been pruned: its name stays."""

    Result = ItemResult

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="items", db_index=False)
    sandbox = models.ForeignKey(
        Sandbox, null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    operation = models.ForeignKey(
        Operation, null=True, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )
    name = models.CharField(max_length=300)
    owner = models.CharField(max_length=255)
    result = models.CharField(max_length=20, choices=ItemResult.choices, default=ItemResult.WAITING)
    code = models.CharField(max_length=50, blank=True)
    message = models.CharField(max_length=500, blank=True)

    objects = models.Manager.from_queryset(JobItemRows)()

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["job", "result", "id"], name="job_item_result")]

    def __str__(self) -> str:
        return f"{self.name}: {self.result}"
