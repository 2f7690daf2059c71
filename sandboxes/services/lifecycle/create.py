"""create(): a new sandbox's row and its operation, under the owner's cap. Safe to repeat in Daytona."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction

from sandboxes import clock
from sandboxes.core.asked import labels_of
from sandboxes.core.codes import Code, Refused
from sandboxes.core.facts import NewOperation
from sandboxes.core.intervals import checked
from sandboxes.core.labels import merged
from sandboxes.core.vocabulary import Action, Actor, EventKind, Intent, Source
from sandboxes.models import ConvexProjection, Operation, Owner, Sandbox
from sandboxes.services import cap, operation_budget, sandbox_store
from sandboxes.services.decisions import create_operation

if TYPE_CHECKING:
    from collections.abc import Mapping

GRANTED = ("snapshot", "target", "cpu", "memory_gb", "disk_gb")  # asked of Daytona once, at the create


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """What a person asks for; minutes for the intervals, -1 or 0 as Daytona has them."""

    name: str = "sandbox"
    tier: str = "basic"
    language: str = "python"
    harness_id: str = ""
    target: str = ""
    ephemeral: bool = False
    git_repo: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    auto_stop_minutes: int = 15
    auto_archive_minutes: int = 10080
    auto_delete_minutes: int = -1


def create(
    owner_id: str, *, actor: Actor, source: Source, new: NewRequest, reason: str = "", request_id: str = ""
) -> Operation:
    """Reserve a place under the owner's cap and begin the create.

    Raises:
        Refused: SANDBOX_LIMIT_REACHED, OWNER_ON_HOLD, OPERATION_BUDGET_SPENT, INVALID_REQUEST (no such tier, an
            interval out of range, labels that cannot be),
            SANDBOX_NOT_FOUND for an actor that may not act for this owner.
    """
    if not actor.may_see(owner_id):
        raise Refused(Code.SANDBOX_NOT_FOUND, "There is no such owner.")
    if new.tier not in settings.TIERS:
        known = ", ".join(settings.TIERS)
        raise Refused(Code.INVALID_REQUEST, f"There is no tier “{new.tier}”: choose one of {known}.")
    with transaction.atomic():
        owner = cap.reserve(owner_id)
        operation_budget.spend(owner_id, actor, Action.CREATE, now=clock.now())
        row = _row(owner, actor=actor, new=new, reason=reason)
        row.save(force_insert=True)
        row.known_calls = []
        ConvexProjection.objects.create(sandbox=row, link_due=bool(new.harness_id))
        with sandbox_store.telling(row, since={}):
            sandbox_store.event(row, EventKind.CREATED, "Created", actor=actor, at=row.created_at)
            asked = NewOperation(
                action=Action.CREATE, actor=actor, source=source, reason=reason, request_id=request_id
            )
            operation = create_operation(row, asked, now=row.created_at)
            row.save()
    return operation


def _row(owner: Owner, *, actor: Actor, new: NewRequest, reason: str) -> Sandbox:
    now = clock.now()
    tier = settings.TIERS[new.tier]
    row = Sandbox(
        owner=owner,
        name=new.name,
        harness_id=new.harness_id,
        language=new.language,
        resource_tier=new.tier,
        cpu=tier["cpu"],
        memory_gb=tier["memory_gb"],
        disk_gb=tier["disk_gb"],
        snapshot=tier.get("snapshot", ""),
        target=new.target or settings.DAYTONA_TARGET,
        ephemeral=new.ephemeral,
        git_repo=new.git_repo,
        user_labels=merged({}, new.labels),
        auto_stop_minutes=checked("auto_stop", new.auto_stop_minutes),
        auto_archive_minutes=checked("auto_archive", new.auto_archive_minutes),
        auto_delete_minutes=0 if new.ephemeral else checked("auto_delete", new.auto_delete_minutes),
        intent=Intent.RUNNING,
        intent_actor_kind=actor.kind,
        intent_actor_id=actor.id,
        intent_reason=reason[:500],
        intent_at=now,
        status_changed_at=now,
        last_accessed_at=now,
        created_at=now,
    )
    row.daytona_name = row.compose_daytona_name()
    row.labels = labels_of(row)
    row.created_with = {name: value for name in GRANTED if (value := getattr(row, name))}
    return row
