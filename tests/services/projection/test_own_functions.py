"""Our own functions in Convex: many rows in one call, each with its generation."""

from __future__ import annotations

import pytest

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Status
from sandboxes.models import ConvexProjection, Sandbox
from sandboxes.services import projection
from tests.services.projection.driving import (
    Convex,
    change,
    delete,
    is_open,
    projected,
    push,
    push_until_clean,
    sandbox,
    timeline,
)
from tests.support import convex as wire
from tests.support.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def own(convex: Convex) -> Convex:
    convex.configure(functions="main", sandkeeper=True)
    return convex


def push_all(boxes: list[Sandbox]) -> int:
    return projection.push_many([box.pk for box in boxes])


def test_a_hundred_rows_take_one_call(own: Convex) -> None:
    boxes = [sandbox(owner=f"owner-{number}") for number in range(100)]
    assert push_all(boxes) == 100
    assert own.calls()["mutation sandkeeper:apply"] == 1
    assert all(own.row(box)["status"] == "running" for box in boxes[::20])
    assert not ConvexProjection.objects.behind().exists()


def test_more_than_a_hundred_take_several(own: Convex) -> None:
    boxes = [sandbox() for _ in range(101)]
    assert push_all(boxes) == 101
    assert own.calls()["mutation sandkeeper:apply"] == 2


def test_the_applications_functions_are_not_called(own: Convex) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.STOPPED, name="new name")
    push(box)
    assert not [call for call in own.calls() if "sandboxes:" in call]
    assert own.row(box)["name"] == "new name"


def test_convex_remembers_the_revision(own: Convex) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.STOPPED)
    push(box)
    (stored,) = own.emulator.state("convex", table="sandkeeperRevisions")["sandkeeperRevisions"]
    assert stored["revision"] == projected(box).wanted_generation == projected(box).pushed_generation


def test_a_lost_call_that_commits_late_does_not_win(own: Convex) -> None:
    box = sandbox(pushed=True)
    own.faults.add("drop_before", system="convex", body="sandkeeper:apply", times=1, execute_after=10)
    change(box, status=Status.STOPPED)
    push(box)
    change(box, status=Status.STARTING)
    push(box)
    seen = len(own.accepted())
    own.emulator.advance(11)
    wait_until(lambda: len(own.accepted()) > seen, what="execution of the lost call")
    assert own.row(box)["status"] == "starting"


def test_a_restored_old_database_converges(own: Convex) -> None:
    box = sandbox(pushed=True)
    status = box.status
    old = {name: getattr(projected(box), name) for name in ("wanted_generation", "pushed_generation", "sent")}
    for status in (Status.STOPPING, Status.STOPPED, Status.STARTING, Status.ERROR, Status.STOPPED):
        change(box, status=status)
        push(box)
    assert own.row(box)["status"] == "stopped"

    Sandbox.objects.filter(pk=box.pk).update(status=status)  # the backup of this morning
    ConvexProjection.objects.filter(pk=box.pk).update(**old)
    change(box, status=Status.STARTING)
    push_until_clean(box)
    assert own.row(box)["status"] == "starting"
    assert projected(box).wanted_generation > 6
    assert any("had generation 6" in text for text in timeline(box))
    change(box, status=Status.RUNNING)
    push(box)
    assert own.row(box)["status"] == "running"


def test_a_row_changed_over_there_is_put_right_when_it_is_sent_again(own: Convex) -> None:
    box = sandbox(pushed=True)
    wire.call(own.emulator, "sandboxes:updateStatus", daytonaSandboxId=box.daytona_id, status="stopped")
    ConvexProjection.objects.filter(pk=box.pk).make_due(sent={})
    push_until_clean(box)
    assert own.row(box)["status"] == "running"


def test_a_row_written_twice_becomes_one(own: Convex) -> None:
    box = sandbox()
    own.seed(box, status="stopped")
    own.seed(box, status="stopped")
    push_until_clean(box)
    assert own.row(box)["status"] == "running"


def test_a_removal_unlinks_harness_and_workspace(own: Convex) -> None:
    box = sandbox()
    wire.seed(
        own.emulator,
        sandboxes=[wire.sandbox_row(box.daytona_id or "", _id="$s", userId="alice")],
        harnesses=[{"userId": "alice", "sandboxId": "$s", "sandboxEnabled": True}],
        workspaces=[{"userId": "alice", "sandboxId": "$s"}],
    )
    push_until_clean(box)
    delete(box)
    push(box)
    state = own.emulator.state("convex")
    assert state["sandboxes"] == []
    assert state["harnesses"][0]["sandboxEnabled"] is False
    assert "sandboxId" not in state["harnesses"][0]
    assert "sandboxId" not in state["workspaces"][0]


def test_one_bad_row_does_not_hold_up_the_others(own: Convex) -> None:
    boxes = [sandbox() for _ in range(9)]
    own.faults.add(
        "status", system="convex", body=f'"{boxes[4].daytona_id}"', status=200,
        answer={"status": "error", "errorMessage": "ArgumentValidationError"},
    )  # fmt: skip
    push_all(boxes)
    assert [projected(box).is_behind for box in boxes] == [box is boxes[4] for box in boxes]
    assert is_open(NoticeCode.CONVEX_REFUSED)


def test_one_foreign_row_does_not_hold_up_the_others(own: Convex) -> None:
    boxes = [sandbox() for _ in range(3)]
    own.seed(boxes[1], userId="mallory")
    push_all(boxes)
    assert [projected(box).is_behind for box in boxes] == [False, True, False]
    assert own.row(boxes[1])["userId"] == "mallory"
    assert is_open(NoticeCode.CONVEX_FOREIGN_OWNER)


def test_a_key_that_may_not_list_functions_finds_them_by_trying(own: Convex) -> None:
    permissions = ["deployment:functions:runInternalQueries", "deployment:functions:runInternalMutations"]
    own.emulator.settings(convex_keys={own.emulator.convex_key: {"permissions": permissions}})
    box = sandbox(pushed=True)
    assert own.row(box)["status"] == "running"
    assert own.calls()["mutation sandkeeper:apply"] == 1


def test_without_them_the_applications_functions_are_used_again(own: Convex) -> None:
    box = sandbox(pushed=True)
    own.configure(sandkeeper=False)
    change(box, status=Status.STOPPED)
    push_until_clean(box)
    assert own.row(box)["status"] == "stopped"


def test_functions_taken_away_while_running_are_noticed(own: Convex) -> None:
    box = sandbox(pushed=True)
    present = own.emulator.settings()["convex"]
    own.emulator.settings(convex=present | {"sandkeeper": False})  # this process does not know yet
    change(box, status=Status.STOPPED)
    push(box)
    clock.move(61)
    wait_until(lambda: not projected(box).is_behind or (push(box) and False), what="push by other functions")
    assert own.row(box)["status"] == "stopped"
