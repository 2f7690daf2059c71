"""A real browser in front of the real admin; what it complains of fails the test."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.urls import reverse
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect

from tests.services.conftest import running, world
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.contrib.auth.models import User
    from pytest_django.live_server_helper import LiveServer

    from sandboxes.models import Sandbox

__all__ = ["running", "world"]

# Playwright's own event loop runs in the thread of the tests, which talk to the database only between its calls.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"

QUIET = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => {
  console.error(`Content-Security-Policy: ${event.violatedDirective} forbids ${event.blockedURI}`);
});
"""


# pytest-base-url 2.1, which pytest-playwright needs, under pytest 9.
OLD_PLUGIN = pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(OLD_PLUGIN)


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    chromium = shutil.which("chromium")
    assert chromium, "no chromium: install Debian's, or leave these out with -m 'not browser'"
    return {**browser_type_launch_args, "executable_path": chromium, "args": QUIET}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": {"width": 1440, "height": 900}}


class Desk:
    """Somebody at a screen. `complaints` are console errors, violations of the policy and foreign requests."""

    def __init__(self, page: Page, address: str) -> None:
        self.page = page
        self.address = address
        self.complaints: list[str] = []
        page.add_init_script(REPORT_VIOLATIONS)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("request", lambda request: self._asked(request.url))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:")):
            self.complaints.append(f"request to {url}")

    def sign_in(self, user: User) -> None:
        """Sit down signed in, without the second that a password takes."""
        client = Client()
        client.force_login(user)
        cookie = client.cookies["sessionid"]
        context: BrowserContext = self.page.context
        context.add_cookies([{"name": "sessionid", "value": cookie.value, "url": self.address}])

    def open(self, name: str, *arguments: object, query: str = "") -> None:
        answer = self.page.goto(f"{self.address}{reverse(f'admin:{name}', args=arguments)}{query}")
        assert answer is not None
        assert answer.status == 200, f"{answer.url}: {answer.status}"

    def open_sandbox(self, sandbox: Sandbox, query: str = "") -> None:
        self.open("sandboxes_sandbox_change", sandbox.pk, query=query)

    def choose(self, *sandboxes: Sandbox) -> None:
        """Tick the checkboxes of these rows of the list."""
        for row in sandboxes:
            self.page.locator(f'input[name="_selected_action"][value="{row.pk}"]').check()

    def status_of(self, sandbox: Sandbox) -> str:
        return f'tr:has(input[value="{sandbox.pk}"]) .field-cell_status .sk-badge'

    def remember(self) -> None:
        """Mark this very document, to see later that it was not loaded again."""
        self.page.evaluate("document.documentElement.dataset.same = 'yes'")

    def is_same_document(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.dataset.same === 'yes'"))

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path


@pytest.fixture
def desk(page: Page, live_server: LiveServer) -> Iterator[Desk]:
    page.set_default_timeout(PATIENCE * 1000)
    expect.set_options(timeout=PATIENCE * 1000)
    somebody = Desk(page, live_server.url)
    yield somebody
    assert not somebody.complaints, "\n".join(somebody.complaints)
