from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from sandboxes.core.states import Seen
from sandboxes.core.vocabulary import Action
from sandboxes.models import Operation, Sandbox, SandboxEvent
from sandboxes.services import reconcile
from sandboxes.services.reconcile import FindingKind, Options
from sandboxes.services.reconcile.intents import is_broken
from tests.support.driving import ask, do, reload, settle

if TYPE_CHECKING:
    from tests.support.emulator import Emulator

Running = Callable[..., Sandbox]


def stopped_then_started_elsewhere(world: Emulator, running: Running) -> Sandbox:
    sandbox = running()
    do(sandbox, Action.STOP)
    world.change(str(sandbox.daytona_id), state="started")
    return reload(sandbox.pk)


def test_what_a_person_stopped_and_somebody_else_started_is_reported(world: Emulator, running: Running) -> None:
    sandbox = stopped_then_started_elsewhere(world, running)
    result = reconcile.sweep()
    assert result.report.counts[FindingKind.INTENT_BROKEN] == 1
    assert "owner:alice wants it stopped; it is started" in [finding.text for finding in result.report.findings]
    settle()
    assert (reload(sandbox.pk).status, reload(sandbox.pk).intent) == ("running", "stopped")


def test_it_is_stopped_again_when_asked_to(world: Emulator, running: Running) -> None:
    sandbox = stopped_then_started_elsewhere(world, running)
    result = reconcile.sweep(Options(enforce_intent=True))
    assert result.report.counts[FindingKind.ENFORCED] == 1
    settle()
    assert reload(sandbox.pk).status == "stopped"
    latest = Operation.objects.filter(sandbox=sandbox).order_by("-created_at")[0]
    assert (latest.actor_id, latest.source) == ("intent", "sweep")
    assert reconcile.sweep(Options(enforce_intent=True)).report.out_of_line == 0


def test_a_dry_run_enforces_nothing(world: Emulator, running: Running) -> None:
    sandbox = stopped_then_started_elsewhere(world, running)
    reconcile.sweep()
    result = reconcile.sweep(Options(enforce_intent=True, dry_run=True))
    assert (result.report.counts[FindingKind.INTENT_BROKEN], result.exit_code) == (1, 2)
    settle()
    assert reload(sandbox.pk).status == "running"


def test_an_idle_stop_breaks_no_intent(world: Emulator, running: Running) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), state="stopped")
    result = reconcile.sweep(Options(enforce_intent=True))
    assert (result.report.counts[FindingKind.INTENT_BROKEN], result.report.counts[FindingKind.ENFORCED]) == (0, 0)
    settle()
    assert (reload(sandbox.pk).status, reload(sandbox.pk).intent) == ("stopped", "running")


def test_a_newer_request_of_a_person_stands(world: Emulator, running: Running) -> None:
    sandbox = stopped_then_started_elsewhere(world, running)
    ask(sandbox, Action.START)
    result = reconcile.sweep(Options(enforce_intent=True))
    assert result.report.counts[FindingKind.ENFORCED] == 0
    settle()
    assert (reload(sandbox.pk).status, reload(sandbox.pk).intent) == ("running", "running")


def test_each_broken_intent_is_written_to_the_timeline_once(world: Emulator, running: Running) -> None:
    sandbox = stopped_then_started_elsewhere(world, running)
    reconcile.sweep()
    events = SandboxEvent.objects.filter(sandbox=sandbox).count()
    reconcile.sweep()
    assert SandboxEvent.objects.filter(sandbox=sandbox).count() == events


@pytest.mark.parametrize(
    ("intent", "seen", "broken"),
    [
        ("stopped", Seen("started", "started"), True),
        ("stopped", Seen("starting", "started"), True),
        ("stopped", Seen("stopped", "stopped"), False),
        ("stopped", Seen("archived", "archived"), False),
        ("stopped", Seen("archiving", "archived"), False),
        ("stopped", Seen("stopping", "stopped"), False),
        ("stopped", Seen("error", "started"), False),
        ("stopped", Seen("destroying", "destroyed"), False),
        ("stopped", Seen("started", "started", missing=True), False),
        ("stopped", Seen("dreaming", "dreaming"), False),
        ("archived", Seen("started", "started"), True),
        ("archived", Seen("stopped", "stopped"), True),
        ("archived", Seen("archived", "archived"), False),
        ("running", Seen("stopped", "stopped"), False),
        ("deleted", Seen("started", "started"), False),
        ("stopped", None, False),
    ],
)
def test_what_counts_as_broken(intent: str, seen: Seen | None, broken: bool) -> None:
    assert is_broken(intent, seen) is broken
