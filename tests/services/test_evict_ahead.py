from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Action, Actor
from sandboxes.models import Operation, Sandbox
from sandboxes.services import evict_ahead as evict_ahead_module
from sandboxes.services import lifecycle, reconcile, victims
from sandboxes.services.evict_ahead import EvictionOutcome, EvictionRequest, evict_ahead
from sandboxes.services.reconcile import Options
from tests.support.driving import ask, reload, settle

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

Idle = Callable[..., Sandbox]
HOUR = 3600.0


@pytest.fixture
def idle(world: Emulator) -> Idle:
    """A running sandbox of Daytona and ours that was last used so many hours ago."""

    def make(hours: float, *, owner: str = "alice", **fields: object) -> Sandbox:
        moment = clock.now() - timedelta(hours=hours)
        labels = {"harness_user_id": owner}
        (key,) = world.seed([{"labels": labels, "lastActivityAt": moment.isoformat()} | fields])
        reconcile.sweep(Options(adopt=True))
        return Sandbox.objects.get(daytona_id=key)

    return make


def stopped(outcome: EvictionOutcome) -> list[object]:
    return [line.verdict.candidate.sandbox_id for line in outcome.lines if line.evicted]


def verdict_on(outcome: EvictionOutcome, row: Sandbox) -> tuple[str, ...]:
    return next(line.verdict.broken for line in outcome.lines if line.verdict.candidate.sandbox_id == row.pk)


def test_what_was_not_used_for_so_long_is_stopped_and_comes_back_when_needed(world: Emulator, idle: Idle) -> None:
    old, older, used = idle(3), idle(5), idle(1)
    outcome = evict_ahead(EvictionRequest(idle=2 * HOUR))
    assert stopped(outcome) == [older.pk, old.pk]
    settle()
    assert [reload(row.pk).status for row in (old, older, used)] == ["stopped", "stopped", "running"]
    assert reload(old.pk).intent == "running"
    operation = Operation.objects.get(sandbox=old)
    assert (operation.actor_id, operation.source) == ("evictor", "eviction")
    why = victims.why(old.pk)
    assert why is not None
    assert why.text == "Stopped after 2:00:00 without use"


def test_victims_are_taken_in_the_one_order_that_there_is(idle: Idle, monkeypatch: pytest.MonkeyPatch) -> None:
    first, recent, last = idle(3), idle(1), idle(5)
    for days, row in enumerate((last, recent, first)):
        Sandbox.objects.filter(pk=row.pk).update(created_at=clock.now() - timedelta(days=30 + days))
    monkeypatch.setattr(victims, "TAKEN_BY", "created_at")
    monkeypatch.setattr(victims, "ORDER", "created_at")
    for chunk in (evict_ahead_module.CHUNK, 1):
        monkeypatch.setattr(evict_ahead_module, "CHUNK", chunk)
        outcome = evict_ahead(EvictionRequest(idle=2 * HOUR, dry_run=True))
        assert stopped(outcome) == [first.pk, last.pk]


def test_it_ends_when_enough_room_is_made(idle: Idle) -> None:
    idle(3, cpu=2, memory=4)
    second = idle(5, cpu=2, memory=4)
    first = idle(7, cpu=1, memory=1)
    outcome = evict_ahead(EvictionRequest(free_cpu=3))
    assert stopped(outcome) == [first.pk, second.pk]
    assert (outcome.cpu, outcome.memory_gb, outcome.enough) == (3, 5, True)


def test_it_says_when_there_is_not_enough(idle: Idle) -> None:
    idle(3)
    outcome = evict_ahead(EvictionRequest(free_memory=64))
    assert (outcome.count, outcome.enough) == (1, False)


def test_a_limit_ends_it(idle: Idle) -> None:
    idle(3), idle(4)
    assert evict_ahead(EvictionRequest(idle=HOUR, limit=1)).count == 1


def test_a_dry_run_gives_the_verdicts_and_stops_nothing(world: Emulator, idle: Idle) -> None:
    idle(3)
    outcome = evict_ahead(EvictionRequest(idle=HOUR, dry_run=True))
    assert outcome.count == 1
    settle()
    assert (Operation.objects.count(), world.log(system="daytona")) == (0, [])


def test_the_rules_of_capacity_hold(idle: Idle) -> None:
    ephemeral = idle(9, autoDeleteInterval=0)
    doomed = idle(8, autoDeleteInterval=60)
    protected = idle(7)
    busy = idle(6)
    lifecycle.protect(protected.pk, actor=Actor.staff("admin"), until=clock.now() + timedelta(hours=1))
    ask(busy, Action.SYNC)
    outcome = evict_ahead(EvictionRequest(idle=HOUR))
    assert outcome.count == 0
    assert [verdict_on(outcome, row) for row in (ephemeral, doomed, protected, busy)] == [
        ("survives_a_stop",),
        ("survives_a_stop",),
        ("not_protected",),
        ("no_operation",),
    ]


def test_a_get_just_before_may_save_it(world: Emulator, idle: Idle) -> None:
    """A terminal is at work in it: only Daytona knows that."""
    row = idle(3)
    world.change(str(row.daytona_id), lastActivityAt=clock.now().isoformat(), quiet=True)
    outcome = evict_ahead(EvictionRequest(idle=HOUR))
    assert (outcome.count, verdict_on(outcome, row)) == (0, ("idle",))


def test_one_that_daytona_does_not_show_is_kept(world: Emulator, idle: Idle) -> None:
    row = idle(3)
    world.faults.add("status", path=f"/sandbox/{row.daytona_id}", status=503)
    outcome = evict_ahead(EvictionRequest(idle=HOUR))
    assert (outcome.count, verdict_on(outcome, row)) == (0, ("readable",))


def test_of_one_owner_or_region_only_theirs_are_stopped(idle: Idle) -> None:
    alices, bobs, far = idle(3), idle(3, owner="bob"), idle(3, target="eu")
    assert stopped(evict_ahead(EvictionRequest(idle=HOUR, owner="bob"))) == [bobs.pk]
    assert stopped(evict_ahead(EvictionRequest(idle=HOUR, target="eu"))) == [far.pk]
    assert stopped(evict_ahead(EvictionRequest(idle=HOUR, target="us", owner="alice"))) == [alices.pk]


def test_room_is_made_in_one_region(idle: Idle) -> None:
    idle(3), idle(3, target="eu")
    with pytest.raises(Refused, match=r"eu, us.*add --target") as refused:
        evict_ahead(EvictionRequest(free_cpu=1))
    assert refused.value.code == Code.INVALID_REQUEST
    assert evict_ahead(EvictionRequest(free_cpu=1, target="eu")).enough


def test_room_is_made_in_one_class(idle: Idle) -> None:
    idle(3), idle(3, sandboxClass="linux-vm")
    with pytest.raises(Refused, match=r"container, linux-vm.*add --sandbox-class"):
        evict_ahead(EvictionRequest(free_cpu=2, target="us"))
    outcome = evict_ahead(EvictionRequest(free_cpu=2, sandbox_class="linux-vm"))
    assert (outcome.count, outcome.cpu, outcome.enough) == (1, 1, False)


@pytest.mark.usefixtures("world")
def test_it_must_be_said_what_to_stop() -> None:
    with pytest.raises(Refused, match="Say what to stop"):
        evict_ahead(EvictionRequest(owner="alice"))
