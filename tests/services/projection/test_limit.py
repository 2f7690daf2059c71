"""Convex's own cap of five rows per owner (the main set)."""

from __future__ import annotations

import pytest

from sandboxes import clock
from sandboxes.codes import Code, NoticeCode
from sandboxes.models import Sandbox
from sandboxes.services.projection import lease
from sandboxes.states import Status
from tests.services.projection.driving import Convex, creating, delete, is_open, push, reload, sandbox

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
    assert reload(sixth).convex_refusal == Code.SANDBOX_LIMIT_REACHED
    assert convex.rows(sixth) == []
    assert not reload(sixth).convex_known


def test_an_existing_sandbox_is_not_marked_but_tried_again(convex: Convex, full: list[Sandbox]) -> None:
    sixth = sandbox()
    push(sixth)
    stuck = reload(sixth)
    assert stuck.convex_refusal == ""
    assert stuck.is_dirty
    assert "limit of 5" in stuck.convex_error
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
    assert reload(sixth).convex_refusal == ""
    assert reload(sixth).convex_error == ""


def test_removals_of_the_owner_go_first(convex: Convex, full: list[Sandbox]) -> None:
    delete(full[2])
    sixth = sandbox()
    creating(sixth)
    push(sixth)
    assert convex.rows(full[2]) == []
    assert not reload(full[2]).is_dirty
    assert convex.row(sixth)["status"] == "running"


def test_a_removal_under_way_is_waited_for(convex: Convex, full: list[Sandbox]) -> None:
    delete(full[2])
    lease.claim([full[2].pk])
    sixth = sandbox()
    creating(sixth)
    push(sixth)
    waiting = reload(sixth)
    assert waiting.convex_refusal == ""
    assert waiting.convex_error.startswith("Waiting: ")
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
    assert reload(box).convex_refusal == ""
    assert convex.row(box)["status"] == "running"
    assert reload(box).status == Status.RUNNING
