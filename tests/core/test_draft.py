"""A decision while it is being made: what is wanted, what is told of it, and how an operation is closed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sandboxes.core.codes import Code, NoticeCode
from sandboxes.core.draft import Draft
from sandboxes.core.facts import AddEvent, ChangeIntent, IntentSetting, OpenNotice, OperationFacts, ReleaseRoom
from sandboxes.core.quota import QuotaSearch
from sandboxes.core.vocabulary import Action, Actor, Intent, OperationStatus
from tests.core.building import LIMITS, NOW, OTHER, at, call, facts, fetched, operation, sandbox

SEARCH = QuotaSearch(message="full", lease="token")
BEFORE = IntentSetting(intent="running", actor_kind="owner", actor_id="bob", reason="r", at=at(-9), met_at=at(-8))


def draft(one: OperationFacts | None = None, **fields: Any) -> Draft:
    return Draft(sandbox(intent="stopped", **fields), now=NOW, limits=LIMITS, operation=one)


def events(made: Draft) -> list[tuple[str, str, dict[str, Any], str, bool]]:
    found = [one for one in made.effects if isinstance(one, AddEvent)]
    return [(one.kind, one.text, dict(one.data), one.actor, one.of_operation) for one in found]


def test_a_draft_has_all_of_the_facts() -> None:
    given = facts(fetched(), operation=operation(), active="start", calls=(call("stop"),))
    made = Draft.of(given)
    assert (made.sandbox, made.operation, made.calls) == (given.sandbox, given.operation, given.calls)
    assert (made.now, made.limits, made.fetched_at) == (NOW, LIMITS, given.sandbox.observed_at)


@pytest.mark.parametrize(
    ("status", "active"), [("queued", "stop"), ("in_progress", "stop"), ("succeeded", "start"), (None, "start")]
)
def test_which_action_is_active(status: str | None, active: str) -> None:
    one = operation(Action.STOP, status=status) if status else None
    made = Draft(sandbox(), now=NOW, limits=LIMITS, operation=one, active="start")
    assert made.active == active


def test_the_calls_of_this_operation() -> None:
    own, other = call("stop"), call("start", operation_id=OTHER)
    assert Draft(sandbox(), now=NOW, limits=LIMITS, operation=operation(), calls=(other, own)).own_calls == (own,)
    assert Draft(sandbox(), now=NOW, limits=LIMITS, calls=(other, own)).own_calls == ()


def test_one_call_is_replaced_and_the_others_stay() -> None:
    one, two = call("stop"), call("start")
    made = Draft(sandbox(), now=NOW, limits=LIMITS, calls=(one, two))
    made.set_call(two, replace(two, times=2))
    assert made.calls == (one, replace(two, times=2))


def test_a_notice_is_an_effect() -> None:
    made = draft()
    made.tell(NoticeCode.ORG_SUSPENDED, "why")
    assert made.effects == [OpenNotice(NoticeCode.ORG_SUSPENDED, "why")]


# --- what is wanted


@pytest.mark.parametrize(("reason", "text"), [("", "Wanted archived"), ("dear", "Wanted archived: dear")])
def test_another_wish_is_told(reason: str, text: str) -> None:
    made = draft(operation())
    before = made.intent_setting()
    made.set_intent(Intent.ARCHIVED, actor=Actor.staff("bob"), reason=reason)
    after = IntentSetting(intent="archived", actor_kind="staff", actor_id="bob", reason=reason, at=NOW, met_at=None)
    assert made.intent_setting() == after
    assert made.effects[0] == ChangeIntent(before=before, setting=after)
    assert events(made) == [("intent", text, {}, "staff:bob", False)]


def test_the_same_wish_is_renewed_in_silence() -> None:
    made = draft()
    made.set_intent(Intent.STOPPED, actor=Actor.owner("bob"), reason="x" * 600)
    assert (made.sandbox.intent_actor_id, made.sandbox.intent_reason) == ("bob", "x" * 500)
    assert events(made) == []


def test_a_wish_is_taken_back() -> None:
    made = draft(operation(previous_intent=BEFORE))
    wanted = made.intent_setting()
    made.revert_intent()
    assert made.intent_setting() == BEFORE
    assert made.effects[0] == ChangeIntent(before=wanted, setting=BEFORE)
    assert events(made) == [("intent", "Wanted running again", {}, "", True)]


@pytest.mark.parametrize(
    "one",
    [operation(), operation(Action.START, previous_intent=BEFORE), operation(Action.SYNC, previous_intent=BEFORE)],
)
def test_what_it_did_not_bring_is_not_taken_back(one: OperationFacts) -> None:
    made = draft(one)
    made.revert_intent()
    assert made.effects == []


# --- the end of an operation


@pytest.mark.parametrize(
    ("action", "status", "code", "message", "text", "data"),
    [
        ("stop", "succeeded", None, "", "Stop succeeded", {}),
        ("stop", "cancelled", None, "", "Stop cancelled", {}),
        ("stop", "failed", Code.TIMEOUT, "why", "Stop failed: timeout", {"message": "why"}),
        ("sync", "failed", Code.TIMEOUT, "", "Sync failed: timeout", {}),
    ],
)
def test_how_an_operation_ends_is_told(
    action: str, status: str, code: Code | None, message: str, text: str, data: dict[str, str]
) -> None:
    made = draft(operation(action))
    made.close_operation(OperationStatus(status), code=code, message=message)
    one = made.attempted
    assert (one.status, one.code, one.message) == (status, code or "", message)
    assert (one.step, one.due_at, one.finished_at) == ("", None, NOW)
    assert events(made) == [("operation", text, {"status": status, "code": code or "", **data}, "", True)]


@pytest.mark.parametrize("status", [OperationStatus.SUCCEEDED, OperationStatus.CANCELLED])
def test_a_look_that_ends_well_has_told_of_it_already(status: OperationStatus) -> None:
    made = draft(operation(Action.SYNC))
    made.close_operation(status)
    assert made.effects == []


def test_room_is_given_back_once() -> None:
    made = draft(operation(search=SEARCH))
    made.release_room()
    made.release_room()
    assert made.effects == [ReleaseRoom(SEARCH)]
    assert made.attempted.search == replace(SEARCH, lease="")


@pytest.mark.parametrize("one", [None, operation(), operation(search=replace(SEARCH, lease=""))])
def test_without_the_right_to_search_nothing_is_given_back(one: OperationFacts | None) -> None:
    made = draft(one)
    made.release_room()
    assert made.effects == []
