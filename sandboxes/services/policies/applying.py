"""Having sandboxes judged by lifecycle policies, and what those bring about.

A sandbox is judged when it is due (`policy_due_at`), which is no later than when a rule would act: at each change
of its status, when a policy that may concern it was changed, and when the last judgement said. Use only puts a
rule off, so that a touch writes nothing more: it is seen when the sandbox is due.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction

from sandboxes import clock
from sandboxes.core import policies
from sandboxes.core.facts import NewOperation
from sandboxes.core.policies import Act, Due, Fetch, Step, Wait, Warn
from sandboxes.core.vocabulary import Action, Actor, EventKind, PolicyScope, Source
from sandboxes.models import Operation, Sandbox
from sandboxes.models import Policy as PolicyRow
from sandboxes.services import lifecycle, sandbox_store
from sandboxes.services.decisions import create_operation, policy_of, read_calls, read_policies, sandbox_facts
from sandboxes.services.policies.foreseeing import in_words, warning
from sandboxes.services.rows import one

if TYPE_CHECKING:
    from datetime import datetime

POLICY = Actor.system("policy")
TOLD_TOGETHER = 1000  # sandboxes that one step has judged anew by a policy that was changed
# Until a sandbox is judged again: with an operation active, after a fetch was asked for, after a rule has acted.
BUSY, FETCHING, ACTED = timedelta(minutes=1), timedelta(seconds=5), timedelta(minutes=5)


def apply_some() -> int:
    """A worker's step: whom a changed policy concerns, and who is due. Returns how many sandboxes that were."""
    return tell_sandboxes() + apply_due()


def apply_all() -> int:
    """The same until nothing is due; returns how many sandboxes were judged."""
    while tell_sandboxes():
        pass
    judged = 0
    while some := apply_due():
        judged += some
    return judged


def tell_sandboxes() -> int:
    """Have the next of the sandboxes that a changed policy may concern judged anew; returns how many."""
    with transaction.atomic():
        waiting = PolicyRow.objects.filter(told_up_to__isnull=False).order_by("told_up_to")
        row: PolicyRow | None = one(waiting.select_for_update(skip_locked=True))
        if row is None:
            return 0
        concerned = Sandbox.objects.filter(deleted_at=None, pk__gt=row.told_up_to, **_concerned(row)).order_by("pk")
        ids = list(concerned.select_for_update(no_key=True).values_list("pk", flat=True)[:TOLD_TOGETHER])
        Sandbox.objects.filter(pk__in=ids).update(policy_due_at=clock.now())
        row.told_up_to = ids[-1] if len(ids) == TOLD_TOGETHER else None
        row.save(update_fields=["told_up_to"])
    return len(ids)


def _concerned(row: PolicyRow) -> dict[str, str]:
    names = {
        PolicyScope.DEFAULT: {},
        PolicyScope.TIER: {"resource_tier": row.subject},
        PolicyScope.OWNER: {"owner_id": row.subject},
        PolicyScope.SANDBOX: {"pk": row.subject},
    }
    return names[PolicyScope(row.scope)]


def apply_due(limit: int = 200) -> int:
    """Judge the sandboxes that are due: announce, act, or say when to judge them again. Returns how many."""
    due = Sandbox.objects.filter(policy_due_at__lte=clock.now()).order_by("policy_due_at")
    ids = list(due.values_list("pk", flat=True)[:limit])
    if not ids:
        return 0
    with sandbox_store.lock_sandboxes(Sandbox.objects.filter(pk__in=ids, policy_due_at__isnull=False)) as rows:
        read_policies(rows)
        ruled = [row for row in rows if policy_of(row)]
        active = _active_of(ruled)
        read_calls(ruled)
        now = clock.now()
        for row in rows:
            busy = active.get(row.pk)
            if busy is not None:
                row.policy_due_at = now + BUSY
            else:
                _carry_out(row, _step(row, now=now), now=now)
    return len(rows)


def _active_of(rows: list[Sandbox]) -> dict[object, Operation]:
    found = Operation.objects.active().filter(sandbox__in=[row.pk for row in rows]) if rows else ()
    return {operation.sandbox_id: operation for operation in found}


def _step(row: Sandbox, *, now: datetime) -> Step:
    facts, policy = sandbox_facts(row), policy_of(row)
    return policies.step(facts, policy, on_hold=row.owner.on_hold, now=now, warning=warning())


def _carry_out(row: Sandbox, step: Step, *, now: datetime) -> None:
    match step:
        case Wait(at):
            row.policy_due_at = at
        case Fetch():
            row.policy_due_at = now + FETCHING
            row.fetch_due_at = row.fetch_due_at or now
            sandbox_store.wake_workers(row)
        case Warn(due):
            _announce(row, due, now=now)
        case Act(due):
            row.policy_due_at = now + ACTED
            _act(row, due, now=now)


def _announce(row: Sandbox, due: Due, *, now: datetime) -> None:
    row.policy_warnings = policies.warned(sandbox_facts(row), policy_of(row), due, on_hold=row.owner.on_hold)
    row.policy_due_at = now  # another rule may be to be announced as well
    data = {"rule": due.rule, "scope": due.scope, "minutes": due.minutes, "action": due.action}
    sandbox_store.event(
        row, EventKind.POLICY, f"{due.action.label} at {due.at:%Y-%m-%d %H:%M} UTC: {in_words(due)}", actor=POLICY,
        data=data | {"at": due.at.isoformat()}, at=now,
    )  # fmt: skip


def _act(row: Sandbox, due: Due, *, now: datetime) -> None:
    """Begin an operation like any other, that anybody may cancel or supersede. A stop and an archive leave the
    intent as it is, so that the sandbox comes back when it is next needed; a delete is for good."""
    new = NewOperation(action=due.action, actor=POLICY, source=Source.POLICY, reason=in_words(due))
    if lifecycle.refusal(row, due.action, active=None, on_hold=row.owner.on_hold) is not None:
        return
    if due.action == Action.DELETE:
        lifecycle.carry_out(row, new, active=None, now=now)
    else:
        create_operation(row, new, now=now)
