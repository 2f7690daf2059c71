"""Convex's own cap of five rows per owner (the main set)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.codes import Code, NoticeCode
from sandboxes.core.vocabulary import Status
from sandboxes.services.projection import lease
from sandboxes.services.verify_convex import verify_all
from tests.services.projection.driving import (
    Convex,
    change,
    creating,
    delete,
    is_clean,
    is_open,
    projected,
    push,
    push_until_clean,
    reload,
    sandbox,
)

if TYPE_CHECKING:
    from sandboxes.models import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def full(convex: Convex) -> list[Sandbox]:
    """Five sandboxes of alice that Convex shows."""
    convex.configure(functions="main")
    return [sandbox(pushed=True) for _ in range(5)]


def test_a_sandbox_that_is_being_created_is_marked_refused(convex: Convex, full: list[Sandbox]) -> None:
    sixth = sandbox()
    creating(sixth)
    push(sixth)
    assert projected(sixth).refusal == Code.SANDBOX_LIMIT_REACHED
    assert convex.rows(sixth) == []
    assert not projected(sixth).known


def test_an_existing_sandbox_is_not_marked_but_tried_again(convex: Convex, full: list[Sandbox]) -> None:
    sixth = sandbox()
    push(sixth)
    stuck = projected(sixth)
    assert stuck.refusal == ""
    assert stuck.is_behind
    assert "limit of 5" in stuck.error
    assert is_open(NoticeCode.CONVEX_REFUSED)


def test_a_place_that_becomes_free_takes_the_refusal_back(convex: Convex, full: list[Sandbox]) -> None:
    sixth = sandbox()
    creating(sixth)
    push(sixth)
    delete(full[0])
    push(full[0])
    clock.move(61)
    push(sixth)
    assert convex.row(sixth)["status"] == "running"
    assert projected(sixth).refusal == ""
    assert projected(sixth).error == ""


def test_removals_of_the_owner_go_first(convex: Convex, full: list[Sandbox]) -> None:
    delete(full[2])
    sixth = sandbox()
    creating(sixth)
    push(sixth)
    assert convex.rows(full[2]) == []
    assert not projected(full[2]).is_behind
    assert convex.row(sixth)["status"] == "running"


def test_a_removal_under_way_is_waited_for(convex: Convex, full: list[Sandbox]) -> None:
    delete(full[2])
    lease.claim([full[2].pk])
    sixth = sandbox()
    creating(sixth)
    push(sixth)
    waiting = projected(sixth)
    assert waiting.refusal == ""
    assert waiting.error.startswith("Waiting: ")
    assert not is_open(NoticeCode.CONVEX_REFUSED)


def test_a_row_that_a_lost_call_created_is_no_refusal(convex: Convex, full: list[Sandbox]) -> None:
    """The fifth place went to this very sandbox: its first createInternal was carried out unheard."""
    delete(full[4])
    push(full[4])
    box = sandbox()
    creating(box)
    convex.faults.add("drop_after", system="convex", body="createInternal", times=1)
    push(box)
    clock.move(2)
    push(box)
    assert projected(box).refusal == ""
    assert convex.row(box)["status"] == "running"
    assert reload(box).status == Status.RUNNING


def vanished(*boxes: Sandbox) -> None:
    """Gone without anybody asking: Convex shows them as archived until their owner deletes them."""
    for number, box in enumerate(boxes):
        change(box, status=Status.GONE, deleted_at=clock.now() + timedelta(seconds=number))
        push(box)


def test_what_is_gone_gives_way_to_a_new_sandbox_the_oldest_first(convex: Convex, full: list[Sandbox]) -> None:
    vanished(*full)
    sixth, seventh = sandbox(), sandbox()
    creating(sixth)
    push(sixth)
    assert projected(sixth).refusal == ""
    assert convex.row(sixth)["status"] == "running"
    assert [len(convex.rows(box)) for box in full] == [0, 1, 1, 1, 1]
    push(seventh)
    assert [len(convex.rows(box)) for box in full] == [0, 0, 1, 1, 1]
    assert not any(projected(box).is_behind for box in full)


def test_what_gave_way_stays_away(convex: Convex, full: list[Sandbox]) -> None:
    vanished(full[0])
    push(sandbox())
    clock.move(1)
    assert is_clean(verify_all())
    change(full[0], name="renamed though gone")
    push_until_clean(full[0])
    assert convex.rows(full[0]) == []


def test_what_is_gone_takes_no_place_of_another(convex: Convex, full: list[Sandbox]) -> None:
    gone = sandbox(status=Status.GONE, deleted_at=clock.now())
    vanished(full[0])
    push_until_clean(gone)
    assert convex.rows(gone) == []
    assert len(convex.rows(full[0])) == 1
    assert not is_open(NoticeCode.CONVEX_REFUSED)
