from __future__ import annotations

import uuid
from typing import Any, Self
from urllib.parse import urlsplit

from django.db import models
from django.db.models import Exists, OuterRef, Q

from sandboxes import clock
from sandboxes.core.vocabulary import EventKind, Form
from sandboxes.models.access import ServiceKey
from sandboxes.models.lease import Leased, LeasedRows


def new_receiver_id() -> str:
    return f"wh_{uuid.uuid4().hex}"


class ReceiverRows(models.QuerySet[Any]):
    def enabled(self) -> Self:
        return self.filter(disabled_at=None)

    def of_events(self) -> Self:
        return self.filter(key__isnull=False)

    def of_notices(self) -> Self:
        return self.filter(key=None)


class Receiver(models.Model):
    """An address that is told of something: a program's, with its service key, of events; staff's of notices."""

    # A text, so that receivers take turns by the same statements as owners do.
    id = models.CharField(primary_key=True, max_length=40, default=new_receiver_id, editable=False)
    key = models.ForeignKey(
        ServiceKey, null=True, blank=True, on_delete=models.CASCADE, related_name="receivers",
        help_text="Whose program is told of events; empty: staff are told of notices.",
    )  # fmt: skip
    form = models.CharField(
        max_length=20, choices=Form.choices, default=Form.WEBHOOK, db_default=Form.WEBHOOK.value
    )
    owner = models.CharField(
        max_length=255, blank=True, help_text="Whose events it is told; empty: all that its key may read."
    )
    url = models.CharField("address", max_length=500)
    kinds: models.JSONField[list[str], list[str]] = models.JSONField(
        "kinds", default=list, blank=True, help_text="Types of events, or codes of notices; empty: all."
    )
    position = models.BigIntegerField(default=0, help_text="How far in the feed deliveries were made.")
    # Sealed by services/webhooks/secrets.py.
    secret = models.TextField(blank=True)
    former_secret = models.TextField(blank=True)
    former_until = models.DateTimeField(null=True, blank=True, help_text="The former secret signs until then.")
    failing_since = models.DateTimeField(null=True, blank=True, help_text="It has taken no delivery since then.")
    disabled_at = models.DateTimeField(null=True, blank=True, help_text="Nothing is sent since then.")
    disabled_reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    created_by = models.CharField(max_length=300, blank=True)

    objects = models.Manager.from_queryset(ReceiverRows)()

    class Meta:
        verbose_name = "webhook"
        default_permissions = ("view", "add", "change", "delete")

    def __str__(self) -> str:
        """Without its path, in which a receiver's secret may stand."""
        if self.form == Form.MAIL:
            return self.url
        return f"{urlsplit(self.url).scheme}://{urlsplit(self.url).netloc}"

    @property
    def shown_kinds(self) -> list[str]:
        """The event types that it is told."""
        shown = EventKind.for_programs()
        return [kind for kind in shown if kind in self.kinds] if self.kinds else shown


class DeliveryRows(LeasedRows):
    def pending(self) -> Self:
        return self.filter(died_at=None)

    def dead(self) -> Self:
        return self.filter(died_at__isnull=False)

    def make_first_due(self) -> int:
        """Of each stream the first becomes due, where none of it is; the others wait for it.

        For rows of one receiver, which is locked: nobody else makes or ends deliveries of it meanwhile.
        """
        same = Delivery.objects.pending().filter(receiver=OuterRef("receiver"), stream=OuterRef("stream"))
        before = same.filter(Q(number__lt=OuterRef("number")) | Q(due_at__isnull=False))
        first = self.pending().filter(due_at=None).exclude(Exists(before))
        return first.update(due_at=clock.present())


class Delivery(Leased):
    """One event or notice that is still to be told to one receiver, or that could not be (`died_at`).

    What was delivered has no row any more. The first of each stream is due; those behind it have no due time.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    receiver = models.ForeignKey(Receiver, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    # No foreign key: events go in bulk, when they are old or their owner is erased.
    number = models.BigIntegerField(help_text="The event's place in the feed; of a notice see `number_of`.")
    stream = models.CharField(
        max_length=40, help_text="The sandbox, or the notice's code: what it tells is delivered in its order."
    )
    due_at = models.DateTimeField(null=True, blank=True, help_text="Empty: it waits for another, or is dead.")
    attempt = models.PositiveIntegerField(default=0)
    first_at = models.DateTimeField(null=True, blank=True, help_text="When it was first attempted.")
    error = models.CharField(max_length=500, blank=True)
    died_at = models.DateTimeField(null=True, blank=True, help_text="Since when it is tried no more.")

    objects = models.Manager.from_queryset(DeliveryRows)()

    class Meta:
        verbose_name_plural = "deliveries"
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["receiver", "number"], name="one_delivery_of_an_event")]
        indexes = [
            models.Index(fields=["due_at"], name="delivery_due", condition=Q(due_at__isnull=False)),
            models.Index(fields=["receiver", "due_at"], name="delivery_turn", condition=Q(due_at__isnull=False)),
            models.Index(
                fields=["receiver", "stream", "number"], name="delivery_stream", condition=Q(died_at__isnull=True)
            ),
            models.Index(fields=["receiver", "died_at"], name="delivery_dead", condition=Q(died_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.message

    @property
    def message(self) -> str:
        """Its id for receivers, who tell duplicates by it."""
        if self.receiver.key_id is not None:
            return f"evt_{self.number}"
        return f"ntc_{self.notice_id}_{'closed' if self.is_closing else 'opened'}"

    @staticmethod
    def number_of(notice_id: int, *, closed: bool) -> int:
        return 2 * notice_id + closed

    @property
    def notice_id(self) -> int:
        return self.number // 2

    @property
    def is_closing(self) -> bool:
        return self.number % 2 == 1
