"""What people asked for, remembered apart from our rows, and which of Daytona's mutations that allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings

from sandboxes.core.actions import INTENT_OF
from sandboxes.core.vocabulary import Action, ActorKind, Intent, OperationStatus, Source, Status
from sandboxes.models import Operation, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from django.db.models import QuerySet

# The mutations of Daytona that each wish allows; labels and intervals are no matter of intent.
ALLOWED: dict[str, frozenset[str]] = {
    Intent.RUNNING: frozenset({"create", "start", "recover"}),
    Intent.STOPPED: frozenset({"stop"}),
    Intent.ARCHIVED: frozenset({"stop", "archive"}),
    Intent.DELETED: frozenset({"delete"}),
}
MUTATIONS = frozenset().union(*ALLOWED.values())


@dataclass
class People:
    """The last accepted request for each sandbox, and what each operation took the place of."""

    wishes: dict[UUID, Intent] = field(default_factory=dict)
    before: dict[UUID, tuple[UUID, Intent]] = field(default_factory=dict)
    used: dict[UUID, datetime] = field(default_factory=dict)
    protected: dict[UUID, datetime] = field(default_factory=dict)

    def created(self, operation: Operation) -> None:
        self.wishes[operation.sandbox_id] = Intent.RUNNING

    def asked(self, operation: Operation, action: Action) -> None:
        """A request was accepted."""
        if action == Action.SYNC:
            return
        sandbox = operation.sandbox_id
        if operation.action == action:
            self.before.setdefault(operation.pk, (sandbox, self.wishes[sandbox]))
        self.wishes[sandbox] = INTENT_OF[action]

    def cancelled(self, operation: Operation, answer: Operation) -> None:
        """A cancel was accepted: of a create it is a delete, of anything else it brings back the wish of before."""
        if answer.pk != operation.pk:
            self.asked(answer, Action.DELETE)
        elif operation.pk in self.before:
            self.wishes[operation.sandbox_id] = self.before[operation.pk][1]

    def refused_for_good(self, operation: Operation) -> None:
        """It failed before Daytona was asked for anything: the wish of before holds again."""
        known = self.before.pop(operation.pk, None)
        if known is not None and self.wishes[known[0]] == INTENT_OF[operation.action]:
            self.wishes[known[0]] = known[1]


def contradictions(lines: list[dict[str, Any]], wishes: dict[UUID, set[str]], evicted: set[UUID]) -> list[str]:
    """The accepted mutations of Daytona that none of the wishes of that time allows.

    `evicted`: the sandboxes that a stop makes room with.
    """
    rows = list(Sandbox.objects.all())
    by_id = {row.daytona_id: row for row in rows}
    by_name = {row.daytona_name: row for row in rows}
    found = []
    for line in lines:
        if line["system"] != "daytona" or line["action"] not in MUTATIONS:
            continue
        row = by_id.get(line["id"]) or by_name.get(line["name"])
        if row is None:
            found.append(f"{line['action']} of {line['name']}, which nobody asked for")
            continue
        if line["action"] == "stop" and row.pk in evicted:
            continue
        wanted = wishes.get(row.pk, set())
        if not any(line["action"] in ALLOWED[wish] for wish in wanted):
            found.append(f"{line['action']} of {row.name} {row.pk}, which is wanted {sorted(wanted)}")
    return found


def against_the_rules(people: People, evictions: Iterable[Operation]) -> list[str]:
    """The victims that should have been spared, by what people remember of them."""
    found = []
    for stop in evictions:
        victim, moment = stop.sandbox, stop.created_at
        asked_by = stop.caused_by.sandbox if stop.caused_by else None
        idle_since = moment - timedelta(seconds=settings.EVICTION_MIN_IDLE)
        broken = {
            "is ephemeral": victim.ephemeral,
            "is protected": people.protected.get(victim.pk, moment) > moment,
            "was used": people.used[victim.pk] - timedelta(seconds=settings.TOUCH_EVERY) > idle_since,
            "belongs to somebody else": asked_by is None or asked_by.owner_id != victim.owner_id,
            "made room for itself": asked_by is None or asked_by.pk == victim.pk,
        }
        found += [f"{victim.name} {victim.pk} was stopped for room, but {why}" for why, so in broken.items() if so]
    return found


def on_hold() -> list[str]:
    """The calls that would make a sandbox run, decided while its owner was on hold."""
    found = []
    held = Operation.objects.filter(sandbox__owner__hold_since__isnull=False).select_related("sandbox__owner")
    for operation in held:
        since = operation.sandbox.owner.hold_since
        starts = operation.calls.filter(name__in=ALLOWED[Intent.RUNNING])
        if starts.filter(made_at__gt=since).exists():
            found.append(f"{operation} of {operation.sandbox_id} called Daytona during the hold since {since}")
    return found


def undone() -> QuerySet[Sandbox]:
    """Those whose create failed without leaving anything: that was the answer to whoever asked for them."""
    failed = Operation.objects.filter(action=Action.CREATE, status=OperationStatus.FAILED)
    return Sandbox.objects.filter(
        pk__in=failed.values("sandbox"), intent=Intent.DELETED, intent_actor_kind=ActorKind.SYSTEM
    )


MET_AS: dict[str, tuple[str, ...]] = {
    Intent.RUNNING: (Status.RUNNING,),
    Intent.STOPPED: (Status.STOPPED, Status.ARCHIVED),
    Intent.ARCHIVED: (Status.ARCHIVED,),
    Intent.DELETED: (Status.GONE,),
}


def is_left_alone(row: Sandbox) -> bool:
    """Nothing but a delete is tried again of what is in error, and no stop of what it would destroy: the status
    tells."""
    spared = row.ephemeral and row.status == Status.RUNNING and row.intent in (Intent.STOPPED, Intent.ARCHIVED)
    return spared or (row.status == Status.ERROR and row.intent != Intent.DELETED)


def unmet(row: Sandbox, wishes: set[str]) -> str:
    """How the last wish was neither met nor answered by a failure; empty when it was."""
    if undone().filter(pk=row.pk).exists():
        return ""
    latest = row.operations.exclude(action=Action.SYNC).order_by("-created_at").first()
    assert latest is not None
    failed = latest.status == OperationStatus.FAILED and bool(latest.code)
    if row.intent not in wishes:
        return f"{row.name} {row.pk} is wanted {sorted(wishes)}, but we say {row.intent}"
    if failed or is_left_alone(row) or row.status in MET_AS[row.intent]:
        return ""
    made_room = row.intent == Intent.RUNNING and row.operations.filter(source=Source.EVICTION).exists()
    ended_by_stop = row.intent == Intent.STOPPED and row.ephemeral and row.status == Status.GONE
    if made_room or ended_by_stop:
        return ""
    return f"{row.name} {row.pk} is wanted {row.intent}, but is {row.status} after {latest} {latest.code}"
