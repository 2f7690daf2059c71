"""The phases of the search for room, and its form in the row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sandboxes.core import quota
from sandboxes.core.quota import Phase, QuotaSearch
from sandboxes.core.resources import Resource
from tests.core.building import NOW, at


def search(phase: Phase = Phase.RETRY, **fields: Any) -> QuotaSearch:
    return QuotaSearch(phase=phase, **({"lease": "token"} | fields))


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 0.2), (0.5, 0.5), (1.0, 0.8)])
def test_it_begins_with_a_short_random_pause(jitter: float, seconds: float) -> None:
    found = quota.begin("No room\nfor it", now=NOW, jitter=jitter)
    assert (found.phase, found.message, found.lease) == (Phase.RETRY, "No room", "")
    assert found.not_before is not None
    assert (found.not_before - NOW).total_seconds() == pytest.approx(seconds)
    assert quota.begin("", now=NOW, jitter=0).message == ""


@pytest.mark.parametrize(
    ("found", "forbidden"),
    [
        (search(lease="", not_before=at(-1)), True),  # another has the right to search
        (search(), False),
        (search(not_before=at(1)), True),
        (search(not_before=NOW), False),
        (search(Phase.CHOOSE), True),
        (search(Phase.VICTIM), True),
        (search(Phase.LEAVING), True),
        (search(Phase.FREED), False),
        (search(Phase.FREED, not_before=at(1)), False),
    ],
)
def test_when_the_call_has_to_wait(found: QuotaSearch, forbidden: bool) -> None:
    assert found.forbids_call(now=NOW) is forbidden


@pytest.mark.parametrize(
    ("found", "phase"),
    [
        (search(), Phase.CHOOSE),  # the random retry was in vain
        (search(until=at(1)), Phase.CHOOSE),
        (search(Phase.FREED, until=at(1)), Phase.FREED),  # the freed slot shows late: once more
        (search(Phase.FREED, until=NOW), Phase.CHOOSE),
        (search(Phase.FREED), Phase.CHOOSE),
    ],
)
def test_what_a_refusal_leads_to(found: QuotaSearch, phase: Phase) -> None:
    after = found.refused("Full\nup", now=NOW)
    assert (after.phase, after.message) == (phase, "Full")
    assert found.refused("", now=NOW).message == ""


def test_after_a_victim_the_call_is_tried_for_a_while() -> None:
    waiting = search(unanswered=("a",)).wait_for_victim("stop 1").wait_for_victim("stop 2")
    assert (waiting.phase, waiting.victims, waiting.unanswered) == (Phase.VICTIM, ("stop 1", "stop 2"), ())
    freed = waiting.victim_ended(cancelled=False, now=NOW)
    assert (freed.phase, freed.until, freed.victims) == (Phase.FREED, at(10), ("stop 1", "stop 2"))


def test_a_victim_that_a_person_took_back_does_not_count() -> None:
    waiting = search().wait_for_victim("stop 1").wait_for_victim("stop 2")
    after = waiting.victim_ended(cancelled=True, now=NOW)
    assert (after.phase, after.victims) == (Phase.CHOOSE, ("stop 1",))


def test_others_that_leave_are_awaited() -> None:
    found = search().wait_for_leaving(["a", "b"])
    assert (found.phase, found.leaving) == (Phase.LEAVING, ("a", "b"))


def test_who_gives_the_right_back_may_not_call() -> None:
    assert search().released() == search(lease="")


def test_its_form_in_the_row_is_read_again() -> None:
    full = QuotaSearch(
        phase=Phase.FREED, resource=Resource.DISK, message="Full", not_before=at(1), until=at(2),
        victims=("a",), leaving=("b",), unanswered=("c",), lease="token", lease_name="room:eu",
        exhausted="nothing", ranking=({"name": "d"},),
    )  # fmt: skip
    assert QuotaSearch.from_data(full.as_data()) == full
    assert QuotaSearch.from_data({"phase": "choose", "until": None}) == replace(QuotaSearch(), phase=Phase.CHOOSE)


def test_what_is_empty_is_not_stored() -> None:
    assert QuotaSearch().as_data() == {"phase": "retry", "resource": "compute"}
