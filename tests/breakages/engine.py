"""Guards of the engine: what is claimed, by whom it is written, and whose turn it is."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

TESTS = "tests/engine"

BREAKAGES = [
    Breakage(
        "a sandbox taken from the worker that holds it",
        "sandboxes/models/claiming.py",
        "AND (lease_until IS NULL OR lease_until < {now} OR lease_until > {void})",
        "AND ({now} IS NOT NULL OR {void} IS NOT NULL)",
        f"{TESTS}/test_turns.py::test_what_is_claimed_is_due_again_when_the_lease_ends",
    ),
    Breakage(
        "a decision written by a worker that lost its lease",
        "sandboxes/services/lifecycle/turns.py",
        "rows = [row for row in found if row.lease_token == by_id[row.pk][0].token]",
        "rows = list(found)",
        f"{TESTS}/test_turns.py::test_what_one_decides_whose_lease_was_taken_over_is_not_written",
    ),
    Breakage(
        "a hold that no decision reads",
        "sandboxes/models/reading.py",
        "owner.hold_since IS NOT NULL,",
        "owner.hold_since IS NULL AND owner.hold_since IS NOT NULL,",
        f"{TESTS}/test_reading.py::test_a_hold_is_its_owners",
    ),
    Breakage(
        "the last places taken by whoever has many",
        "sandboxes/engine/lanes.py",
        "enough = 1 if scarce else self.each",
        "enough = self.each",
        f"{TESTS}/test_picks.py::test_the_last_places_are_for_owners_who_have_none",
    ),
    Breakage(
        "an outage of the database taken for a fault of the row",
        "sandboxes/engine/batches.py",
        "if not await self._is_away():",
        "if not await self._is_away() or True:",
        f"{TESTS}/test_batches.py::test_while_the_database_is_away_it_is_asked_again_and_nothing_is_given_up",
    ),
    Breakage(
        "a call that was answered decided behind turns that have not begun",
        "sandboxes/engine/batches.py",
        "(self._first if first else self._others).add(owner, (asked, future))",
        "self._others.add(owner, (asked, future))",
        f"{TESTS}/test_batches.py::test_what_is_to_come_first_goes_before_the_rest",
    ),
    Breakage(
        "who has not begun waiting behind all that another was answered",
        "sandboxes/engine/batches.py",
        "self._first.take(self._size - self._size // SHARE_OF_OTHERS)",
        "self._first.take(self._size)",
        f"{TESTS}/test_batches.py::test_what_comes_first_leaves_a_part_of_each_batch_to_the_others",
    ),
    Breakage(
        "decisions made in the order in which they were asked for, whoever's they are",
        "sandboxes/engine/batches.py",
        "self._by_owner.setdefault(owner, deque())",
        'self._by_owner.setdefault("", deque())',
        f"{TESTS}/test_batches.py::test_owners_take_turns_so_that_nobody_waits_behind_the_hundreds_of_another",
    ),
    Breakage(
        "a window of calls given out twice",
        "sandboxes/services/call_budgets.py",
        "granted = max(0, min(most, row.limit - row.taken))",
        "granted = max(0, min(most, row.limit))",
        f"{TESTS}/test_budgets.py::test_a_window_is_given_out_once_and_a_new_one_begins_when_it_ends",
    ),
    Breakage(
        "a living worker's sandboxes freed",
        "sandboxes/engine/dead.py",
        "heartbeat.silent().filter(freed_at=None)",
        "WorkerHeartbeat.objects.filter(stopped_at=None, freed_at=None)",
        f"{TESTS}/test_dead.py::test_a_worker_that_gives_signs_of_life_keeps_what_it_has",
    ),
]
