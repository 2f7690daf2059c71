"""Guards of what Convex is told, and of leases."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

PROJECTION = "sandboxes/services/projection"
SERVICES = "tests/services"
TESTS = f"{SERVICES}/projection"

BREAKAGES = [
    Breakage(
        "push marking a later generation",
        f"{PROJECTION}/push_result.py",
        "report.changed = row.wanted_generation != report.row.wanted_generation",
        "report.changed = False",
        f"{TESTS}/test_one_at_a_time.py::test_a_change_during_a_push_leaves_the_row_behind_and_due",
    ),
    Breakage(
        "a person's push again lost",
        f"{PROJECTION}/push_result.py",
        'if "again" in row.sent and "again" not in report.row.sent:',
        "if False:",
        f"{TESTS}/test_one_at_a_time.py::test_a_push_requested_while_another_is_under_way_puts_the_row_back",
    ),
    Breakage(
        "a change that Convex is not told of",
        "sandboxes/services/sandbox_store.py",
        "_project([row] if _shows_other(row, before) else [])",
        "_project([])",
        f"{TESTS}/test_make_due.py::test_a_change_that_convex_shows_makes_it_due",
    ),
    Breakage(
        "a change of many that Convex is not told of",
        "sandboxes/services/sandbox_store.py",
        "_project([row for row in found if _shows_other(row, before[row.pk])])",
        "_project([])",
        f"{TESTS}/test_make_due.py::test_many_that_change_together_are_due_together",
    ),
    Breakage(
        "a generation not above Convex's",
        "sandboxes/models/projection.py",
        'Greatest(F("wanted_generation"), above) + 1 if above else F("wanted_generation") + 1',
        'F("wanted_generation") + 1',
        f"{TESTS}/test_make_due.py::test_a_generation_goes_above_what_convex_has_and_never_down",
    ),
    Breakage(
        "behind since the latest change",
        "sandboxes/models/projection.py",
        'behind_since=Coalesce("behind_since", now)',
        "behind_since=now",
        f"{TESTS}/test_make_due.py"
        "::test_it_is_due_at_once_under_a_new_generation_and_behind_since_the_first_change",
    ),
    Breakage(
        "behind and never due",
        "sandboxes/models/projection.py",
        "Q(behind_since__isnull=False, due_at__isnull=False, pushed",
        "Q(behind_since__isnull=False, pushed",
        f"{TESTS}/test_make_due.py::test_the_database_refuses_a_row_that_contradicts_itself",
    ),
    Breakage(
        "a living sandbox withdrawn",
        "sandboxes/models/projection.py",
        "self.filter(sandbox__status=Status.GONE, withdrawn=False)",
        "self.filter(withdrawn=False)",
        f"{TESTS}/test_make_due.py::test_only_what_is_gone_is_withdrawn_and_once_is_enough",
    ),
    Breakage(
        "a withdrawal that outlives its reason",
        "sandboxes/core/shown.py",
        "projection.withdrawn and projection.sandbox.status == Status.GONE",
        "projection.withdrawn",
        f"{TESTS}/test_values.py::test_what_was_withdrawn_is_off_the_list_for_as_long_as_it_is_gone",
    ),
    Breakage(
        "shown before Daytona has it",
        "sandboxes/core/shown.py",
        "if row.daytona_id is None:",
        "if False:",
        f"{TESTS}/test_values.py::test_before_daytona_has_it_there_is_nothing_to_show",
    ),
    Breakage(
        "a lease taken from its holder",
        "sandboxes/models/lease.py",
        "return token if self.free().update(",
        "return token if self.update(",
        f"{SERVICES}/test_leases.py::test_one_holds_it_at_a_time",
    ),
    Breakage(
        "a write of one whose lease was taken over",
        "sandboxes/models/lease.py",
        "return self.filter(lease_token=token)",
        "return self.all()",
        f"{SERVICES}/test_leases.py"
        "::test_a_lease_that_ran_out_is_anybodys_and_its_holder_can_neither_keep_nor_give_it_back",
    ),
    Breakage(
        "daily work done by everybody",
        "sandboxes/services/schedules.py",
        "if due.update(due_at=following) != 1:",
        "if due.update(due_at=following) > 1:",
        f"{SERVICES}/test_leases.py::test_work_is_done_once_in_so_many_seconds",
    ),
    Breakage(
        "another's turn undone",
        "sandboxes/services/schedules.py",
        "Schedule.objects.filter(name=name, due_at=following)",
        "Schedule.objects.filter(name=name)",
        f"{SERVICES}/test_leases.py::test_who_is_slower_than_the_schedule_does_not_undo_anothers_turn",
    ),
    Breakage(
        "a foreign row overwritten",
        f"{PROJECTION}/application_rows.py",
        "if owner not in (None, row.owner_id):",
        "if False:",
        f"{TESTS}/test_what_people_wrote.py::test_a_row_of_another_owner_is_never_written_until_it_is_corrected",
    ),
    Breakage(
        "a removed row put back",
        "sandboxes/core/shown.py",
        'return Absent.LEAVE if projection.removed or "row" in known else Absent.CREATE',
        "return Absent.CREATE",
        f"{TESTS}/test_what_people_wrote.py::test_a_row_that_its_user_removed_is_left_and_that_is_said_once",
    ),
    Breakage(
        "anybody's harness linked",
        f"{PROJECTION}/creating.py",
        "if not is_owners:",
        "if False:",
        f"{TESTS}/test_what_people_wrote.py::test_another_owners_harness_is_not_linked_and_the_timeline_says_so",
    ),
    Breakage(
        "an unknown name taken for equal",
        "sandboxes/core/shown.py",
        "return None if known.get(what) == value else value",
        "return None if known.get(what, value) == value else value",
        f"{TESTS}/test_what_people_wrote.py::test_a_rename_whose_pusher_was_killed_is_not_lost",
    ),
]
