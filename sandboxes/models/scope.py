"""What is asked of rows, once: which an actor may see, which an id names, which are active, moving or adrift."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from django.apps import apps
from django.conf import settings
from django.db import models
from django.db.models import Case, Exists, OuterRef, Q, When

from sandboxes.core.actions import MOVING
from sandboxes.core.causes import OF_ACTOR, OF_KIND, OF_PART, Cause
from sandboxes.core.intents import FULFILLED_BY
from sandboxes.core.vocabulary import ACTIVE, Actor, ActorKind, Intent, Status
from sandboxes.models.lease import LeasedRows

if TYPE_CHECKING:
    from collections.abc import Iterable


def as_uuid(text: str) -> UUID | None:
    """The UUID that this text spells, with or without dashes, in upper or lower case."""
    try:
        return UUID(text)
    except ValueError:
        return None


def is_active(operation: str = "") -> Q:
    """Whether an operation has not ended; `operation` is the path to it, such as `operation__`."""
    return Q(**{f"{operation}status__in": ACTIVE})


def has_drifted() -> Q:
    """Whether a sandbox's status is not what is wanted of it."""
    wrong = Q()
    for intent, statuses in FULFILLED_BY.items():
        wrong |= Q(intent=intent) & ~Q(status__in=statuses)
    return wrong


def is_stuck(now: datetime) -> Q:
    """Whether a sandbox has stood for STUCK_SECONDS where it should pass, whoever began it: in a status that ends
    by itself, or wanted deleted and still there. An archive may take as long as its deadline."""
    since = now - timedelta(seconds=settings.STUCK_SECONDS)
    archives = now - timedelta(seconds=max(settings.STUCK_SECONDS, settings.DEADLINES["archive"]))
    stands = Q(status__in=MOVING, status_changed_at__lt=since)
    is_archived = Q(observed_state="archiving", status_changed_at__gte=archives)
    not_deleted = Q(intent=Intent.DELETED, deleted_at=None, intent_at__lt=since) & ~Q(status=Status.GONE)
    return (stands & ~is_archived) | not_deleted


def has_cause(cause: Cause) -> Q:
    """Whether an event has this cause: `causes.cause_of`, for the database."""
    unnoted = Q(data__cause__isnull=True) | Q(data__cause="")
    parts = [f"{ActorKind.SYSTEM}:{part}" for part in OF_PART]
    asked = Q(actor__in=[f"{ActorKind.SYSTEM}:{part}" for part, found in OF_PART.items() if found == cause])
    for kind, found in OF_ACTOR.items():
        if found == cause:
            asked |= Q(actor__startswith=f"{kind}:")
    by_itself = Q(kind__in=[kind for kind, found in OF_KIND.items() if found == cause])
    if cause == Cause.SYSTEM:
        asked |= Q(actor__startswith=f"{ActorKind.SYSTEM}:") & ~Q(actor__in=parts)
        by_itself |= ~Q(kind__in=list(OF_KIND))
    without_actor = Q(actor="") & by_itself & Q(operation=None)
    if cause == Cause.OPERATION:
        without_actor |= Q(actor="", operation__isnull=False)
    return Q(data__cause=cause) | (unnoted & (asked | without_actor))


def _operations() -> models.QuerySet[Any]:
    return apps.get_model("sandboxes", "Operation")._default_manager.all()


def _calls() -> models.QuerySet[Any]:
    return apps.get_model("sandboxes", "DaytonaCall")._default_manager.all()


class SandboxRows(LeasedRows):
    def visible_to(self, actor: Actor) -> SandboxRows:
        """Those of the owners that the actor may see: another owner's sandbox does not exist."""
        return self if actor.only_owner is None else self.filter(owner_id=actor.only_owner)

    def with_doubt(self) -> SandboxRows:
        """Each with `in_doubt`: whether a call of ours may still be carried out, whose effect was not seen."""
        in_doubt = _calls().filter(sandbox=OuterRef("pk"), in_doubt_until__isnull=False, effect_seen_at=None)
        rows: SandboxRows = self.annotate(in_doubt=Exists(in_doubt))
        return rows

    def named(self, ids: Iterable[str]) -> SandboxRows:
        """Those that have one of these ids, ours or Daytona's, in any spelling."""
        texts = set(ids)
        ours = {found for text in texts if (found := as_uuid(text))}
        return self.filter(Q(daytona_id__in=texts | {str(one) for one in ours}) | Q(pk__in=ours))

    def with_busy(self) -> Self:
        """Each with `busy`: whether an operation is active, whose own attempts look at the sandbox."""
        return self.annotate(busy=_has_active_operation())

    def idle(self) -> Self:
        """Those that have no active operation."""
        return self.filter(~_has_active_operation())

    def stuck(self, now: datetime) -> Self:
        """Those that have stood for long where they should pass."""
        return self.filter(is_stuck(now))

    def with_stuck(self, now: datetime) -> Self:
        """Each with `stuck`."""
        return self.annotate(stuck=Case(When(is_stuck(now), then=True), default=False))

    def stopped_by_a_hold(self) -> Self:
        """Those that use something, or are about to, and that nobody is deleting."""
        at_rest = (Status.GONE, Status.STOPPED, Status.ARCHIVED, Status.ERROR)
        return self.exclude(intent=Intent.DELETED).exclude(status__in=at_rest)


def _has_active_operation() -> Exists:
    return Exists(_operations().filter(is_active(), sandbox=OuterRef("pk")))


class OperationRows(models.QuerySet[Any]):
    def visible_to(self, actor: Actor) -> OperationRows:
        """Those of sandboxes that the actor may see."""
        return self if actor.only_owner is None else self.filter(sandbox__owner_id=actor.only_owner)

    def with_whether_called(self) -> OperationRows:
        """Each with `has_called`: whether it has asked Daytona for anything yet."""
        rows: OperationRows = self.annotate(has_called=Exists(_calls().filter(operation=OuterRef("pk"))))
        return rows

    def active(self) -> OperationRows:
        """Those that have not ended."""
        return self.filter(is_active())

    def ended(self) -> OperationRows:
        return self.exclude(is_active())
