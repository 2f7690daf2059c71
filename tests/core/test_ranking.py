from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from sandboxes.core.ranking import Candidate, for_owner, judge, rank, survives_a_stop, verdicts
from sandboxes.core.resources import Resource
from sandboxes.core.vocabulary import Intent, Status
from tests.core.building import NOW, at

if TYPE_CHECKING:
    from sandboxes.core.ranking import Verdict

IDLE = 600.0
RUNS = Candidate(
    sandbox_id=UUID(int=1), daytona_id="d-1", name="atlas", owner="alice", status=Status.RUNNING,
    intent=Intent.RUNNING, cpu=2, memory_gb=4, disk_gb=8, auto_delete=-1, protected_until=None,
    last_used_at=at(-IDLE), taken_by=at(-IDLE), busy=False,
)  # fmt: skip
RESTS = replace(RUNS, status=Status.STOPPED, intent=Intent.STOPPED)


def broken(candidate: Candidate, resource: Resource) -> tuple[str, ...]:
    found: Verdict = judge(candidate, resource, now=NOW, min_idle=IDLE)
    assert found.passes is (not found.broken)
    return found.broken


@pytest.mark.parametrize(("auto_delete", "expected"), [(-1, True), (0, False), (5, False), (None, False)])
def test_what_survives_a_stop(auto_delete: int | None, expected: bool) -> None:
    assert survives_a_stop(auto_delete) is expected


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({}, None),
        ({"status": Status.STARTING}, "running"),
        ({"intent": Intent.DELETED}, "running"),
        ({"auto_delete": 0}, "survives_a_stop"),
        ({"protected_until": at(1)}, "not_protected"),
        ({"protected_until": NOW}, None),
        ({"busy": True}, "no_operation"),
        ({"last_used_at": at(1 - IDLE)}, "idle"),
    ],
)
def test_who_makes_room_for_a_start(fields: dict[str, Any], rule: str | None) -> None:
    assert broken(replace(RUNS, **fields), Resource.COMPUTE) == ((rule,) if rule else ())


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({}, None),
        ({"status": Status.RUNNING}, "stopped"),
        ({"intent": Intent.DELETED}, "stopped"),
        ({"auto_delete": 60}, "is_to_stay"),
        ({"busy": True}, "no_operation"),
    ],
)
def test_who_makes_room_on_the_disk(fields: dict[str, Any], rule: str | None) -> None:
    assert broken(replace(RESTS, **fields), Resource.DISK) == ((rule,) if rule else ())


def test_ones_own_come_first_then_what_was_longest_unused_then_by_id() -> None:
    def one(number: int, owner: str, seconds: float) -> Candidate:
        return replace(RUNS, sandbox_id=UUID(int=number), owner=owner, taken_by=at(seconds))

    given = [one(1, "bob", -90), one(5, "alice", -10), one(2, "alice", -50), one(4, "bob", -10), one(3, "bob", -10)]
    found = rank(given, Resource.COMPUTE, now=NOW, min_idle=IDLE, first_owner="alice")
    assert [verdict.candidate.sandbox_id.int for verdict in found] == [2, 5, 1, 3, 4]
    assert all(verdict.passes for verdict in found)


def test_a_verdict_is_stored_with_what_people_judge_it_by() -> None:
    assert judge(replace(RUNS, busy=True), Resource.COMPUTE, now=NOW, min_idle=IDLE).as_data() == {
        "sandbox": str(UUID(int=1)), "name": "atlas", "owner": "alice", "status": "running", "cpu": 2,
        "memory_gb": 4, "disk_gb": 8, "last_used_at": at(-IDLE).isoformat(), "broken": ["no_operation"],
    }  # fmt: skip


def test_the_rules_that_were_checked_are_shown_and_what_only_the_stop_told_where_it_was_broken() -> None:
    assert verdicts(("idle", "readable"), Resource.COMPUTE) == [
        (True, "running"),
        (True, "survives a stop"),
        (True, "not protected"),
        (True, "no operation active"),
        (False, "used too recently"),
        (False, "Daytona did not answer"),
    ]
    assert [text for _, text in verdicts((), Resource.DISK)][:2] == ["stopped", "is to stay"]


def test_an_owner_reads_their_own_lines_and_of_others_how_many() -> None:
    mine, stopped, *others = [
        {"owner": "alice", "broken": ["idle"]},
        {"owner": "alice", "broken": []},
        {"owner": "bob", "broken": ["idle", "running"]},
        {"owner": "carl", "broken": ["idle"]},
        {"owner": "carl", "broken": []},
    ]
    assert for_owner([mine, stopped, *others], Resource.COMPUTE, "alice") == {
        "own": [mine, stopped],
        "others": {"idle": 2, "running": 1, "may_be_stopped": 1},
    }
