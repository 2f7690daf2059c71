"""Guards of what is read: an import of the application's rows, and text that people read."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

ADOPT = "sandboxes/services/reconcile/adopt.py"
IMPORT = "tests/services/reconcile/test_import.py"

BREAKAGES = [
    Breakage(
        "what a user took off the list brought back",
        ADOPT,
        "case ListedState.UNLISTED if not (run.options.adopt_unlisted or _lost_row(run, remote)):",
        "case ListedState.UNLISTED if False:",
        f"{IMPORT}::test_a_dry_run_says_what_an_import_would_adopt",
    ),
    Breakage(
        "what Convex shows to somebody else taken over",
        ADOPT,
        "    if listing.standing == ListedState.FOREIGN:",
        "    if False:",
        f"{IMPORT}::test_what_convex_shows_to_somebody_else_is_left_alone",
    ),
    Breakage(
        "a dry run that writes",
        ADOPT,
        "transaction.set_rollback(True)",
        "pass",
        f"{IMPORT}::test_a_dry_run_says_what_an_import_would_adopt",
    ),
    Breakage(
        "asking again leaves a line each time",
        "sandboxes/services/lifecycle/request.py",
        "    if is_joined and _is_wanted_already(row, asked):",
        "    if False:",
        "tests/services/test_intent.py::"
        "test_an_agent_that_asks_each_second_while_daytona_does_not_find_it_makes_few_looks_and_events",
    ),
    Breakage(
        "control characters on a terminal",
        "sandboxes/management/tables.py",
        "return Text(visible(text, lines=True))",
        "return Text(text)",
        "tests/hostile/test_outlets.py::test_tables_and_sentences_on_a_terminal_show_signs",
    ),
    Breakage(
        "control characters in the log",
        "project/logs.py",
        "return visible(redact(value, TRACEBACK_LIMIT if is_long else VALUE_LIMIT), lines=is_long)",
        "return redact(value, TRACEBACK_LIMIT if is_long else VALUE_LIMIT)",
        "tests/hostile/test_outlets.py::test_a_log_line_is_one_line_whatever_is_in_it",
    ),
    Breakage(
        "any owner id",
        "sandboxes/api/authentication.py",
        'return checked_owner_id(unquote(given, errors="strict"))',
        'return unquote(given, errors="strict")',
        "tests/hostile/test_text.py::test_what_nobody_can_read_is_no_owner",
    ),
    Breakage(
        "names in any normal form",
        "sandboxes/models/names.py",
        'return unicodedata.normalize("NFC", value) if isinstance(value, str) else value',
        "return value",
        "tests/hostile/test_text.py::test_a_name_is_kept_and_compared_in_nfc",
    ),
]
