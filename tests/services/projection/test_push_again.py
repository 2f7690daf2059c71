"""A person asks for a push, whatever we believe that Convex shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.codes import Code, Refused
from sandboxes.core.vocabulary import Actor
from sandboxes.services import projection
from tests.services.projection.driving import Convex, projected, push, push_until_clean, sandbox, timeline
from tests.support import convex as wire

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db(transaction=True)
STAFF = Actor.staff("sam")


def test_a_row_changed_over_there_is_put_right(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    wire.call(any_convex.emulator, "sandboxes:updateStatus", daytonaSandboxId=box.daytona_id, status="stopped")
    projection.push_again(box.pk, actor=STAFF)
    push_until_clean(box)
    assert any_convex.row(box)["status"] == "running"


def test_a_row_that_vanished_is_created_again(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    any_convex.forget(box)
    projection.push_again(box.pk, actor=STAFF)
    push_until_clean(box)
    assert any_convex.row(box)["status"] == "running"


def test_it_makes_no_second_row_while_a_lost_create_may_still_commit(convex: Convex, settings: Settings) -> None:
    settings.CONVEX_RESEND_SECONDS = 30
    box = sandbox()
    convex.faults.add("drop_before", system="convex", body="createInternal", times=1, execute_after=10)
    push(box)
    projection.push_again(box.pk, actor=STAFF)
    clock.move(2)
    push(box)
    assert convex.rows(box) == []
    convex.emulator.advance(11)
    push_until_clean(box)
    assert convex.row(box)["status"] == "running"


def test_the_timeline_says_who_asked(convex: Convex) -> None:
    box = sandbox(pushed=True)
    projection.push_again(box.pk, actor=STAFF)
    assert timeline(box)[-1] == "Push to Convex requested again"


def test_nobody_pushes_a_foreign_sandbox(convex: Convex) -> None:
    box = sandbox(owner="alice", pushed=True)
    with pytest.raises(Refused) as refused:
        projection.push_again(box.pk, actor=Actor.owner("bob"))
    assert refused.value.code == Code.SANDBOX_NOT_FOUND
    assert not projected(box).is_behind


def test_one_that_daytona_does_not_have_yet_is_refused_and_never_due(convex: Convex) -> None:
    box = sandbox(daytona_id=None)
    with pytest.raises(Refused) as refused:
        projection.push_again(box.pk, actor=STAFF)
    assert refused.value.code == Code.SANDBOX_CREATING
    assert projected(box).due_at is None
    assert not projected(box).is_behind
