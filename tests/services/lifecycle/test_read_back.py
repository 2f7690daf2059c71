"""What Daytona holds is read back and shown beside what was asked for; a change ends, and is not told for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core import asked
from sandboxes.core.codes import NoticeCode, Refused
from sandboxes.core.vocabulary import Action, Actor
from sandboxes.models import Notice, Sandbox
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import lifecycle
from tests.support.driving import do, during, pass_time, reload, run_due, step_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.support.emulator import Emulator

ALICE = Actor.owner("alice")
KEYS = {"auto_stop": "autoStopInterval", "auto_archive": "autoArchiveInterval", "auto_delete": "autoDeleteInterval"}


def held(world: Emulator, sandbox: Sandbox) -> dict[str, int]:
    remote = world.sandbox(str(sandbox.daytona_id))
    assert remote is not None
    return {name: remote[name] for name in KEYS}


def outside(world: Emulator, sandbox: Sandbox, **intervals: int) -> None:
    """Somebody changes it in Daytona's dashboard."""
    world.change(str(sandbox.daytona_id), **{KEYS[name]: minutes for name, minutes in intervals.items()})


def said(sandbox: Sandbox) -> list[str]:
    return list(sandbox.events.filter(kind="change").order_by("at", "id").values_list("text", flat=True))


def differences(sandbox: Sandbox) -> list[tuple[str, Any, Any]]:
    return [(one.field, one.asked, one.observed) for one in asked.differences(reload(sandbox.pk))]


def calls(world: Emulator) -> list[tuple[str, Any]]:
    return [(line["action"], line["detail"]) for line in world.log() if line["action"].startswith("auto")]


def at_rest(sandbox: Sandbox) -> bool:
    run_due()
    return reload(sandbox.pk).pending_changes == {}


