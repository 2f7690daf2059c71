"""What people write in the application stays: names, messages, removals, harness links, other owners' rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sandboxes import clock
from sandboxes.core.vocabulary import Actor, Status
from sandboxes.services import projection
from sandboxes.services.projection import lease
from sandboxes.services.projection.push_result import REMOVED
from sandboxes.services.projection.values import UNNAMED
from tests.services.projection.driving import (
    Convex,
    change,
    delete,
    may_not_act,
    projected,
    push,
    push_until_clean,
    sandbox,
    timeline,
)
from tests.support import convex as wire

if TYPE_CHECKING:
    from sandboxes.models import Sandbox

pytestmark = pytest.mark.django_db(transaction=True)
STAFF = Actor.staff("sam")


def by_user(convex: Convex, box: Sandbox, act: str, **values: Any) -> None:
    """The application's own page does that, as the sandbox's owner."""
    row_id = convex.row(box)["_id"]
    wire.value_of(wire.call_as(convex.emulator, box.owner_id, f"sandboxes:{act}", id=row_id, **values))


def harness(convex: Convex, owner: str, **fields: Any) -> str:
    return wire.seed(convex.emulator, harnesses=[{"_id": "$h", "userId": owner, **fields}])["$h"]


def linked(convex: Convex) -> str | None:
    """Daytona's id in the one harness there is."""
    (found,) = convex.emulator.state("convex", table="harnesses")["harnesses"]
    return found.get("daytonaSandboxId")


# names and messages


def test_a_name_that_nobody_gave_is_never_pushed(any_convex: Convex) -> None:
    box = sandbox(name="", daytona_name="5a91f1c2-uuid")
    any_convex.seed(box, name="Ada's box", status="running")
    push_until_clean(box)
    change(box, status=Status.STOPPED)
    projection.push_again(box.pk, actor=STAFF)
    push_until_clean(box)
    assert (any_convex.row(box)["name"], any_convex.row(box)["status"]) == ("Ada's box", "stopped")


def test_a_row_that_is_made_for_it_has_the_applications_own_default(any_convex: Convex) -> None:
    box = sandbox(name="", daytona_name="5a91f1c2-uuid", pushed=True)
    assert any_convex.row(box)["name"] == UNNAMED
    by_user(any_convex, box, "update", name="mine")
    change(box, status=Status.STOPPED)
    push_until_clean(box)
    assert any_convex.row(box)["name"] == "mine"


def test_a_name_and_a_message_of_the_user_survive_what_we_push(any_convex: Convex) -> None:
    box = sandbox(name="ours", pushed=True)
    by_user(any_convex, box, "update", name="theirs", errorMessage="do not stop, Ada")
    change(box, status=Status.STOPPED)
    push_until_clean(box)
    row = any_convex.row(box)
    assert (row["name"], row["errorMessage"], row["status"]) == ("theirs", "do not stop, Ada", "stopped")


