from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Action, Actor, EventKind, PolicyScope, Rule
from sandboxes.models import AuditEntry, Operation, Policy, Sandbox, SandboxEvent
from sandboxes.services import intent, lifecycle, owners, policies, reconcile
from sandboxes.services.policies import applying
from sandboxes.services.reconcile import Options
from tests.support.driving import ask, do, reload, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import DjangoAssertNumQueries

    from sandboxes.core.policies import Due
    from tests.support.emulator import Emulator

BOB = Actor.staff("bob")
MINUTE, HOUR = 60.0, 3600.0


def say(scope: PolicyScope = PolicyScope.DEFAULT, subject: str = "", **minutes: int | None) -> Policy:
    row = policies.set_policy(scope, subject, {Rule(rule): one for rule, one in minutes.items()}, actor=BOB)
    judge()
    return row


def judge() -> None:
    """What a worker does until nothing is due."""
    while policies.apply_some():
        pass


def later(seconds: float) -> None:
    """So much time passes, with a worker at work at its end."""
    clock.move(seconds)
    judge()


def operations(row: Sandbox) -> list[tuple[str, str, str]]:
    rows = Operation.objects.filter(sandbox=row, source="policy").order_by("created_at")
    return [(one.action, one.status, one.code) for one in rows]


def announcements(row: Sandbox) -> list[str]:
    return list(SandboxEvent.objects.filter(sandbox=row, kind=EventKind.POLICY).values_list("text", flat=True))


def test_an_idle_one_is_announced_stopped_and_comes_back_when_needed(running: Callable[..., Sandbox]) -> None:
    row = running()
    say(idle_stop=60)
    later(44 * MINUTE)
    assert announcements(row) == []
    later(2 * MINUTE)
    (at,) = [due.at for due in foreseen(row) if due.rule == Rule.IDLE_STOP]
    assert announcements(row) == [f"Stop at {at:%Y-%m-%d %H:%M} UTC: Idle stop by default, 1 h without use"]
    assert operations(row) == []
    later(16 * MINUTE)
    settle()
    stopped = reload(row.pk)
    assert operations(row) == [("stop", "succeeded", "")]
    assert (stopped.status, stopped.intent) == ("stopped", "running")
    begun = Operation.objects.get(sandbox=row, source="policy")
    assert (begun.actor_kind, begun.actor_id) == ("system", "policy")
    assert begun.reason == "Idle stop by default, 1 h without use"
    again = intent.ensure_running(row.pk, actor=Actor.owner("alice"), source="api")  # type: ignore[arg-type]
    assert isinstance(again, Operation)
    settle(again)
    assert reload(row.pk).status == "running"


def test_a_touch_and_ensure_running_put_it_off_without_a_word_to_the_row(running: Callable[..., Sandbox]) -> None:
    row = running()
    say(idle_stop=60)
    later(50 * MINUTE)
    due = reload(row.pk).policy_due_at
    intent.touch(row.pk, actor=Actor.owner("alice"))
    assert reload(row.pk).policy_due_at == due
    later(20 * MINUTE)
    assert operations(row) == []
    assert stops_at(row) == reload(row.pk).last_used_at + timedelta(hours=1)


def stops_at(row: Sandbox) -> object:
    found = [due for due in foreseen(row) if due.action == Action.STOP and due.scope != "daytona"]
    return found[0].at if found else None


def foreseen(row: Sandbox) -> list[Due]:
    return policies.forecast(reload(row.pk), now=clock.now())


def test_the_longest_run_ends_whatever_the_use(running: Callable[..., Sandbox]) -> None:
    row = running()
    say(longest_run=30)
    later(16 * MINUTE)
    intent.touch(row.pk, actor=Actor.owner("alice"))
    later(16 * MINUTE)
    settle()
    assert reload(row.pk).status == "stopped"