def test_what_was_created_is_read_back_and_differs_in_nothing(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running(auto_stop_minutes=7, auto_archive_minutes=0, harness_id="h1")
    row = reload(sandbox.pk)
    assert (row.observed_auto_stop, row.observed_auto_archive, row.observed_auto_delete) == (7, 43_200, -1)
    assert row.auto_archive_minutes == 43_200
    assert row.created_with["target"] == "us"
    assert differences(sandbox) == []


def test_a_change_ends_when_daytona_shows_it(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    lifecycle.set_intervals(sandbox.pk, actor=ALICE, auto_stop=30, auto_archive=0)
    assert [one.pending for one in asked.differences(reload(sandbox.pk))] == [True, True]
    step_until(world, lambda: at_rest(sandbox), what="read back")
    row = reload(sandbox.pk)
    assert (row.observed_auto_stop, row.observed_auto_archive, row.fetch_due_at) == (30, 43_200, None)
    assert differences(sandbox) == []
    assert calls(world) == [("autostop", 30), ("autoarchive", 43_200)]


def test_what_was_asked_for_already_changes_nothing(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running(ephemeral=True)
    before = said(sandbox)
    lifecycle.set_intervals(sandbox.pk, actor=ALICE, auto_stop=15, auto_archive=10_080, auto_delete=0)
    assert (reload(sandbox.pk).pending_changes, said(sandbox)) == ({}, before)
    with pytest.raises(Refused):
        lifecycle.set_intervals(sandbox.pk, actor=ALICE, auto_delete=5)


def test_an_accepted_value_that_daytona_stores_otherwise_is_shown_and_not_told_again(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    # A server with a limit that we do not know: it accepts, and holds another.
    world.faults.add("status", method="POST", path="/autostop/", status=201, answer={})
    lifecycle.set_intervals(sandbox.pk, actor=ALICE, auto_stop=30)
    step_until(world, lambda: at_rest(sandbox), what="end of the change")
    assert differences(sandbox) == [("auto_stop_minutes", 30, 15)]
    assert said(sandbox)[-1] == "auto_stop_minutes is 15 in Daytona, 30 was asked for"
    assert reload(sandbox.pk).fetch_due_at is None


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        ({"status": 400, "answer": {"statusCode": 400, "message": "GPU sandboxes keep theirs"}}, 1),
        ({"status": 500, "answer": {"statusCode": 500, "message": "An unexpected error occurred."}}, 8),
    ],
)
def test_a_refused_change_ends_with_an_event_and_a_notice(
    world: Emulator, running: Callable[..., Sandbox], fault: dict[str, Any], tries: int
) -> None:
    sandbox = running()
    number = world.faults.add("status", method="POST", path="/autodelete/", **fault)
    lifecycle.set_intervals(sandbox.pk, actor=ALICE, auto_delete=60)
    for _ in range(40):
        pass_time(30)
    assert world.faults.hits(number) == tries
    assert said(sandbox)[-1] == "Daytona refuses auto-delete 60; it holds -1"
    notice = Notice.objects.get(code=NoticeCode.SETTINGS_DIFFER)
    assert fault["answer"]["message"] in notice.message
    row = reload(sandbox.pk)
    assert (row.pending_changes, row.fetch_due_at) == ({}, None)
    assert differences(sandbox) == [("auto_delete_minutes", 60, -1)]


def test_a_change_waits_longer_each_time_while_daytona_cannot_take_it(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    number = world.faults.add("status", method="PUT", path="/labels$", status=503)
    lifecycle.rename(sandbox.pk, "new", actor=ALICE)
    for _ in range(60):
        pass_time(1)
    # After 0, 5, 15 and 35 s; by its jitter each pause may be as short as half of that.
    assert 4 <= world.faults.hits(number) <= 6
    world.faults.remove(number)
    pass_time(600)
    step_until(world, lambda: at_rest(sandbox), what="labels")
    assert differences(sandbox) == []


def test_a_value_changed_outside_is_shown_and_stays_until_somebody_asks(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    outside(world, sandbox, auto_delete=1, auto_stop=99)
    do(sandbox, Action.SYNC)
    assert differences(sandbox) == [("auto_stop_minutes", 15, 99), ("auto_delete_minutes", -1, 1)]
    assert "auto_delete_minutes is 1 in Daytona, -1 was asked for" in said(sandbox)[-1]
    do(sandbox, Action.SYNC)
    assert len([text for text in said(sandbox) if "auto_delete_minutes" in text]) == 1
    assert (reload(sandbox.pk).pending_changes, calls(world)) == ({}, [])

    lifecycle.set_intervals(sandbox.pk, actor=ALICE, auto_stop=None)  # 99 is as good
    assert differences(sandbox) == [("auto_delete_minutes", -1, 1)]
    lifecycle.reapply(sandbox.pk, actor=ALICE)
    step_until(world, lambda: at_rest(sandbox), what="read back")
    assert (held(world, sandbox)["auto_stop"], held(world, sandbox)["auto_delete"]) == (99, -1)
    assert differences(sandbox) == []


def test_labels_changed_outside_are_shown_and_can_be_told_again(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running(name="ours")
    world.change(str(sandbox.daytona_id), labels={"harness_name": "theirs", "team": "x"})
    do(sandbox, Action.SYNC)
    found = {field: observed for field, _, observed in differences(sandbox)}
    assert found["name"] == "theirs"
    assert found["labels.sandkeeper_id"] is None
    lifecycle.reapply(sandbox.pk, actor=ALICE)
    step_until(world, lambda: at_rest(sandbox), what="labels")
    remote = world.sandbox(str(sandbox.daytona_id))
    assert remote is not None
    assert remote["labels"] == {**sandbox.labels, "team": "x"}


def test_what_only_a_create_can_ask_for_is_shown(world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    world.change(str(sandbox.daytona_id), cpu=4)
    do(sandbox, Action.SYNC)
    assert differences(sandbox) == [("cpu", sandbox.cpu, 4)]
    lifecycle.reapply(sandbox.pk, actor=ALICE)
    assert reload(sandbox.pk).pending_changes == {}


def test_a_late_call_is_undone_and_a_quick_change_of_mind_is_not_lost(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    """15, 30 without an answer, 15 again: a GET that shows 15 proves nothing while 30 may still be carried out."""
    settings.DAYTONA_READ_TIMEOUT = settings.DAYTONA_HOLD_TIMEOUT = 0.3
    daytona.reset()
    sandbox = running()
    world.stop_clock()
    world.faults.add("hang", method="POST", path="/autostop/", times=1, execute_after=60.0)
    lifecycle.set_intervals(sandbox.pk, actor=ALICE, auto_stop=30)
    run_due()
    lifecycle.set_intervals(sandbox.pk, actor=ALICE, auto_stop=15)
    run_due()
    assert reload(sandbox.pk).pending_changes["auto_stop"]["value"] == 15
    world.advance(60.0)
    step_until(world, lambda: held(world, sandbox)["auto_stop"] == 30, what="late change")
    pass_time(settings.IN_DOUBT_SECONDS)
    step_until(world, lambda: at_rest(sandbox), what="read back")
    assert held(world, sandbox)["auto_stop"] == 15


def test_what_is_asked_for_while_daytona_is_told_is_told_next(
    world: Emulator, running: Callable[..., Sandbox]
) -> None:
    sandbox = running()
    lifecycle.set_intervals(sandbox.pk, actor=ALICE, auto_stop=30)
    with during(world, lambda: lifecycle.observe(sandbox.pk), method="POST", path="/autostop/"):
        lifecycle.set_intervals(sandbox.pk, actor=ALICE, auto_stop=40, auto_archive=60)
    values = {key: one["value"] for key, one in reload(sandbox.pk).pending_changes.items()}
    assert values == {"auto_stop": 40, "auto_archive": 60}
    step_until(world, lambda: at_rest(sandbox), what="read back")
    assert (held(world, sandbox)["auto_stop"], held(world, sandbox)["auto_archive"]) == (40, 60)
    assert differences(sandbox) == []


def test_of_an_adopted_sandbox_nobody_asked_for_anything(db: None) -> None:
    row = Sandbox(
        daytona_id="d", daytona_name="d", name="from Convex", owner_id="alice", observed_auto_stop=3,
        observed_at="2026-01-01", labels={"harness_user_id": "alice"}, cpu=2,
    )  # fmt: skip
    assert asked.differences(row) == []
