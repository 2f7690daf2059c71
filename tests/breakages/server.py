"""Guards of the front door: proxies, heads, key sets, limits, error pages."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

SLOW_CLIENTS = "tests/api/test_slow_clients.py::test_neither_slow_clients_nor_busy_threads_stop_the_process"

BREAKAGES = [
    Breakage(
        "a client's own X-Forwarded-For believed",
        "project/networks.py",
        "if not self.trusts(hop, address):",
        "if False:",
        "tests/project/test_networks.py::test_the_address_of_a_client",
    ),
    Breakage(
        "a client's own X-Forwarded-Proto believed",
        "project/networks.py",
        'if scheme and proxies.trusts(0, parse(request.META.get("REMOTE_ADDR", ""))):',
        "if scheme:",
        "tests/project/test_networks.py::test_only_a_trusted_proxy_says_that_it_was_https",
    ),
    Breakage(
        "a malformed head is our fault",
        "project/wsgi.py",
        "raise BadHead(repr(error)) from error",
        "raise",
        "tests/project/test_guard.py::test_a_head_that_is_no_request_is_told_so",
    ),
    Breakage(
        "a key set of any size",
        "sandboxes/api/jwks.py",
        "if len(content) > MOST_BYTES:",
        "if False:",
        "tests/api/test_jwks.py::test_a_key_set_has_a_size",
    ),
    Breakage(
        "probes that wait for a thread",
        "project/asgi.py",
        "threads = self._probes if path in PROBES else self._threads",
        "threads = self._threads",
        SLOW_CLIENTS,
    ),
    Breakage(
        "liveness that waits for a thread",
        "project/asgi.py",
        'if path == "/live":',
        "if False:",
        SLOW_CLIENTS,
    ),
    Breakage(
        "a request that never ends",
        "project/protocol.py",
        "self.loop.call_later(settings.REQUEST_SECONDS, self._too_late)",
        "self.loop.call_later(3600, self._too_late)",
        SLOW_CLIENTS,
    ),
    Breakage(
        "an answer that nobody takes",
        "project/protocol.py",
        'if hasattr(socket, "TCP_USER_TIMEOUT") and',
        "if False and",
        "tests/project/test_protocol.py::test_a_client_that_takes_none_of_its_answer_is_cut",
    ),
    Breakage(
        "requests cut by a stop",
        "project/server.py",
        '"timeout_graceful_shutdown": GRACE_SECONDS,',
        '"timeout_graceful_shutdown": 0,',
        "tests/api/test_stopping_the_server.py::test_a_request_under_way_is_answered_before_the_process_ends",
    ),
    Breakage(
        "a key set for as long as it drips",
        "sandboxes/api/jwks.py",
        "async with client, asyncio.timeout(DEADLINE_SECONDS):",
        "async with client:",
        "tests/api/test_jwks.py::test_a_fetch_has_one_deadline_however_slowly_it_comes",
    ),
    Breakage(
        "everybody waits for the key set",
        "sandboxes/api/jwks.py",
        "if not self._fetching.acquire(blocking=False):",
        "if not self._fetching.acquire():",
        "tests/api/test_jwks.py::test_nobody_else_waits_for_the_one_that_fetches",
    ),
    Breakage(
        "wrong keys without end",
        "sandboxes/api/authentication.py",
        "    if seconds:",
        "    if False:",
        "tests/api/test_attempts.py::test_wrong_credentials_are_limited_by_address_and_the_good_ones_of_others_go_on",
    ),
    Breakage(
        "the schema built by several at once",
        "sandboxes/api/schema.py",
        "with _building:",
        "if True:",
        "tests/api/test_schema.py::test_eight_first_callers_at_once_get_one_document",
    ),
    Breakage(
        "secrets on the error page",
        "project/debugging.py",
        "return mark_safe(clean(super().get_traceback_html()))",
        "return mark_safe(super().get_traceback_html())",
        "tests/project/test_debug_page.py::test_an_error_page_shows_no_secret",
    ),
    Breakage(
        "a renamed setting lost in an upgrade",
        "project/environment.py",
        "return name if self.text(name) else formerly",
        "return name",
        "tests/project/test_environment.py::test_a_former_name_is_read_where_the_new_one_is_not_set",
    ),
]