def test_a_later_wish_wins(running: Callable[..., Sandbox]) -> None:
    """Somebody asks for a start of what runs: it is wanted for as long again."""
    row = running()
    say(longest_run=30)
    later(29 * MINUTE)
    do(row, Action.START)
    later(16 * MINUTE)
    assert operations(row) == []
    later(16 * MINUTE)
    assert [action for action, *_ in operations(row)] == ["stop"]
    start = ask(row, Action.START)
    settle(start)
    assert [(status, code) for _, status, code in operations(row)] == [("cancelled", "superseded")]
    assert reload(row.pk).status == "running"


def test_the_same_wish_again_is_the_latest_one(running: Callable[..., Sandbox]) -> None:
    """It joins the operation under way and leaves the intent as it is, but nothing counts from before it."""
    row = running()
    say(expiry=120)
    stop = ask(row, Action.STOP)
    later(100 * MINUTE)
    before = clock.now()
    assert ask(row, Action.STOP).pk == stop.pk
    (expiry,) = [due for due in foreseen(row) if due.rule == Rule.EXPIRY]
    assert before <= expiry.at - timedelta(minutes=120) <= clock.now()
    settle(stop)
    later(100 * MINUTE)
    assert (announcements(row), operations(row)) == ([], [])
    later(6 * MINUTE)
    assert len(announcements(row)) == 1


def test_the_owners_policy_wins_over_the_default(running: Callable[..., Sandbox]) -> None:
    row, other = running(), running("carol")
    say(idle_stop=60)
    say(PolicyScope.OWNER, "alice", idle_stop=0, longest_run=120)
    assert [(due.rule, due.scope) for due in foreseen(row) if due.scope != "daytona"] == [("longest_run", "owner")]
    assert [(due.rule, due.scope) for due in foreseen(other) if due.scope != "daytona"] == [
        ("idle_stop", "default")
    ]
    say(PolicyScope.OWNER, "alice", idle_stop=None, longest_run=None)
    assert [(due.rule, due.scope) for due in foreseen(row) if due.scope != "daytona"] == [("idle_stop", "default")]


def test_a_use_that_only_daytona_saw_keeps_it_running(world: Emulator, running: Callable[..., Sandbox]) -> None:
    row = running()
    say(idle_stop=60)
    later(46 * MINUTE)
    later(16 * MINUTE)
    world.change(str(row.daytona_id), lastActivityAt=clock.now().isoformat())
    settle()
    assert operations(row) == [("stop", "cancelled", Code.NO_LONGER_DUE)]
    assert reload(row.pk).status == "running"
    later(20 * MINUTE)
    assert len(operations(row)) == 1


def test_a_rule_deletes_for_good_after_daytona_was_asked(running: Callable[..., Sandbox]) -> None:
    row = running()
    do(row, Action.STOP)
    say(delete_after=60)
    later(46 * MINUTE)
    assert announcements(row) != []
    later(15 * MINUTE)
    assert operations(row) == []
    assert reload(row.pk).fetch_due_at is not None
    lifecycle.observe(row.pk)
    later(6)
    settle()
    gone = reload(row.pk)
    assert operations(row) == [("delete", "succeeded", "")]
    assert (gone.status, gone.intent, gone.intent_actor_id, gone.policy_due_at) == (
        "gone",
        "deleted",
        "policy",
        None,
    )


def test_an_active_operation_is_waited_for(running: Callable[..., Sandbox]) -> None:
    row = running()
    say(longest_run=30)
    later(16 * MINUTE)
    stop = ask(row, Action.STOP)
    later(16 * MINUTE)
    assert operations(row) == []
    settle(stop)
    later(2 * MINUTE)
    assert operations(row) == []


def test_a_protected_one_is_left_alone_until_then(running: Callable[..., Sandbox]) -> None:
    row = running()
    say(idle_stop=60)
    until = clock.now() + timedelta(hours=3)
    lifecycle.protect(row.pk, actor=BOB, until=until)
    later(2 * HOUR)
    assert operations(row) == []
    assert stops_at(row) == until
    lifecycle.protect(row.pk, actor=BOB, until=None)
    judge()
    assert len(announcements(row)) == 1
    later(16 * MINUTE)
    settle()
    assert reload(row.pk).status == "stopped"


