"""Guards of the front door: proxies, heads, key sets, limits, error pages."""

from __future__ import annotations

from tests.breakages.breakage import Breakage

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
]
