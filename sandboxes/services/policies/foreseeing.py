"""What lifecycle policies will do, and which of their rules hold for a sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings

from sandboxes import clock
from sandboxes.core import policies
from sandboxes.core.intervals import spelled
from sandboxes.core.vocabulary import Action, PolicyScope, Rule
from sandboxes.models import Policy as PolicyRow
from sandboxes.models import Sandbox
from sandboxes.services.decisions import policy_of, read_policies, sandbox_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from sandboxes.core.policies import Due
    from sandboxes.core.vocabulary import Actor


@dataclass(frozen=True, slots=True)
class PreviewLine:
    sandbox: Sandbox
    due: Due


@dataclass(frozen=True, slots=True)
class InForce:
    """A rule that holds for a sandbox; `at`: when it acts, if nothing changes; None: not for now."""

    rule: Rule
    action: Action
    minutes: int
    scope: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class OfOwner:
    """A rule that holds for an owner's sandboxes: for all of them, or for those of a tier."""

    rule: Rule
    minutes: int
    scope: str
    subject: str


def warning() -> timedelta:
    return timedelta(seconds=settings.POLICY_WARNING_SECONDS)


def until(hours: float) -> datetime:
    return clock.now() + timedelta(hours=hours)


def concerned(actor: Actor, *, until: datetime, owner: str = "") -> QuerySet[Sandbox]:
    """The sandboxes that the actor may see and that rules may touch by then: no other is judged before.

    Each is judged no later than a rule acts, so some of them are not touched after all; `preview` says which are.
    """
    rows: QuerySet[Sandbox] = Sandbox.objects.visible_to(actor).filter(deleted_at=None, policy_due_at__lte=until)
    return (rows.filter(owner_id=owner) if owner else rows).select_related("owner")


def preview(rows: Sequence[Sandbox], *, until: datetime) -> list[PreviewLine]:
    """What rules will do to these sandboxes by then if nothing changes, in its order."""
    read_policies(rows)
    now = clock.now()
    lines = [
        PreviewLine(row, due)
        for row in rows
        for due in policies.by_rules(forecast(row, now=now))
        if due.at <= until
    ]
    return sorted(lines, key=lambda line: line.due.at)


def read(rows: list[Sandbox]) -> None:
    """Read in one query the rules of those that a rule may touch."""
    if ruled := [row for row in rows if row.policy_due_at is not None]:
        read_policies(ruled)


def forecast(row: Sandbox, *, now: datetime) -> list[Due]:
    """What will be done to it by a rule or by Daytona's own intervals if nothing changes, the first of it first."""
    policy = policy_of(row) if row.policy_due_at is not None else {}  # no rule acts before it is judged
    return policies.forecast(sandbox_facts(row), policy, on_hold=row.owner.on_hold, now=now, warning=warning())


def in_force(row: Sandbox) -> list[InForce]:
    """The rules that hold for this sandbox, each of the most specific policy that says it."""
    at = {due.rule: due.at for due in forecast(row, now=clock.now())}
    return [
        InForce(rule, policies.MEANINGS[rule].action, said.minutes, said.scope, at.get(rule))
        for rule in Rule
        if (said := policy_of(row).get(rule)) is not None
    ]


def of_owner(owner: str) -> list[OfOwner]:
    """The rules that hold for an owner's sandboxes: their own, and else those of tiers and by default."""
    about = PolicyRow.objects.about_all() | PolicyRow.objects.about(owner, ())
    rows = sorted(about, key=lambda row: (PolicyScope.values.index(row.scope), row.subject))
    said = [
        OfOwner(rule, minutes, row.scope, row.subject)
        for rule in Rule
        for row in rows
        if (minutes := row.minutes[rule]) is not None
    ]
    own = {one.rule for one in said if one.scope == PolicyScope.OWNER}
    return [one for one in said if one.scope == PolicyScope.OWNER or one.rule not in own]


def in_words(due: Due) -> str:
    """The rule's name, whose policy it is, and its time."""
    time = spelled(due.minutes)
    if due.scope == policies.DAYTONA:
        return f"Daytona's own {due.rule.replace('_', '-')}, {time}"
    rule = Rule(due.rule)
    of = "by default" if due.scope == PolicyScope.DEFAULT else f"of the {due.scope}"
    return f"{rule.label} {of}, {time} {policies.MEANINGS[rule].words}"