def test_after_a_hold_the_rules_count_anew(running: Callable[..., Sandbox]) -> None:
    row = running()
    do(row, Action.STOP)
    say(delete_after=120)
    owners.hold("alice", actor=BOB, reason="unpaid")
    later(5 * HOUR)
    assert announcements(row) == []
    owners.lift("alice", actor=BOB)
    judge()
    assert announcements(row) == []
    (due,) = [due for due in foreseen(row) if due.scope != "daytona"]
    assert due.at == (reload(row.pk).policies_from or clock.now()) + timedelta(hours=2)


def test_who_cancels_what_a_rule_began_is_not_asked_again_at_once(running: Callable[..., Sandbox]) -> None:
    row = running()
    say(longest_run=30)
    later(16 * MINUTE)
    later(16 * MINUTE)
    (begun,) = Operation.objects.filter(sandbox=row, source="policy")
    lifecycle.cancel(begun.pk, actor=Actor.owner("alice"))
    later(10 * MINUTE)
    assert len(operations(row)) == 1
    assert stops_at(row) == (reload(row.pk).policies_from or clock.now()) + timedelta(minutes=30)


def test_a_policy_is_audited_and_only_a_change_is(running: Callable[..., Sandbox]) -> None:
    running()
    say(PolicyScope.OWNER, "alice", idle_stop=60)
    say(PolicyScope.OWNER, "alice", idle_stop=60)
    entry = AuditEntry.objects.get(action="policy")
    assert (entry.actor, entry.owner, entry.before, entry.after) == (
        "staff:bob", "alice", {"idle_stop_minutes": None}, {"idle_stop_minutes": 60},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "subject", "code"),
    [
        (PolicyScope.TIER, "enormous", Code.POLICY_NOT_FOUND),
        (PolicyScope.OWNER, "nobody", Code.POLICY_NOT_FOUND),
        (PolicyScope.SANDBOX, "x", Code.SANDBOX_NOT_FOUND),
    ],
)
def test_a_policy_of_nothing_is_refused(world: Emulator, scope: PolicyScope, subject: str, code: Code) -> None:
    with pytest.raises(Refused) as error:
        say(scope, subject, idle_stop=60)
    assert error.value.code == code


def test_all_sandboxes_are_told_step_by_step(
    running: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [running(f"owner{number}") for number in range(3)]
    judge()
    monkeypatch.setattr(applying, "TOLD_TOGETHER", 2)
    policies.set_policy(PolicyScope.DEFAULT, "", {Rule.IDLE_STOP: 60}, actor=BOB)
    assert [policies.tell_sandboxes() for _ in range(3)] == [2, 1, 0]
    assert Sandbox.objects.filter(policy_due_at__isnull=False).count() == len(rows)


def test_any_number_is_judged_in_a_few_statements(
    running: Callable[..., Sandbox], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(6):
        running(f"owner{number}")
    say(idle_stop=60)
    clock.move(46 * MINUTE)
    with django_assert_max_num_queries(11):
        assert policies.apply_due() == 6
    judge()
    clock.move(15 * MINUTE)
    with django_assert_max_num_queries(15):
        assert policies.apply_due() == 6
    assert Operation.objects.filter(source="policy").count() == 6


def test_after_a_restore_the_rules_count_anew(running: Callable[..., Sandbox]) -> None:
    """What the backup says of use is old."""
    row = running()
    say(longest_run=120)
    clock.move(5 * HOUR)
    began = clock.now()
    reconcile.sweep(Options(restored=True))
    judge()
    assert announcements(row) == []
    assert (reload(row.pk).policies_from or row.created_at) >= began
