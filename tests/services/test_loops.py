from __future__ import annotations

from sandboxes.services.loops import RESTART_MAX, pause_after


def test_the_pause_after_failures_grows_and_has_an_end() -> None:
    pauses = [pause_after(failures) for failures in range(1, 10)]
    assert pauses == sorted(pauses)
    assert 0 < pauses[0] < pauses[-1] == RESTART_MAX


def test_a_database_may_be_away_for_days() -> None:
    assert pause_after(10**6) == RESTART_MAX
