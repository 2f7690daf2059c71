"""Guards of what is made of what Daytona shows: use, causes, labels, an auto-delete of 0."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

OBSERVATION = "sandboxes/core/observation.py"
CAUSES = "sandboxes/core/observed_causes.py"
EXAMINE = "sandboxes/services/reconcile/examine.py"
SEEN = "tests/services/lifecycle/test_seen_causes.py"
LABELS = "tests/services/reconcile/test_labels.py"

RECOVER = "tests/emulator/test_recover.py"

BREAKAGES = [
    Breakage(
        "a roll-up that erases hours whose events were pruned",
        "sandboxes/services/usage_roll_up.py",
        "return max(kept_from, hour_of(first)) if first else kept_from",
        "return kept_from",
        "tests/services/test_usage_roll_up.py::"
        "test_hours_that_no_event_is_left_of_stay_where_the_retention_was_made_longer",
    ),
    Breakage(
        "a quota that is forgotten before the time that is looked at",
        "sandboxes/services/usage_history.py",
        " | Q(hour__in=set(known.values()))",
        "",
        "tests/admin/test_usage.py::test_the_quota_as_last_known_is_a_line_with_a_step_where_it_changed",
    ),
    Breakage(
        "an emulator that recovers for ever",
        "emulator/daytona/lifecycle.py",
        "if row.recoveries >= self.core.settings.recoveries:",
        "if False:",
        f"{RECOVER}::test_storage_is_expanded_twice_and_then_never_again",
    ),
    Breakage(
        "an emulator whose stops are no activity",
        "emulator/daytona/world.py",
        "row.last_activity_at = row.updated_at",
        "pass",
        "tests/emulator/test_times.py::test_a_stop_counts_as_activity",
    ),
    Breakage(
        "a stop counted as use",
        OBSERVATION,
        "runs = remote.state in STATES and STATES[remote.state].status == Status.RUNNING",
        "runs = True",
        f"{SEEN}::test_a_stop_is_no_use",
    ),
    Breakage(
        "use in the future",
        OBSERVATION,
        "return min(remote.last_activity_at, started)",
        "return remote.last_activity_at",
        f"{SEEN}::test_a_clock_ahead_of_ours_shows_no_use_to_come",
    ),
    Breakage(
        "any stop taken for Daytona's own",
        CAUSES,
        "return EARLIEST <= late <= LATEST",
        "return True",
        f"{SEEN}::test_a_stop_by_somebody_in_daytona",
    ),
    Breakage(
        "what an operation finds taken for its work",
        CAUSES,
        "if operation is not None and operation.action != Action.SYNC and draft.own_calls:",
        "if operation is not None:",
        f"{SEEN}::test_what_a_new_operation_finds_is_not_its_own",
    ),
    Breakage(
        "what a superseded call brought about taken for somebody else's",
        CAUSES,
        "if _is_of_our_call(draft, remote, started=started):",
        "if False:",
        f"{SEEN}::test_a_call_that_its_successor_sees_the_end_of_is_ours",
    ),
    Breakage(
        "wiped labels left",
        EXAMINE,
        "if asked.lost_labels(row) and not run.options.dry_run:",
        "if False:",
        f"{LABELS}::test_our_labels_are_put_back_by_a_sweep",
    ),
    Breakage(
        "a dry run that puts labels back",
        EXAMINE,
        "if asked.lost_labels(row) and not run.options.dry_run:",
        "if asked.lost_labels(row):",
        f"{LABELS}::test_a_dry_run_tells_nothing",
    ),
    Breakage(
        "a new name as the only label",
        "sandboxes/core/without_operation.py",
        "if any(key not in INTERVALS and not one.told_at for key, one in after.items()):",
        "if False:",
        f"{LABELS}::test_a_rename_brings_all_of_them",
    ),
    Breakage(
        "an auto-delete of 0 taken for none",
        "sandboxes/core/shown.py",
        "row.auto_delete >= 0",
        "row.auto_delete > 0",
        "tests/services/projection/test_values.py::test_what_was_to_end_is_not_shown_any_more",
    ),
    Breakage(
        "202 with what has succeeded",
        "sandboxes/api/views/actions.py",
        "return self.accepted(again)",
        "return self.accepted(ended)",
        "tests/api/test_ensure_running.py::test_a_look_that_ends_with_the_wait_is_answered_by_what_it_showed",
    ),
]
