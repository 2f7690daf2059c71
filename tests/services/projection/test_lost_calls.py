"""Calls of which nobody knows whether they were carried out, or that are carried out late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Status
from sandboxes.services.projection import lease
from tests.services.projection.driving import (
    Convex,
    change,
    delete,
    projected,
    push,
    push_until_clean,
    sandbox,
)
from tests.support import convex as wire
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db(transaction=True)
LATE = 10  # seconds after which Convex carries out a call whose connection was lost


def lose(convex: Convex, function: str, **fields: Any) -> None:
    """The next call of this function loses its connection at once and is carried out LATE seconds later."""
    convex.faults.add("drop_before", system="convex", body=function, times=1, execute_after=LATE, **fields)


def let_it_commit(convex: Convex, *, seen: int) -> None:
    """Let the lost call be carried out, and wait until it was: `seen` mutations had been accepted before."""
    convex.emulator.advance(LATE + 1)
    wait_until(lambda: len(convex.accepted()) > seen, what="commit of the lost call")


def pass_time(seconds: float) -> None:
    clock.move(seconds)


def test_a_lost_write_that_commits_late_does_not_win(convex: Convex, settings: Settings) -> None:
    settings.CONVEX_RESEND_SECONDS = LATE + 5
    box = sandbox(pushed=True)
    lose(convex, "updateStatus")
    change(box, status=Status.STOPPED)
    push(box)
    assert projected(box).is_behind
    change(box, status=Status.STARTING)
    push(box)
    assert convex.row(box)["status"] == "starting"

    let_it_commit(convex, seen=len(convex.accepted()))
    assert convex.row(box)["status"] == "stopped", "the lost call was carried out late"

    push_until_clean(box)
    assert convex.row(box)["status"] == "starting"
    assert projected(box).resend_at is None


def test_a_lost_name_that_commits_late_does_not_win(convex: Convex, settings: Settings) -> None:
    settings.CONVEX_RESEND_SECONDS = LATE + 5
    box = sandbox(name="first", pushed=True)
    lose(convex, "updateMetadataInternal")
    change(box, name="second")
    push(box)
    change(box, name="third")
    push(box)
    assert convex.row(box)["name"] == "third"

    let_it_commit(convex, seen=len(convex.accepted()))
    assert convex.row(box)["name"] == "second"

    push_until_clean(box)
    assert convex.row(box)["name"] == "third"


def test_a_lost_create_that_commits_late_makes_no_second_row(any_convex: Convex, settings: Settings) -> None:
    settings.CONVEX_RESEND_SECONDS = LATE + 5
    box = sandbox()
    lose(any_convex, "createInternal|sandkeeper:apply")
    push(box)
    pass_time(2)
    push(box)
    seen = len(any_convex.accepted())
    any_convex.emulator.advance(LATE + 1)
    if not seen:
        wait_until(lambda: any_convex.rows(box), what="commit of the lost create")
    push_until_clean(box)
    assert any_convex.row(box)["status"] == "running"


def test_a_create_that_was_never_carried_out_is_made_again_when_it_must_have_ended(
    convex: Convex, settings: Settings
) -> None:
    settings.CONVEX_RESEND_SECONDS = 20
    convex.faults.add("drop_before", system="convex", body="createInternal", times=1)
    box = sandbox()
    push(box)
    pass_time(10)
    push(box)
    assert convex.rows(box) == [], "the lost call may still be carried out"
    pass_time(11)
    push_until_clean(box)
    assert convex.row(box)["status"] == "running"
    assert convex.accepted("sandboxes:createInternal") == ["sandboxes:createInternal"]


def test_a_create_that_was_carried_out_without_an_answer_is_found(convex: Convex) -> None:
    convex.faults.add("drop_after", system="convex", body="createInternal", times=1)
    box = sandbox()
    push(box)
    pass_time(2)
    push(box)
    assert not projected(box).is_behind
    assert convex.row(box)["status"] == "running"
    assert convex.accepted("sandboxes:createInternal") == ["sandboxes:createInternal"]


def test_a_create_that_convex_broke_off_after_the_commit_is_found(convex: Convex) -> None:
    answer = {"code": "InternalServerError", "message": "Your request couldn't be completed."}
    convex.faults.add("status", system="convex", body="createInternal", times=1, execute=True, answer=answer)
    box = sandbox()
    push(box)
    pass_time(2)
    push(box)
    assert len(convex.rows(box)) == 1
    assert not projected(box).is_behind


def test_a_create_that_convex_broke_off_before_the_commit_is_made_again_soon(convex: Convex) -> None:
    answer = {"code": "InternalServerError", "message": "Your request couldn't be completed."}
    convex.faults.add("status", system="convex", body="createInternal", times=1, answer=answer)
    box = sandbox()
    push(box)
    pass_time(2)
    push(box)
    assert len(convex.rows(box)) == 1


def test_a_lost_create_of_a_deleted_sandbox_leaves_no_row(convex: Convex, settings: Settings) -> None:
    settings.CONVEX_RESEND_SECONDS = LATE + 5
    box = sandbox()
    lose(convex, "createInternal")
    push(box)
    delete(box)
    push(box)
    assert not projected(box).is_behind
    let_it_commit(convex, seen=0)
    assert len(convex.rows(box)) == 1, "the lost call was carried out late"
    push_until_clean(box)
    assert convex.rows(box) == []


def test_a_removal_that_commits_late_does_not_take_the_row_of_a_sandbox_that_came_back(
    convex: Convex, settings: Settings
) -> None:
    settings.CONVEX_RESEND_SECONDS = LATE + 5
    box = sandbox(pushed=True)
    lose(convex, "removeByDaytonaId")
    delete(box)
    push(box)
    change(box, status=Status.RUNNING, deleted_at=None)
    push(box)
    let_it_commit(convex, seen=len(convex.accepted()))
    assert convex.rows(box) == []
    push_until_clean(box)
    assert convex.row(box)["status"] == "running"


def test_after_a_lost_write_nothing_counts_as_sent(convex: Convex) -> None:
    box = sandbox(pushed=True)
    convex.faults.add("drop_after", system="convex", body="updateStatus", times=1)
    change(box, status=Status.STOPPED)
    push(box)
    assert convex.row(box)["status"] == "stopped"
    change(box, status=Status.RUNNING)  # what was sent before the lost call
    push(box)
    assert convex.row(box)["status"] == "running"


def test_a_row_that_was_removed_after_a_lost_write_stays_removed(convex: Convex, settings: Settings) -> None:
    settings.CONVEX_RESEND_SECONDS = 20
    box = sandbox(pushed=True)
    convex.faults.add("drop_after", system="convex", body="updateStatus", times=1)
    change(box, status=Status.STOPPED)
    push(box)
    convex.forget(box)
    push_until_clean(box)
    assert convex.rows(box) == []
    assert projected(box).removed


def test_a_timeout_counts_as_lost(convex: Convex, settings: Settings) -> None:
    settings.CONVEX_READ_TIMEOUT = 0.3
    convex.configure()
    box = sandbox(pushed=True)
    convex.faults.add("hang", system="convex", body="updateStatus", times=1)
    change(box, status=Status.STOPPED)
    push(box)
    row = projected(box)
    assert row.is_behind
    assert row.resend_at is not None
    assert "did not answer" in row.error


def test_a_pusher_killed_after_the_create_leaves_no_second_row(convex: Convex) -> None:
    box = sandbox()
    held = lease.claim([box.pk])
    convex.seed(box, status="creating")  # what its createInternal did before it was killed
    assert not push(box), "its lease still holds"
    pass_time(lease.seconds() + 1)
    assert held.rows
    push(box)
    assert convex.row(box)["status"] == "running"
    assert not projected(box).is_behind


def test_a_row_whose_pusher_was_killed_before_the_create_is_created_as_soon_as_its_lease_is_over(
    convex: Convex,
) -> None:
    box = sandbox()
    lease.claim([box.pk])
    pass_time(lease.seconds() + 1)
    push(box)
    assert convex.row(box)["status"] == "running"
    assert projected(box).resend_at, "it is looked at once more, when no call can be under way any longer"


def test_after_a_killed_pusher_nothing_counts_as_sent(convex: Convex) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.STOPPED)
    lease.claim([box.pk])
    wire.call(convex.emulator, "sandboxes:updateStatus", daytonaSandboxId=box.daytona_id, status="stopped")
    change(box, status=Status.RUNNING)
    pass_time(lease.seconds() + 1)
    push(box)
    assert convex.row(box)["status"] == "running"
