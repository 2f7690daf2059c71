"""Guards of what is asked: who may ask, what an earlier request keeps, and when something is tried again."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

LIFECYCLE = "sandboxes/services/lifecycle"
TESTS = "tests/services/lifecycle"
CORE = "tests/core"

BREAKAGES = [
    Breakage(
        "all that were refused together back together",
        "sandboxes/core/decide.py",
        "longest=LONGEST_PAUSE, factor=1.5, jitter=facts.jitter",
        "longest=LONGEST_PAUSE, factor=1.5, jitter=1.0",
        f"{CORE}/test_backoff.py::test_two_that_were_refused_together_do_not_come_back_together",
    ),
    Breakage(
        "the same jitter for everybody",
        "sandboxes/services/decisions.py",
        "jitter=random.random()",
        "jitter=0.5",
        f"{TESTS}/test_waits.py::test_no_two_decisions_draw_the_same_jitter",
    ),
    Breakage(
        "a key free while its request still waits",
        "sandboxes/services/idempotency.py",
        "ABANDONED = timedelta(minutes=2)",
        "ABANDONED = timedelta(seconds=20)",
        "tests/api/test_idempotency.py::test_a_request_that_still_waits_keeps_its_key",
    ),
    Breakage(
        "what was asked for while Daytona was told dropped",
        f"{LIFECYCLE}/tell.py",
        "    changes = pending.from_data(row.pending_changes)\n    for key, outcome in",
        "    changes = dict(due)\n    for key, outcome in",
        f"{TESTS}/test_read_back.py::test_what_is_asked_for_while_daytona_is_told_is_told_next",
    ),
    Breakage(
        "another value asked for meanwhile taken for told",
        f"{LIFECYCLE}/tell.py",
        "elif now_wanted is not None and now_wanted.value == outcome.value:",
        "elif now_wanted is not None:",
        f"{TESTS}/test_read_back.py::test_what_is_asked_for_while_daytona_is_told_is_told_next",
    ),
    Breakage(
        "force lost when a stop is joined",
        f"{LIFECYCLE}/request.py",
        "    active.parameters = said.joined_by(asked.parameters).as_data()\n",
        "",
        f"{TESTS}/test_request.py::test_a_stop_is_forced_if_anybody_who_asked_for_it_said_so",
    ),
    Breakage(
        "force taken back by who joins without it",
        f"{LIFECYCLE}/request.py",
        "active.parameters = said.joined_by(asked.parameters).as_data()",
        "active.parameters = asked.parameters.as_data()",
        f"{TESTS}/test_request.py::test_a_stop_is_forced_if_anybody_who_asked_for_it_said_so",
    ),
    Breakage(
        "a recover accepted on hold",
        "sandboxes/core/gate.py",
        "if action in STARTING and on_hold:",
        "if action == Action.START and on_hold:",
        f"{CORE}/test_gate.py::test_nothing_that_starts_it_is_accepted_for_an_owner_on_hold",
    ),
    Breakage(
        "a hold that leaves what is starting",
        "sandboxes/models/scope.py",
        "at_rest = (Status.GONE, ",
        "at_rest = (Status.STARTING, Status.GONE, ",
        f"{TESTS}/test_hold.py::test_a_hold_stops_what_is_starting",
    ),
    Breakage(
        "a call without an answer waited for as for an accepted one",
        "sandboxes/core/observation.py",
        "(1.0 if call.outcome in CERTAIN else 0.5)",
        "1.0",
        f"{CORE}/test_observation.py::test_whether_a_call_is_awaited",
    ),
    Breakage(
        "the lease kept after a superseded attempt",
        f"{LIFECYCLE}/turns.py",
        "    if wait is None:\n        sandbox_store.clear_lease(row)",
        "    if wait is None and others is None:\n        sandbox_store.clear_lease(row)",
        f"{TESTS}/test_lease.py::test_an_attempt_that_is_superseded_gives_its_lease_back",
    ),
]
