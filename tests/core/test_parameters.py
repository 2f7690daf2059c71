"""What may be said with an action: how it is stored, joined, sent, and seen to be so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from sandboxes.core.actions import ACTIONS, parameters_of
from sandboxes.core.decide import decide
from sandboxes.core.parameters import Parameters, whole_number
from sandboxes.core.plan import Call, Done
from sandboxes.core.vocabulary import Action
from tests.core.building import facts, fetched, operation, sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized(Parameters):
    cpu: int | None = whole_number("Cores", least=1, most=8)
    disk_gb: int | None = whole_number("Disk", least=3, default=10)


def test_what_is_as_by_default_is_not_stored() -> None:
    assert Parameters().as_data() == {}
    assert Sized(disk_gb=10).as_data() == {}
    assert Sized(force=True, cpu=4).as_data() == {"force": True, "cpu": 4}


def test_what_was_stored_is_read_without_what_the_action_does_not_take() -> None:
    assert Sized.from_data({"force": True, "cpu": 4, "gone": 1}) == Sized(force=True, cpu=4)
    assert parameters_of("stop", {"force": True}) == Parameters(force=True)
    assert parameters_of("stop", {}) == ACTIONS[Action.STOP].parameters()


def test_the_call_is_sent_with_its_own_alone() -> None:
    assert Sized(force=True, cpu=4).own() == {"cpu": 4}
    assert Parameters(force=True).own() == {}


@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (True, True), (False, False)])
def test_whoever_joins_agrees_beside_the_others(first: bool, second: bool) -> None:
    joined = Sized(force=first, cpu=4).joined_by(Parameters(force=second))
    assert joined == Sized(force=first or second, cpu=4)


def test_they_are_described_for_bodies_and_forms() -> None:
    described = Sized.described()
    assert list(described) == ["force", "cpu", "disk_gb"]
    assert (described["cpu"].kind, described["cpu"].least, described["cpu"].most) == (int, 1, 8)
    assert [one.example for one in described.values()] == [False, 1, 3]


@pytest.mark.parametrize(("said", "expected"), [({"cpu": 4}, Call("start")), ({"cpu": 1}, Done())])
def test_what_the_sandbox_shows_already_is_not_called_for(said: dict[str, Any], expected: object) -> None:
    asked = operation("start", parameters=Sized(**said))
    assert decide(facts(fetched("stopped"), of=sandbox("stopped", cpu=1), operation=asked)).step == expected


def test_all_that_was_asked_for_has_to_be_shown() -> None:
    assert Sized(cpu=1, disk_gb=5).are_shown_by(sandbox(cpu=1, disk_gb=5))
    assert not Sized(cpu=4, disk_gb=5).are_shown_by(sandbox(cpu=1, disk_gb=5))
    assert not Sized(cpu=4, disk_gb=5).are_shown_by(sandbox(cpu=4, disk_gb=3))


def test_without_any_of_its_own_nothing_is_shown_already() -> None:
    assert not Parameters(force=True).are_shown_by(sandbox(cpu=1))
