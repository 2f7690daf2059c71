"""Guards of the pure decision: most breakages are found by the simulation, from its seeds."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

DECIDE = "sandboxes/core/decide.py"
NEXT_STEP = "sandboxes/core/next_step.py"
OBSERVATION = "sandboxes/core/observation.py"
SIMULATION = "tests/simulation/test_simulation.py::test_every_promise_is_kept_through_faults_and_after_them"

BREAKAGES = [
    Breakage(
        "doubts forgotten",
        OBSERVATION,
        "if not is_shown or doubt_against_intent(row, draft.calls) is not None:",
        "if not is_shown:",
        "tests/services/lifecycle/test_late_calls.py::test_a_stop_during_a_hung_start_ends_stopped",
    ),
    Breakage(
        "the effect of a call unseen",
        OBSERVATION,
        "if call is None or call.effect_seen_at is not None or",
        "if call is None or",
        "tests/core/test_observation.py::test_whether_a_call_is_awaited",
    ),
    Breakage(
        "a call whose worker died in doubt for ever",
        OBSERVATION,
        "    if call.outcome == CallOutcome.REFUSED:\n        return call\n",
        "    if call.outcome in (CallOutcome.REFUSED, CallOutcome.PENDING):\n        return call\n",
        SIMULATION,
    ),
    Breakage(
        "somebody else's start taken for the end of our own",
        OBSERVATION,
        "return replace(call, effect_seen_at=fetched.started) if is_shown else call",
        "return replace(call, effect_seen_at=fetched.started, in_doubt_until=None) if is_shown else call",
        "tests/simulation/test_late_start.py::test_a_start_that_runs_late_after_somebody_elses_is_stopped_again",
    ),
    Breakage(
        "a state from before the call taken for its answer",
        OBSERVATION,
        "return call if is_from_before and not is_late else None",
        "return None",
        SIMULATION,
    ),
    Breakage(
        "no credit to the deadline for not now",
        DECIDE,
        "    if not meaning.counts:\n        _credit(draft, _since_attempt(draft))\n",
        "",
        SIMULATION,
    ),
    Breakage(
        "a deadline that runs while nobody could look",
        DECIDE,
        "_credit(draft, max(elapsed - LONGEST_PAUSE, 0.0) if operation.deadline_runs else elapsed)",
        "pass",
        SIMULATION,
    ),
    Breakage(
        "a start for an owner on hold",
        NEXT_STEP,
        "if operation.action in STARTING and facts.on_hold:",
        "if False:",
        SIMULATION,
    ),
    Breakage(
        "what Daytona does not find believed gone at once",
        OBSERVATION,
        "elif fetched.confirmed or _was_ending(draft):",
        "elif True:",
        SIMULATION,
    ),
    Breakage(
        "recovered again and again",
        "sandboxes/core/plan.py",
        "return _ERRORED if step == _RECOVER and recovered else step",
        "return step",
        SIMULATION,
    ),
    Breakage(
        "an unmet stop left alone",
        "sandboxes/core/without_operation.py",
        "if draft.active is None and _is_to_be_kept(draft, facts):",
        "if False:",
        SIMULATION,
    ),
    Breakage(
        "an ephemeral one destroyed by a stop",
        NEXT_STEP,
        "if refused := destroys(draft.sandbox, operation.action, force=operation.parameters.force):",
        "if refused := None:",
        "tests/core/test_decide.py::test_what_may_not_be_called",
    ),
    Breakage(
        "no second try after a victim",
        "sandboxes/core/quota.py",
        "is_over = self.phase is Phase.RETRY or self.until is None or now >= self.until",
        "is_over = True",
        "tests/core/test_quota.py::test_what_a_refusal_leads_to",
    ),
    Breakage(
        "a follower shown at work before its call",
        OBSERVATION,
        "return draft.operation is not None and draft.operation.is_active and bool(draft.own_calls)",
        "return bool(draft.own_calls)",
        "tests/core/test_answers.py::test_the_answer_to_a_call_of_what_has_ended_is_kept",
    ),
    Breakage(
        "a backoff without jitter",
        "sandboxes/core/backoff.py",
        "return grown * (0.5 + jitter / 2)",
        "return grown",
        "tests/core/test_backoff.py::test_a_pause_grows_to_its_end_and_is_drawn_from_its_upper_half",
    ),
    Breakage(
        "a start that called an archive back called again",
        "sandboxes/core/states.py",
        'return self.desired_state not in ("", "archived")',
        "return False",
        "tests/core/test_plan.py::test_the_table",
    ),
]
