"""One-line breakages of our own code: each must fail the test named beside it, in a copy of the tree."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.breakages.breakage import Breakage
from tests.breakages.core import BREAKAGES as CORE
from tests.breakages.engine import BREAKAGES as ENGINE
from tests.breakages.imports import BREAKAGES as IMPORTS
from tests.breakages.observations import BREAKAGES as OBSERVATIONS
from tests.breakages.policies import BREAKAGES as POLICIES
from tests.breakages.projection import BREAKAGES as PROJECTION
from tests.breakages.requests import BREAKAGES as REQUESTS
from tests.breakages.server import BREAKAGES as SERVER
from tests.breakages.webhooks import BREAKAGES as WEBHOOKS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
LIFECYCLE = "sandboxes/services/lifecycle"
SERVICES = "tests/services"
# Imported when they are first used, which a process that has run no test yet has not done.
LATE = ("daytona_api_client.api.sandbox_api", "daytona_api_client_async.api.sandbox_api", "socketio")
# Installed, and imported by the whole suite's process only.
UNNEEDED = ("_pytest", "anyio", "coverage", "execnet", "playwright", "pytest", "schemathesis", "xdist")

BREAKAGES = [
    *POLICIES,
    *REQUESTS,
    *SERVER,
    *IMPORTS,
    *OBSERVATIONS,
    *PROJECTION,
    *CORE,
    *ENGINE,
    *WEBHOOKS,
    Breakage(
        "no lease check",
        "sandboxes/services/sandbox_store.py",
        "one(rows if token is None else rows.held(token))",
        "one(rows)",
        f"{SERVICES}/lifecycle/test_lease.py::test_a_worker_whose_lease_was_taken_over_writes_nothing",
    ),
    Breakage(
        "a lone 404 believed",
        "sandboxes/core/observation.py",
        "elif fetched.confirmed or _was_ending(draft):",
        "elif True:",
        f"{SERVICES}/lifecycle/test_missing.py::test_a_lone_404_is_not_believed",
    ),
    Breakage(
        "an error kept at",
        "sandboxes/core/intents.py",
        "    if row.status == Status.ERROR:\n        return row.intent == Intent.DELETED",
        "    pass",
        "tests/core/test_intents.py::test_which_intents_are_pursued",
    ),
    Breakage(
        "a hold that names what is being deleted",
        "sandboxes/models/scope.py",
        "return self.exclude(intent=Intent.DELETED).exclude(status__in=at_rest)",
        "return self.exclude(status__in=at_rest)",
        "tests/admin/test_owners.py::test_a_hold_does_not_name_what_is_being_deleted",
    ),
    Breakage(
        "a verb's own obstacle unheeded",
        "sandboxes/admin/verbs.py",
        "    return verb.does.pointless(sandbox, active)",
        '    return ""',
        "tests/admin/test_actions.py::test_a_button_that_cannot_work_is_disabled_and_says_why",
    ),
    Breakage(
        "an ephemeral victim",
        "sandboxes/core/ranking.py",
        "return auto_delete is not None and auto_delete < 0",
        "return True",
        f"{SERVICES}/test_capacity.py::test_one_that_a_stop_would_destroy_or_doom_is_never_a_victim",
    ),
    Breakage(
        "eviction on 429",
        "sandboxes/core/results.py",
        'K.THROTTLED: Meaning(_REFUSED, "Daytona throttles; waiting", 0.2, counts=False),',
        'K.THROTTLED: Meaning(_REFUSED, "Daytona throttles; waiting", 0.2, lacks=Resource.COMPUTE),',
        f"{SERVICES}/test_capacity.py::test_throttling_stops_nobody",
    ),
    Breakage(
        "the gate before the intent",
        "sandboxes/services/intent.py",
        "    row = _read(sandbox_id, actor)\n    gate(row)\n",
        "    row = _read(sandbox_id, actor)\n",
        f"{SERVICES}/test_intent.py::test_an_owner_on_hold_is_refused_even_while_it_runs",
    ),
    Breakage(
        "the gate asked once only",
        f"{LIFECYCLE}/request.py",
        "if gate is not None:",
        "if False:",
        f"{SERVICES}/test_intent.py::test_a_stop_that_comes_after_the_gate_has_looked_still_closes_it",
    ),
    Breakage(
        "a start on hold",
        "sandboxes/core/next_step.py",
        "if operation.action in STARTING and facts.on_hold:",
        "if False:",
        f"{SERVICES}/lifecycle/test_hold.py::test_a_start_that_waited_for_daytona_does_not_start_it",
    ),
    Breakage(
        "a late call settled by the time alone",
        "sandboxes/core/observation.py",
        "is_told and call.in_doubt_until <= fetched.started:",
        "is_told:",
        f"{SERVICES}/lifecycle/test_late_calls.py::test_a_stop_during_a_hung_start_ends_stopped",
    ),
    Breakage(
        "labels replaced",
        f"{LIFECYCLE}/tell.py",
        "{**remote.labels, **labels}",
        "labels",
        f"{SERVICES}/lifecycle/test_change.py::test_a_label_of_somebody_else_survives_a_rename",
    ),
    Breakage(
        "HTTP 200 taken for success",
        "sandboxes/providers/convex/wire.py",
        'if body is not None and status == "success" and response.status_code == 200:',
        "if body is not None and response.status_code == 200:",
        "tests/providers/convex/test_envelope.py::test_only_an_envelope_is_success",
    ),
    Breakage(
        "parameters of the database's address dropped",
        "project/database.py",
        "return CONNECTION | given |",
        "return given | CONNECTION |",
        "tests/project/test_database.py::test_every_parameter_that_libpq_knows_is_kept",
    ),
    Breakage(
        "no word of a database without TLS",
        "sandboxes/checks.py",
        'elif may_be_plain(settings.DATABASES["default"]):',
        "elif False:",
        "tests/project/test_checks.py::test_a_deployment_is_told_of_a_database_reached_without_tls",
    ),
    Breakage(
        "owner unchecked",
        "sandboxes/models/scope.py",
        "return self if actor.only_owner is None else self.filter(owner_id=actor.only_owner)",
        "return self",
        f"{SERVICES}/lifecycle/test_request.py::test_for_a_foreign_owner_it_does_not_exist",
    ),
    Breakage(
        "delete superseded",
        "sandboxes/core/gate.py",
        "if row.intent == Intent.DELETED and action != Action.DELETE:",
        "if False:",
        f"{SERVICES}/lifecycle/test_request.py::test_nothing_supersedes_a_delete",
    ),
    Breakage(
        "a stranger of our name adopted",
        "sandboxes/services/fetching.py",
        'if target.daytona_id is None and remote.labels.get("sandkeeper_id") != str(target.sandbox_id):',
        "if False:",
        f"{SERVICES}/lifecycle/test_create.py::test_a_name_that_somebody_else_has_is_not_adopted",
    ),
    Breakage(
        "a number of the feed given twice",
        "sandboxes/services/feed.py",
        "cursor.execute(_NUMBER, [feed.last, BATCH])",
        'cursor.execute(_NUMBER, [SandboxEvent.objects.aggregate(last=Max("seq"))["last"] or 0, BATCH])',
        f"{SERVICES}/test_feed.py::test_a_number_is_never_given_twice_even_if_the_newest_events_are_deleted",
    ),
    Breakage(
        "events deleted during the look passed over",
        "sandboxes/services/feed.py",
        "if start < expired:",
        "if False:",
        "tests/api/test_feed.py::test_what_is_deleted_during_the_look_is_not_passed_over",
    ),
    Breakage(
        "another owner's events",
        "sandboxes/services/feed.py",
        "return SandboxEvent.objects.all() if owner is None else SandboxEvent.objects.filter(owner=owner)",
        "return SandboxEvent.objects.all()",
        "tests/api/test_feed.py::test_who_sees_whose",
    ),
    Breakage(
        "If-Match unheeded",
        "sandboxes/api/views/base.py",
        'conditions.check_match(header, self._sandbox(row)["etag"])',
        "pass",
        "tests/api/test_conditions.py::test_what_has_changed_meanwhile_is_left_alone",
    ),
    Breakage(
        "a bulk counted as one request",
        "sandboxes/api/views/actions.py",
        "self.count_more(len(lookup.distinct(ids)) - 1)",
        "self.count_more(0)",
        "tests/hostile/test_work_is_bounded.py::test_each_id_counts_in_the_rate_limit",
    ),
    Breakage(
        "any number of bulks at once",
        "sandboxes/services/concurrency.py",
        "    raise Refused(Code.TOO_MANY_BULK_REQUESTS, retry_after=RETRY_AFTER)",
        '    return leases.HeldLease("", "")',
        "tests/hostile/test_work_is_bounded.py::test_two_bulks_of_a_caller_run_at_once_and_no_third",
    ),
    Breakage(
        "operations without a budget",
        "sandboxes/services/operation_budget.py",
        "if not limit or actor.kind in UNLIMITED or action == Action.DELETE:",
        "if True:",
        "tests/hostile/test_work_is_bounded.py::test_an_owner_has_so_many_operations_an_hour",
    ),
    Breakage(
        "a parameter given twice",
        "sandboxes/api/views/strict.py",
        "        _refuse_repeated(request, self.repeatable)\n",
        "",
        "tests/hostile/test_strictness.py::test_filters_of_several_values_take_several",
    ),
    Breakage(
        "a compressed body",
        "sandboxes/api/views/strict.py",
        "        _refuse_encoded(request)\n",
        "",
        "tests/hostile/test_strictness.py::test_an_encoded_body_is_not_read[gzip]",
    ),
    Breakage(
        "staff for one owner seeing all",
        "sandboxes/api/principals.py",
        "Actor.staff(username, on_behalf_of=owner)",
        "Actor.staff(username)",
        "tests/hostile/test_strictness.py::test_staff_who_name_an_owner_see_that_one_alone",
    ),
    Breakage(
        "no identity taken for no rows",
        "sandboxes/providers/convex/as_owner.py",
        "if not rows and self._counted(owner_id):",
        "if False:",
        "tests/providers/convex/test_as_owner.py::test_nothing_is_not_believed_where_rows_can_be_counted",
    ),
    Breakage(
        "acting refused, and everything left alone",
        "sandboxes/providers/convex/deployment.py",
        "            self._may_not_act = (clock.monotonic(), error)\n            return\n",
        "            self._may_not_act = (clock.monotonic(), error)\n",
        "tests/providers/convex/test_as_owner.py::test_a_key_that_may_not_act_is_not_taken_for_no_rows",
    ),
    Breakage(
        "auto-delete as it was asked for, not as Daytona holds it",
        "sandboxes/core/gate.py",
        "for m in (row.auto_delete, coming)",
        "for m in (row.auto_delete_minutes, coming)",
        "tests/core/test_gate.py::test_how_soon_daytona_deletes_it_after_a_stop",
    ),
    Breakage(
        "what must fail offered",
        "sandboxes/core/gate.py",
        "    return fails or destroys",
        "    return destroys",
        "tests/core/test_gate.py::test_of_what_cannot_be_recovered_only_a_delete_and_a_look_are_offered",
    ),
    Breakage(
        "a refused change told for ever",
        f"{LIFECYCLE}/tell.py",
        "if isinstance(error, Rejected):",
        "if False:",
        f"{SERVICES}/lifecycle/test_read_back.py::test_a_refused_change_ends_with_an_event_and_a_notice",
    ),
    Breakage(
        "a pattern that gives back what it took",
        "project/logs.py",
        r"[\w:-]{1,200}+\|[\w=+/.-]++",
        r"[\w:-]+\|[\w=+/.-]++",
        "tests/hostile/test_redaction.py::test_a_pattern_cannot_fail_after_reading_without_a_bound",
    ),
    Breakage(
        "half of a secret at the cut",
        "project/logs.py",
        "near = text[: limit + LONGEST_SECRET]",
        "near = text[:limit]",
        "tests/hostile/test_redaction.py::test_a_secret_across_the_cut_is_not_left_in_half",
    ),
    Breakage(
        "a text of the API unchecked",
        "sandboxes/api/fields.py",
        "text = checked(",
        "text = str(",
        "tests/hostile/test_text.py::test_the_api_says_which_character_of_which_field",
    ),
    Breakage(
        "control characters on a page",
        "sandboxes/admin/middleware.py",
        "if is_page and not",
        "if False and not",
        "tests/hostile/test_outlets.py::test_the_pages_of_the_admin_show_signs",
    ),
    Breakage(
        "any look-up in the admin",
        "sandboxes/admin/base.py",
        "        return False\n\n\nclass MirrorAdmin",
        "        return True\n\n\nclass MirrorAdmin",
        "tests/hostile/test_admin_lookups.py::test_no_field_can_be_looked_up_but_by_a_filter_of_the_list",
    ),
    Breakage(
        "parameters unread",
        "sandboxes/admin/middleware.py",
        "problem = next(_problems(request, kwargs), None)",
        "problem = None",
        "tests/hostile/test_admin_parameters.py::test_the_page_says_what_is_wrong_and_where",
    ),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as it is, to be broken."""
    folder = tmp_path_factory.mktemp("broken")
    for name in ("sandboxes", "project", "emulator", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("manage.py", "pyproject.toml", ".env.example"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "convex").mkdir()
    shutil.copy(ROOT / "convex" / "cases.json", folder / "convex" / "cases.json")
    return folder


class Forks:
    """The process that runs pytest in forks of itself, on SQLite."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._send(sorted([*LATE, *(name for name, module in sys.modules.items() if _is_installed(module))]))

    def outcome(self, folder: Path, test: str) -> tuple[int, str]:
        """pytest's exit code and words for one test in that folder."""
        arguments = ["-q", "-x", "--tb=native", "--no-migrations", "-p", "no:cacheprovider", test]
        self._send({"folder": str(folder), "arguments": arguments})
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline())
        return answer["code"], answer["words"]

    def _send(self, line: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()


def _is_installed(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None) or ""
    return "site-packages" in file and not module.__name__.startswith(UNNEEDED)


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    environment |= {"TEST_DATABASE_URL": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    with subprocess.Popen(
        [sys.executable, ROOT / "tests" / "breakages" / "forking.py"],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        yield Forks(process)


@pytest.mark.parametrize("breakage", BREAKAGES, ids=[breakage.name for breakage in BREAKAGES])
def test_a_breakage_fails_its_named_test(copy: Path, forks: Forks, breakage: Breakage) -> None:
    file = copy / breakage.file
    whole = file.read_text()
    assert whole.count(breakage.old) == 1, f"{breakage.file} no longer has: {breakage.old}"
    file.write_text(whole.replace(breakage.old, breakage.new))
    try:
        code, words = forks.outcome(copy, breakage.test)
    finally:
        file.write_text(whole)
    assert code == 1, words  # 1: tests failed; anything else is no proof
    assert re.search(r"^\d+ failed", words, re.MULTILINE), words
