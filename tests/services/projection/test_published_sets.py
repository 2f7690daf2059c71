"""The three published sets differ: what is there is used, what is missing is named."""

from __future__ import annotations

from typing import Any

import pytest

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Status
from sandboxes.models import Notice
from sandboxes.services import projection
from tests.services.projection.driving import Convex, change, is_open, projected, push, sandbox

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("functions", ["first", "second"])
def test_a_new_name_is_shown(convex: Convex, functions: str) -> None:
    convex.configure(functions=functions)
    box = sandbox(name="old", pushed=True)
    change(box, name="new")
    push(box)
    assert convex.row(box)["name"] == "new"


def test_main_cannot_show_a_new_name_and_a_notice_says_so(convex: Convex) -> None:
    convex.configure(functions="main")
    box = sandbox(name="old", pushed=True)
    assert not Notice.objects.exists(), "nobody renamed anything yet"
    change(box, name="new")
    push(box)
    assert projected(box).is_behind, "it is still to be told"
    due = projected(box).due_at
    assert due is not None
    assert due > clock.now(), "and not again and again"
    assert "sandboxes:updateMetadataInternal" in projected(box).error
    assert "sandboxes:updateMetadataInternal" in Notice.objects.get(code=NoticeCode.CONVEX_FUNCTION_MISSING).message


def test_the_status_is_shown_though_the_name_cannot_be(convex: Convex) -> None:
    convex.configure(functions="main")
    box = sandbox(name="old", pushed=True)
    change(box, name="new", status=Status.STOPPED)
    push(box)
    assert convex.row(box)["status"] == "stopped"
    change(box, status=Status.STARTING)
    push(box)
    assert is_open(NoticeCode.CONVEX_FUNCTION_MISSING), "the name is still the old one"


def test_the_name_follows_once_the_function_is_deployed(convex: Convex) -> None:
    convex.configure(functions="main")
    box = sandbox(name="old", pushed=True)
    change(box, name="new")
    push(box)
    convex.configure(functions="second")
    change(box, status=Status.STOPPED)
    push(box)
    assert convex.row(box)["name"] == "new"
    assert projected(box).error == ""
    assert not is_open(NoticeCode.CONVEX_FUNCTION_MISSING)


@pytest.mark.parametrize("later", [{"functions": "second"}, {"sandkeeper": True}], ids=["theirs", "ours"])
def test_a_name_that_could_not_be_shown_is_due_once_the_function_is_deployed(
    convex: Convex, later: dict[str, Any]
) -> None:
    """Whatever is pushed next finds it; the sandbox itself need not change."""
    convex.configure(functions="main")
    box, other = sandbox(name="old", pushed=True), sandbox(pushed=True)
    change(box, name="new")
    push(box)
    change(other, status=Status.STOPPED)
    push(other)
    assert projection.due(10)[0] == [], "nothing has been deployed yet"
    convex.configure(**later)
    change(other, status=Status.RUNNING)
    push(other)
    assert projected(box).is_behind
    assert box.pk in projection.due(10)[0]
    push(box)
    assert convex.row(box)["name"] == "new"
    assert not projected(box).is_behind
    assert not is_open(NoticeCode.CONVEX_FUNCTION_MISSING)


def test_a_needed_function_that_is_missing_is_named(convex: Convex) -> None:
    box = sandbox(pushed=True)
    text = "Could not find public function for 'sandboxes:updateStatus'."
    key = {"permissions": ["deployment:functions:runInternalQueries", "deployment:functions:runInternalMutations"]}
    convex.emulator.settings(convex_keys={convex.emulator.convex_key: key})
    convex.configure()
    fault = convex.faults.add(
        "status", system="convex", body="updateStatus", status=200, answer={"status": "error", "errorMessage": text}
    )
    change(box, status=Status.STOPPED)
    push(box)
    assert projected(box).is_behind
    assert projected(box).error.startswith("Function missing: ")
    assert "sandboxes:updateStatus" in Notice.objects.get(code=NoticeCode.CONVEX_FUNCTION_MISSING).message
    convex.faults.remove(fault)
    convex.configure()  # what was missing is believed to be missing for some minutes
    clock.move(61)
    push(box)
    assert projected(box).error == ""
    assert not is_open(NoticeCode.CONVEX_FUNCTION_MISSING)


def test_a_key_that_may_not_list_functions_pushes_all_the_same(any_convex: Convex) -> None:
    permissions = ["deployment:functions:runInternalQueries", "deployment:functions:runInternalMutations"]
    any_convex.emulator.settings(convex_keys={any_convex.emulator.convex_key: {"permissions": permissions}})
    box = sandbox(name="old", pushed=True)
    change(box, status=Status.STOPPED, name="new")
    push(box)
    assert any_convex.row(box)["status"] == "stopped"
    lacks = "updateMetadataInternal" in projected(box).error
    assert projected(box).is_behind == lacks == (any_convex.row(box)["name"] == "old")
