"""Guards of lifecycle policies: when a rule acts, and who may say one."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

RULES = "sandboxes/core/policies.py"
OF_RULES, SERVICES, API = (
    "tests/core/test_policies.py",
    "tests/services/test_policies.py",
    "tests/api/test_policies.py",
)
SIMULATION = "tests/simulation/test_simulation.py::test_every_promise_is_kept_through_faults_and_after_them"

BREAKAGES = [
    Breakage(
        "a rule that counts from before a wish",
        RULES,
        "(since, row.intent_at, row.policies_from)",
        "(since, row.policies_from)",
        f"{OF_RULES}::test_no_rule_counts_from_before_a_wish_or_from_before_policies_do",
    ),
    Breakage(
        "a rule that acts without a word before",
        RULES,
        "return at if at is not None and at >= due.at else None",
        "return due.at",
        SIMULATION,
    ),
    Breakage(
        "an announcement that outlives a use",
        RULES,
        "if at is not None and at >= due.at else None",
        "if at is not None else None",
        f"{OF_RULES}::test_a_use_after_the_announcement_takes_it_back",
    ),
    Breakage(
        "a stop that is called for though it was used since",
        "sandboxes/core/next_step.py",
        "operation.source == Source.POLICY and is_withdrawn(draft, facts)",
        "operation.source == Source.POLICY and False",
        f"{OF_RULES}::test_a_stop_is_judged_again_by_the_fetch_just_before_its_call",
    ),
    Breakage(
        "a rule that deletes what an owner on hold cannot save",
        RULES,
        "(on_hold and action == Action.DELETE)",
        "False",
        f"{OF_RULES}::test_nothing_of_an_owner_on_hold_is_deleted",
    ),
    Breakage(
        "a delete that Daytona was not asked about",
        RULES,
        "elif due.action == Action.DELETE and not _is_seen(row, now):",
        "elif False:",
        f"{OF_RULES}::test_before_a_delete_daytona_is_asked",
    ),
    Breakage(
        "a preview of what comes after a delete",
        RULES,
        "one.action in (due.action, Action.DELETE)",
        "one.action == due.action",
        f"{OF_RULES}::test_of_each_action_the_first_rule_is_told_and_nothing_after_a_delete",
    ),
    Breakage(
        "an end user who says a rule",
        RULES,
        "if actor.kind == ActorKind.OWNER:",
        "if False:",
        f"{API}::test_an_end_user_reads_and_sets_nothing",
    ),
    Breakage(
        "a key of one owner's that says a rule for all",
        RULES,
        "if actor.only_owner is not None and scope in",
        "if scope not in",
        f"{API}::test_who_acts_for_one_owner_sees_and_sets_theirs_alone",
    ),
    Breakage(
        "another owner's policy",
        "sandboxes/services/policies/setting.py",
        "exists = actor.may_see(subject) and ",
        "exists = ",
        f"{API}::test_who_acts_for_one_owner_sees_and_sets_theirs_alone",
    ),
    Breakage(
        "a policy that nobody judges by",
        "sandboxes/services/policies/setting.py",
        "row.told_up_to, row.changed_by, row.changed_at = FROM_THE_FIRST,",
        "row.told_up_to, row.changed_by, row.changed_at = None,",
        f"{SERVICES}::test_all_sandboxes_are_told_step_by_step",
    ),
]