def test_what_we_said_is_taken_back_and_what_we_have_to_say_is_said(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    by_user(any_convex, box, "update", errorMessage="theirs")
    change(box, status=Status.ERROR, error_reason="disk broke")
    push_until_clean(box)
    assert any_convex.row(box)["errorMessage"] == "disk broke"
    change(box, status=Status.RUNNING, error_reason="")
    push_until_clean(box)
    assert any_convex.row(box).get("errorMessage", "") == ""


def test_a_rename_here_is_newer_than_what_stands_there(convex: Convex) -> None:
    box = sandbox(name="old", pushed=True)
    by_user(convex, box, "update", name="theirs")
    change(box, name="new")
    push(box)
    assert convex.row(box)["name"] == "new"


# renames that could get lost


@pytest.mark.parametrize("functions", ["first", "second", "main"])
def test_a_rename_during_a_lost_create_is_not_lost(convex: Convex, functions: str) -> None:
    convex.configure(functions=functions)
    convex.faults.add("drop_after", system="convex", body="createInternal", times=1)
    box = sandbox(name="old")
    push(box)
    assert convex.row(box)["name"] == "old"
    change(box, name="new")
    clock.move(2)
    push(box)
    _is_told_or_due(convex, box, functions)


@pytest.mark.parametrize("functions", ["first", "second", "main"])
def test_a_rename_whose_pusher_was_killed_is_not_lost(convex: Convex, functions: str) -> None:
    convex.configure(functions=functions)
    box = sandbox(name="old", pushed=True)
    change(box, name="new")
    lease.claim([box.pk])
    clock.move(lease.seconds() + 1)
    push(box)
    _is_told_or_due(convex, box, functions)


def _is_told_or_due(convex: Convex, box: Sandbox, functions: str) -> None:
    is_main = functions == "main"
    assert convex.row(box)["name"] == ("old" if is_main else "new")
    assert projected(box).is_behind == is_main
    if is_main:
        assert "updateMetadataInternal" in projected(box).error
        convex.configure(functions="second")
        clock.move(61)
        push(box)
        assert convex.row(box)["name"] == "new"


def test_a_name_that_is_seen_to_be_there_lacks_nothing(convex: Convex) -> None:
    convex.configure(functions="main")
    convex.faults.add("drop_after", system="convex", body="createInternal", times=1)
    box = sandbox(name="same")
    push(box)
    clock.move(2)
    push(box)
    assert not projected(box).is_behind


# rows that people removed, or gave away


def test_a_row_that_its_user_removed_is_left_and_that_is_said_once(any_convex: Convex) -> None:
    box = sandbox(pushed=True)
    by_user(any_convex, box, "remove")
    for status in (Status.STOPPED, Status.RUNNING):
        change(box, status=status)
        push_until_clean(box)
    assert any_convex.rows(box) == []
    assert timeline(box).count(f"Convex: {REMOVED}") == 1
    assert not projected(box).is_behind


def test_a_person_who_pushes_it_again_puts_it_back(any_convex: Convex) -> None:
    box = sandbox(name="back", pushed=True, harness_id=harness(any_convex, "alice"))
    by_user(any_convex, box, "remove")
    change(box, status=Status.STOPPED)
    push_until_clean(box)
    projection.push_again(box.pk, actor=STAFF)
    push_until_clean(box)
    assert (any_convex.row(box)["name"], any_convex.row(box)["status"]) == ("back", "stopped")
    assert linked(any_convex) is None, "a harness is linked once"
    assert not projected(box).removed


def test_a_row_of_another_owner_is_never_written_until_it_is_corrected(any_convex: Convex) -> None:
    box = sandbox(name="alices", pushed=True, last_accessed_at=clock.now())
    any_convex.forget(box)
    any_convex.seed(box, userId="mallory", name="mallorys", status="running")
    before = any_convex.row(box)
    projection.touch([box])
    change(box, status=Status.STOPPED, name="renamed")
    push(box)
    projection.push_again(box.pk, actor=STAFF)
    push(box)
    delete(box)
    clock.move(61)
    push(box)
    assert any_convex.row(box) == before
    assert projected(box).error.startswith("Foreign owner: ")
    any_convex.forget(box)
    any_convex.seed(box)
    push_until_clean(box)
    assert any_convex.rows(box) == []


# harnesses


def test_another_owners_harness_is_not_linked_and_the_timeline_says_so(any_convex: Convex) -> None:
    box = sandbox(owner="mallory", harness_id=harness(any_convex, "victim"), pushed=True)
    assert any_convex.row(box)["status"] == "running"
    assert linked(any_convex) is None
    assert any("not linked" in text for text in timeline(box))


def test_a_harness_with_a_living_link_keeps_it(any_convex: Convex) -> None:
    mine = harness(any_convex, "alice")
    first = sandbox(harness_id=mine, pushed=True)
    second = sandbox(harness_id=mine, pushed=True)
    assert linked(any_convex) == first.daytona_id
    assert any("linked to" in text and "already" in text for text in timeline(second))


def test_a_harness_whose_sandbox_is_gone_is_linked_anew(any_convex: Convex) -> None:
    box = sandbox(harness_id=harness(any_convex, "alice", daytonaSandboxId="long-gone"), pushed=True)
    assert linked(any_convex) == box.daytona_id


def test_a_harness_that_its_owner_linked_by_hand_keeps_its_link(any_convex: Convex) -> None:
    kept = sandbox(pushed=True)
    mine = harness(any_convex, "alice", daytonaSandboxId=kept.daytona_id)
    sandbox(harness_id=mine, pushed=True)
    assert linked(any_convex) == kept.daytona_id


def test_a_row_that_is_made_without_a_persons_create_links_nothing(any_convex: Convex) -> None:
    sandbox(harness_id=harness(any_convex, "alice"), projection={"link_due": False}, pushed=True)
    assert linked(any_convex) is None


def test_a_key_that_may_not_ask_as_the_owner_links_nothing(convex: Convex) -> None:
    may_not_act(convex)
    box = sandbox(harness_id=harness(convex, "alice"), pushed=True)
    assert linked(convex) is None
    assert any("cannot be asked" in text for text in timeline(box))


def test_a_key_that_may_not_ask_as_the_owner_is_refused_once_not_at_each_push(convex: Convex) -> None:
    may_not_act(convex)
    boxes = [sandbox(pushed=True) for _ in range(3)]
    for box in boxes:
        change(box, status=Status.STOPPED)
        push(box)
    asked = [call for call in convex.calls() if call == "query sandboxes:list"]
    before = convex.calls()[asked[0]]
    change(boxes[0], status=Status.RUNNING)
    push(boxes[0])
    assert convex.calls()[asked[0]] == before
    assert convex.row(boxes[0])["status"] == "running"


@pytest.mark.parametrize(("times", "is_linked"), [(1, True), (2, False)])
def test_an_error_without_words_is_not_blamed_on_the_harness_at_once(
    convex: Convex, times: int, is_linked: bool
) -> None:
    answer = {"status": "error", "errorMessage": "[Request ID: 1] Server Error"}
    convex.faults.add("status", system="convex", body="createInternal", times=times, status=200, answer=answer)
    box = sandbox(harness_id=harness(convex, "alice"), pushed=True)
    assert len(convex.rows(box)) == 1
    assert linked(convex) == (box.daytona_id if is_linked else None)
