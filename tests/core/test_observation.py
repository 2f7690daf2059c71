"""What a fetch proves: of the sandbox, of calls that were made, of the intent; and when the next one is due."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandboxes.core.codes import NoticeCode
from sandboxes.core.draft import Draft
from sandboxes.core.facts import AddEvent, CallFacts, Fetched, OpenNotice, SandboxFacts
from sandboxes.core.observation import (
    apply_observation,
    may_have_ended,
    unacknowledged_call,
)
from sandboxes.core.vocabulary import CallOutcome
from tests.core.building import LIMITS, NOW, at, call, fetched, sandbox

if TYPE_CHECKING:
    from datetime import datetime

UNKNOWN, PENDING, REFUSED, FAILED = (
    CallOutcome.UNKNOWN, CallOutcome.PENDING, CallOutcome.REFUSED, CallOutcome.FAILED,
)  # fmt: skip


def draft(row: SandboxFacts, *calls: CallFacts, **fields: Any) -> Draft:
    return Draft(row, now=NOW, limits=LIMITS, calls=calls, **fields)


def observed(row: SandboxFacts, answer: Fetched, *calls: CallFacts, **fields: Any) -> Draft:
    made = draft(row, *calls, **fields)
    apply_observation(made, answer)
    return made


def texts(made: Draft) -> list[str]:
    return [one.text for one in made.effects if isinstance(one, AddEvent)]


# --- the observation


def test_what_daytona_holds_is_taken_over() -> None:
    answer = fetched(
        "error", desired_state="started", error_reason="broken", recoverable=True, auto_stop_interval=1,
        auto_archive_interval=2, auto_delete_interval=3, cpu=4, memory_gb=5, disk_gb=6, target="us",
        sandbox_class="vm", snapshot="s", labels={"a": "b"}, organization_id="other",
    )  # fmt: skip
    row = observed(sandbox(missing_since=at(-9)), answer).sandbox
    assert (row.observed_state, row.desired_state, row.error_reason) == ("error", "started", "broken")
    assert (row.recoverable, row.observed_at, row.missing_since) == (True, NOW, None)
    assert (row.observed_auto_stop, row.observed_auto_archive, row.observed_auto_delete) == (1, 2, 3)
    assert (row.cpu, row.memory_gb, row.disk_gb, row.target) == (4, 5, 6, "us")
    assert (row.sandbox_class, row.snapshot, row.labels, row.organization_id) == ("vm", "s", {"a": "b"}, "other")


def test_what_daytona_does_not_tell_stays() -> None:
    before = sandbox(ephemeral=True, snapshot="s")
    answer = fetched(
        cpu=None, memory_gb=None, disk_gb=None, target="", sandbox_class="", snapshot="", organization_id="",
        auto_delete_interval=None,
    )  # fmt: skip
    row = observed(before, answer).sandbox
    for name in ("cpu", "memory_gb", "disk_gb", "target", "sandbox_class", "snapshot", "organization_id"):
        assert getattr(row, name) == getattr(before, name)
    assert row.ephemeral
    assert row.daytona_id == "d-1"


def test_the_first_look_tells_the_id() -> None:
    assert observed(sandbox("", daytona_id=None, observed_at=None), fetched(id="d-2")).sandbox.daytona_id == "d-2"


@pytest.mark.parametrize(("minutes", "is_ephemeral"), [(0, True), (-1, False), (5, False)])
def test_an_auto_delete_of_0_makes_it_ephemeral(minutes: int, is_ephemeral: bool) -> None:
    assert observed(sandbox(), fetched(auto_delete_interval=minutes)).sandbox.ephemeral is is_ephemeral


@pytest.mark.parametrize("seconds", [-60, -61])
def test_an_older_look_changes_nothing(seconds: float) -> None:
    made = observed(sandbox("started"), fetched("stopped", started=at(seconds)))
    assert (made.sandbox, made.effects) == (sandbox("started"), [])


@pytest.mark.parametrize(
    ("state", "known", "told", "expected"),
    [
        ("started", at(-90), at(-30), at(-30)),
        ("started", at(-90), at(30), NOW),  # its clock is ahead of ours
        ("stopped", at(-90), at(-30), at(-90)),  # a change of state is no use
        ("stopped", None, at(-30), at(-30)),
        ("hibernating", at(-90), at(-30), at(-90)),
        ("started", at(-90), None, at(-90)),
    ],
)
def test_when_it_was_used(state: str, known: datetime | None, told: datetime | None, expected: datetime) -> None:
    row = observed(sandbox(last_activity_at=known), fetched(state, last_activity_at=told)).sandbox
    assert row.last_activity_at == expected


def test_a_change_of_state_is_told_with_its_cause() -> None:
    made = observed(sandbox("started"), fetched("stopped", error_reason="why"))
    told = made.effects[0]
    assert isinstance(told, AddEvent)
    assert told.text == "Daytona says stopped, not asked for here: why"
    assert told.data == {"before": "started", "desired": "stopped", "cause": "outside"}
    assert told.of_operation


@pytest.mark.parametrize("fields", [{"desired_state": "stopped"}, {"error_reason": "why"}])
def test_a_change_beside_the_state_is_told_too(fields: dict[str, Any]) -> None:
    assert len(texts(observed(sandbox("started"), fetched("started", **fields)))) == 1


def test_the_same_again_tells_nothing() -> None:
    assert texts(observed(sandbox("started", daytona_name="foreign"), fetched("started"))) == []


def test_the_first_state_has_no_cause_in_words() -> None:
    row = sandbox("", daytona_name="foreign", observed_at=None, desired_state="")
    assert texts(observed(row, fetched("started"))) == ["Daytona says started"]


def test_a_word_nobody_knows_is_told_to_staff() -> None:
    told = [one for one in observed(sandbox(), fetched("hibernating")).effects if isinstance(one, OpenNotice)]
    assert [one.code for one in told] == [NoticeCode.UNKNOWN_STATE]
    assert "hibernating" in told[0].text
    assert not [one for one in observed(sandbox(), fetched("stopped")).effects if isinstance(one, OpenNotice)]


def test_a_setting_that_daytona_has_come_to_hold_otherwise_is_told_once() -> None:
    row = sandbox("started", daytona_name="foreign", auto_stop_minutes=15)
    made = observed(row, fetched("started", auto_stop_interval=5))
    told = [one for one in made.effects if isinstance(one, AddEvent)]
    assert [(one.text, one.of_operation) for one in told] == [
        ("auto_stop_minutes is 5 in Daytona, 15 was asked for", False)
    ]
    again = fetched("started", started=at(1), auto_stop_interval=5)
    assert texts(observed(made.sandbox, again)) == []
    pending = replace(row, pending_changes={"auto_stop": {"value": 15}})
    assert texts(observed(pending, fetched("started", auto_stop_interval=5))) == []


# --- what is not found


def test_a_lone_404_is_noted_and_not_believed() -> None:
    made = observed(sandbox(), Fetched(NOW))
    assert (made.sandbox.missing_since, made.sandbox.deleted_at) == (NOW, None)
    told = made.effects[0]
    assert isinstance(told, AddEvent)
    assert not told.of_operation
    again = observed(made.sandbox, Fetched(at(5)))
    assert (again.sandbox.missing_since, again.effects) == (NOW, [])


@pytest.mark.parametrize(
    ("row", "calls", "is_gone"),
    [
        (sandbox(), (call("delete"),), True),
        (sandbox(), (call("delete", outcome=UNKNOWN),), False),
        (sandbox(), (call("delete", -9), call("stop", -5)), False),  # not the latest
        (sandbox(), (call("stop"),), False),
        (sandbox(desired_state="destroyed"), (), True),
        (sandbox(), (), False),
    ],
)
def test_the_first_404_is_believed_where_it_was_ending(
    row: SandboxFacts, calls: tuple[CallFacts, ...], is_gone: bool
) -> None:
    made = observed(row, Fetched(NOW), *calls)
    assert (made.sandbox.deleted_at is not None) is is_gone


def test_a_confirmed_404_is_the_end() -> None:
    made = observed(sandbox(), Fetched(NOW, confirmed=True))
    assert made.sandbox.deleted_at == NOW
    assert texts(made) == ["It no longer exists in Daytona"]


@pytest.mark.parametrize("row", [sandbox("", daytona_id=None, observed_at=None), sandbox(deleted_at=at(-9))])
def test_what_is_not_there_yet_or_no_more_is_not_missing(row: SandboxFacts) -> None:
    made = observed(row, Fetched(NOW, confirmed=True))
    assert (made.sandbox, made.effects) == (row, [])


def test_destroyed_is_the_end_too() -> None:
    assert observed(sandbox(), fetched("destroyed")).sandbox.deleted_at == NOW
    gone = sandbox(deleted_at=at(-9))
    assert observed(gone, fetched("destroyed")).sandbox.deleted_at == at(-9)


@pytest.mark.parametrize(("intent", "met"), [("deleted", None), ("running", at(-3000))])
def test_what_was_believed_gone_may_be_there(intent: str, met: datetime | None) -> None:
    deleted, stopped = call("delete", effect_seen_at=at(-4)), call("stop", -9, effect_seen_at=at(-8))
    made = observed(sandbox(deleted_at=at(-3), intent=intent), fetched("started"), stopped, deleted)
    assert (made.sandbox.deleted_at, made.sandbox.intent_met_at) == (None, met)
    returned = next(one for one in made.effects if isinstance(one, AddEvent) and one.kind == "returned")
    assert (returned.text, returned.of_operation) == ("It was believed gone and is there again", False)
    assert made.calls == (stopped, replace(deleted, effect_seen_at=None))  # its effect is waited for again


@pytest.mark.parametrize(("state", "status"), [("started", "running"), ("a word nobody knows", "creating")])
def test_what_returns_is_shown_at_once(state: str, status: str) -> None:
    row = sandbox(deleted_at=at(-3), status="gone", status_changed_at=at(-3))
    made = observed(row, fetched(state)).sandbox
    assert (made.status, made.status_changed_at) == (status, NOW)


def test_what_ends_is_shown_at_once() -> None:
    made = observed(sandbox(), fetched("destroyed")).sandbox
    assert (made.deleted_at, made.status, made.status_changed_at) == (NOW, "gone", NOW)


@pytest.mark.parametrize(
    ("row", "calls", "expected"),
    [
        (sandbox(), (), False),
        (sandbox(), (call("delete"),), True),
        (sandbox(), (call("delete", outcome=REFUSED),), False),
        (sandbox(), (call("stop"),), False),
        (sandbox(ephemeral=True), (call("stop"),), True),
        (sandbox(ephemeral=True), (call("delete"),), True),
        (sandbox(), (call("delete"), call("start")), False),
    ],
)
def test_whether_our_call_may_have_ended_it(
    row: SandboxFacts, calls: tuple[CallFacts, ...], expected: bool
) -> None:
    assert may_have_ended(row, calls) is expected


# --- calls whose effect is awaited


@pytest.mark.parametrize(
    ("state", "seconds", "made", "is_awaited"),
    [
        ("started", -20, call("stop", -5), True),  # the look is from before the call
        ("started", -5, call("stop", -5), True),
        ("stopping", -20, call("stop", -5), True),
        ("started", 0, call("stop", -5), True),  # from the cache
        ("stopping", -5, call("stop", -5), True),  # it began when the call did
        ("stopping", 0, call("stop", -5), False),
        ("started", 0, call("stop", -9.9), True),
        ("started", 0, call("stop", -10), False),  # the cache has ended
        ("started", 0, call("stop", -10, FAILED), False),
        ("started", 0, call("stop", -9, FAILED), True),
        ("started", 0, call("stop", -4.9, UNKNOWN), True),  # believed lost after half of that
        ("started", 0, call("stop", -5, UNKNOWN), False),
        ("started", 0, call("stop", -5, PENDING), False),
        ("started", 0, call("stop", -1, REFUSED), False),
        ("started", 0, call("stop", -1, effect_seen_at=at(-0.5)), False),
    ],
)
def test_whether_a_call_is_awaited(state: str, seconds: float, made: CallFacts, is_awaited: bool) -> None:
    found = draft(sandbox(state, observed_at=at(seconds)), made)
    assert (unacknowledged_call(found) is not None) is is_awaited


def test_of_several_the_latest_that_was_not_refused_is_awaited() -> None:
    one, two, three = call("start", -9), call("stop", -5), call("delete", -1, REFUSED)
    assert unacknowledged_call(draft(sandbox(observed_at=NOW), one, two, three)) == two


def test_what_is_ending_is_an_answer_to_any_call() -> None:
    row = sandbox("started", desired_state="destroyed", observed_at=at(-20))
    assert unacknowledged_call(draft(row, call("stop"))) is None


@pytest.mark.parametrize(("name", "is_awaited"), [("create", True), ("delete", False)])
def test_before_the_first_look_a_create_is_awaited(name: str, is_awaited: bool) -> None:
    made = draft(sandbox("", daytona_id=None, observed_at=None), call(name, -5))
    made.fetched_at = NOW
    assert (unacknowledged_call(made) is not None) is is_awaited
    made.fetched_at = None
    assert unacknowledged_call(made) is not None


@pytest.mark.parametrize(
    ("made", "state", "seen", "doubt"),
    [
        (call("stop", -9, UNKNOWN), "stopped", NOW, at(291)),  # its effect, or somebody else's
        (call("stop", -300, UNKNOWN, effect_seen_at=at(-8)), "stopped", at(-8), None),
        (call("stop", -9, UNKNOWN), "started", None, at(291)),
        (call("stop", -300, UNKNOWN), "started", None, None),  # it cannot run any more
        (call("stop", -299, UNKNOWN), "started", None, at(1)),
        (call("stop", -9, PENDING), "stopped", None, at(291)),  # it is out
        (call("stop", -300, PENDING), "started", None, None),  # or whoever made it died
        (call("stop", 0, UNKNOWN), "stopped", None, at(300)),  # the look began no later
        (call("stop", -9, UNKNOWN, effect_seen_at=at(-8)), "stopped", at(-8), at(291)),
        (call("stop", -9, REFUSED), "stopped", None, None),
    ],
)
def test_what_a_look_tells_of_a_call(
    made: CallFacts, state: str, seen: datetime | None, doubt: datetime | None
) -> None:
    after = observed(sandbox("started"), fetched(state), made).calls[0]
    assert (after.effect_seen_at, after.in_doubt_until) == (seen, doubt)


@pytest.mark.parametrize(
    ("later", "seen"),
    [
        (call("archive", -5), None),  # that may be the archive's doing, after its own stop
        (call("archive", -5, REFUSED), NOW),
        (call("start", -5), NOW),
        (call("archive", -20), NOW),  # an earlier one
    ],
)
def test_an_effect_that_a_later_call_explains_proves_nothing(later: CallFacts, seen: datetime | None) -> None:
    made = call("archive", -9, UNKNOWN)
    after = observed(sandbox("stopped"), fetched("archived"), made, replace(later, id=2)).calls[0]
    assert after.effect_seen_at == seen


def test_what_is_gone_is_the_effect_of_a_delete_alone() -> None:
    calls = (call("stop", -9, UNKNOWN), call("delete", -5, UNKNOWN))
    after = observed(sandbox("stopped"), Fetched(NOW, confirmed=True), *calls).calls
    assert [one.effect_seen_at for one in after] == [None, NOW]


def test_a_lone_404_ends_no_doubt() -> None:
    after = observed(sandbox("stopped"), Fetched(NOW), call("start", -300, UNKNOWN)).calls[0]
    assert after.in_doubt_until == NOW
    gone = observed(sandbox("stopped", deleted_at=at(-9)), Fetched(NOW), call("start", -300, UNKNOWN)).calls[0]
    assert gone.in_doubt_until is None
    missing = sandbox("stopped", missing_since=at(-9))
    assert observed(missing, Fetched(NOW), call("stop", -9, UNKNOWN)).calls[0].effect_seen_at is None


def test_the_latest_look_counts_even_if_it_found_nothing() -> None:
    assert observed(sandbox(), Fetched(at(5))).fetched_at == at(5)
    assert observed(sandbox(), Fetched(at(-90))).fetched_at == at(-60)
