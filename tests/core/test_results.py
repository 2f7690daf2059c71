"""What each kind of answer does to an operation, in the design's own words."""

from __future__ import annotations

import pytest

from sandboxes.core.results import MEANINGS, ResultKind

# outcome, seconds until the next look, whether the deadline runs
TABLE = """
accepted           | accepted | 0   | counts
throttled          | refused  | 0.2 | not now
unauthorized       | refused  | 60  | not now
not_configured     | refused  | 60  | not now
suspended          | refused  | 30  | not now
no_runners         | refused  | 2   | not now
not_sent           | refused  | 1   | counts
busy               | refused  | 0.5 | counts
name_taken         | refused  | 0   | counts
compute_quota_full | refused  | 0.2 | counts
disk_quota_full    | refused  | 0.2 | counts
recover_cooldown   | refused  | 0   | counts
recover_exhausted  | refused  | 0   | counts
start_failed       | failed   | 0.2 | counts
wrong_state        | refused  | 0.2 | counts
rejected           | refused  | 0   | counts
no_answer          | unknown  | 0.5 | counts
nothing_said       | unknown  | 0.5 | not now
"""
CASES = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize(("kind", "outcome", "pause", "counts"), CASES)
def test_the_table(kind: str, outcome: str, pause: str, counts: str) -> None:
    meaning = MEANINGS[ResultKind(kind)]
    found = (meaning.outcome, meaning.pause, meaning.counts)
    assert found == (outcome, float(pause), counts == "counts")


def test_every_kind_has_a_meaning() -> None:
    assert [case[0] for case in CASES if case[0] not in list(ResultKind)] == []
    assert sorted(MEANINGS) == sorted(ResultKind) == sorted(case[0] for case in CASES)


def test_only_a_refusal_with_a_reason_is_confirmed_by_a_look() -> None:
    reasoned = {kind: meaning.may_be_stale for kind, meaning in MEANINGS.items() if meaning.is_rejection}
    assert reasoned == {ResultKind.WRONG_STATE: True, ResultKind.REJECTED: False}
    assert [kind for kind, meaning in MEANINGS.items() if meaning.may_be_stale] == [ResultKind.WRONG_STATE]
