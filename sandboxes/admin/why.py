"""“Why?”: the ranking of an eviction, or who would make room before this sandbox does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings

from sandboxes import clock
from sandboxes.core import ranking
from sandboxes.core.resources import QUOTAS, Resource
from sandboxes.core.vocabulary import Status
from sandboxes.models import Sandbox, SandboxEvent
from sandboxes.services import victims

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID


CONDITION = {Resource.COMPUTE: "running", Resource.DISK: "stopped"}  # the rule without which nobody is of interest


@dataclass(frozen=True, slots=True)
class RankingLine:
    """One candidate of a ranking, with whether it passes each rule, and how people read that."""

    place: int
    sandbox: str
    name: str
    owner: str
    status: str
    last_used_at: datetime
    verdicts: list[tuple[bool, str]]
    is_this: bool

    @property
    def passes(self) -> bool:
        return all(passed for passed, _ in self.verdicts)


@dataclass(frozen=True, slots=True)
class Why:
    """`chosen`: the lines are a ranking that led to a stop, or an archive; else they say who would go first."""

    chosen: bool
    resource: Resource
    lines: list[RankingLine]
    at: datetime | None = None
    reason: str = ""
    asked_by: Sandbox | None = None
    scope: str = ""

    @property
    def done(self) -> str:
        return QUOTAS[self.resource].done


def why(sandbox: Sandbox) -> Why | None:
    """What there is to explain about a sandbox and evictions; None when nothing."""
    if sandbox.status in (Status.RUNNING, Status.STARTING):
        return _if_room_is_needed(sandbox, Resource.COMPUTE)
    event = victims.why(sandbox.pk)
    if event is not None:
        return _of_the_eviction(sandbox, event)
    return _if_room_is_needed(sandbox, Resource.DISK) if sandbox.status == Status.STOPPED else None


def _of_the_eviction(sandbox: Sandbox, event: SandboxEvent) -> Why:
    asked = event.data.get("for_sandbox")
    resource = Resource(event.data.get("resource", Resource.COMPUTE))
    return Why(
        chosen=True,
        resource=resource,
        lines=_lines(event.data.get("ranking") or [], resource, this=sandbox.pk),
        at=event.at,
        reason=event.text,
        asked_by=Sandbox.objects.filter(pk=asked).first() if asked else None,
    )


def _if_room_is_needed(sandbox: Sandbox, resource: Resource) -> Why | None:
    scope, condition = victims.scope_of(resource), CONDITION[resource]
    if scope == "off":
        return None
    verdicts = ranking.rank(
        victims.candidates_of([*victims.considered_for(sandbox, resource), sandbox]),
        resource,
        now=clock.now(),
        min_idle=settings.EVICTION_MIN_IDLE,
        first_owner=sandbox.owner_id,
    )
    alike = [v for v in verdicts if condition not in v.broken or v.candidate.sandbox_id == sandbox.pk]
    data = (verdict.as_data() for verdict in alike)
    return Why(chosen=False, resource=resource, lines=_lines(data, resource, this=sandbox.pk), scope=scope)


def _lines(verdicts: Iterable[dict[str, Any]], resource: Resource, *, this: UUID) -> list[RankingLine]:
    return [
        RankingLine(
            place=place,
            sandbox=verdict["sandbox"],
            name=verdict["name"],
            owner=verdict["owner"],
            status=verdict["status"],
            last_used_at=datetime.fromisoformat(verdict["last_used_at"]),
            verdicts=ranking.verdicts(verdict["broken"], resource),
            is_this=verdict["sandbox"] == str(this),
        )
        for place, verdict in enumerate(verdicts, start=1)
    ]
