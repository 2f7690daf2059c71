"""What every set of functions must do alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes import clock
from sandboxes.core.shown import GONE_WORDS
from sandboxes.core.vocabulary import Action, Actor, Source, Status
from sandboxes.services import lifecycle, projection
from tests.services.projection.driving import (
    Convex,
    change,
    delete,
    projected,
    push,
    push_until_clean,
    sandbox,
    timeline,
)
from tests.support import convex as wire

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_first_push_creates_the_row(any_convex: Convex) -> None:
    box = sandbox(name="my box", cpu=2, memory_gb=4, disk_gb=8, language="python")
    assert push(box)
    row = any_convex.row(box)
    assert row["userId"] == "alice"
    assert (row["name"], row["status"], row["language"]) == ("my box", "running", "python")
    assert row["resources"] == {"cpu": 2, "memoryGB": 4, "diskGB": 8}


def test_a_pushed_row_is_clean_and_not_due(any_convex: Convex) -> None:
    box = sandbox()
    push(box)
    row = projected(box)
    assert not row.is_behind
    assert row.due_at is None
    assert row.known
    assert row.pushed_at is not None
    assert row.lease_token == ""


def test_a_change_of_status_is_shown(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.STOPPED)
    assert push(box)
    assert any_convex.row(box)["status"] == "stopped"


def test_an_error_is_shown_with_its_reason_and_recovery_clears_it(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.ERROR, error_reason="disk broke")
    push(box)
    assert any_convex.row(box)["errorMessage"] == "disk broke"
    change(box, status=Status.RUNNING, error_reason="")
    push(box)
    assert any_convex.row(box).get("errorMessage", "") == ""
    assert any_convex.row(box)["status"] == "running"


def test_a_sandbox_whose_first_push_finds_it_in_error_shows_the_reason(any_convex: Convex) -> None:
    box = sandbox(status=Status.ERROR, error_reason="build failed")
    push(box)
    assert any_convex.row(box)["errorMessage"] == "build failed"


def test_a_deleted_sandbox_is_removed(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    delete(box)
    assert push(box)
    assert any_convex.rows(box) == []
    assert not projected(box).is_behind
    assert not projected(box).known


def test_an_ephemeral_sandbox_that_ended_is_removed(any_convex: Convex) -> None:
    box = sandbox(pushed=True, ephemeral=True)
    change(box, status=Status.GONE, deleted_at=clock.now())
    push(box)
    assert any_convex.rows(box) == []


def test_a_sandbox_that_vanished_stays_as_archived_and_says_so(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.GONE, deleted_at=clock.now())
    push(box)
    assert any_convex.row(box)["status"] == "archived"
    assert any_convex.row(box)["errorMessage"] == GONE_WORDS


def test_a_sandbox_that_vanished_is_taken_off_the_list_by_a_delete(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.GONE, deleted_at=clock.now())
    push(box)
    lifecycle.request(box.pk, Action.DELETE, actor=Actor.owner(box.owner_id), source=Source.API)
    assert projected(box).is_behind
    push(box)
    assert any_convex.rows(box) == []
    assert not projected(box).is_behind


def test_a_sandbox_that_comes_back_is_shown_again(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    delete(box)
    push(box)
    change(box, status=Status.RUNNING, deleted_at=None)
    push_until_clean(box)
    assert any_convex.row(box)["status"] == "running"


def test_removing_what_convex_never_had_is_no_error(any_convex: Convex) -> None:
    box = sandbox()
    delete(box)
    push(box)
    assert not projected(box).is_behind
    assert projected(box).error == ""


def test_a_row_that_convex_has_already_is_taken_over_not_doubled(any_convex: Convex) -> None:
    box = sandbox()
    any_convex.seed(box, status="stopped")
    push_until_clean(box)
    assert any_convex.row(box)["status"] == "running"


def test_ten_changes_become_one_push(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    before = any_convex.accepted()
    for status in [Status.STOPPING, Status.STOPPED, Status.STARTING, Status.RUNNING, Status.STOPPING] * 2:
        change(box, status=status)
    push(box)
    assert len(any_convex.accepted()) == len(before) + 1
    assert any_convex.row(box)["status"] == "stopping"


def test_a_clean_sandbox_costs_no_call(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    before = any_convex.total()
    assert not push(box)
    assert any_convex.total() == before


def test_a_sandbox_that_daytona_has_not_named_yet_is_not_pushed(any_convex: Convex) -> None:
    box = sandbox(daytona_id=None)
    assert not push(box)
    assert any_convex.accepted() == []


def test_without_convex_nothing_is_pushed_and_nothing_is_lost(any_convex: Convex, settings: Settings) -> None:
    box = sandbox()
    settings.CONVEX_URL = settings.CONVEX_DEPLOY_KEY = ""
    assert not push(box)
    assert projection.due(10)[0] == []
    assert projected(box).is_behind


def test_the_timeline_says_what_was_pushed(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    change(box, status=Status.STOPPED)
    push(box)
    assert timeline(box)[-1] == "Convex: shows stopped"


def test_a_harness_is_linked_on_creation_and_unlinked_on_removal(convex: Convex) -> None:
    ids = wire.seed(convex.emulator, harnesses=[{"_id": "$h", "userId": "alice", "sandboxEnabled": True}])
    box = sandbox(harness_id=ids["$h"], pushed=True)

    def harness() -> dict[str, object]:
        return dict(convex.emulator.state("convex", table="harnesses")["harnesses"][0])

    assert harness()["daytonaSandboxId"] == box.daytona_id
    delete(box)
    push(box)
    assert harness().get("daytonaSandboxId") is None
    assert harness()["sandboxEnabled"] is False


@pytest.mark.parametrize("own", [False, True])
def test_a_harness_that_does_not_exist_does_not_keep_the_row_away(convex: Convex, own: bool) -> None:
    convex.configure(sandkeeper=own)
    box = sandbox(harness_id="no such harness", pushed=True)
    assert convex.row(box)["status"] == "running"
