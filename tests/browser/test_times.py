"""A time says the exact moment, in the zone of whoever reads, on hover and when it is pressed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from tests.admin import members
from tests.support import rows

if TYPE_CHECKING:
    from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "timezone_id": "Asia/Tokyo"}


def test_the_exact_time_is_read_by_a_touch_and_copied(desk: Desk, transactional_db: None) -> None:
    row = rows.sandbox(intent_at=datetime(2026, 3, 4, 20, 15, 30, tzinfo=UTC))
    desk.sign_in(members.viewer())
    desk.open_sandbox(row)
    time = desk.page.locator('[data-live="intent"] time').first
    time.hover()
    expect(time).to_have_attribute("title", "2026-03-05 05:15:30 Asia/Tokyo")
    time.click()
    bubble = desk.page.locator("#sk-moment")
    expect(bubble).to_contain_text("2026-03-05 05:15:30 Asia/Tokyo")
    expect(bubble).to_contain_text("2026-03-04T20:15:30.000Z")
    bubble.get_by_role("button", name="Copy").last.click()
    expect(desk.page.locator("#sk-said")).to_have_text("Copied.")
    desk.page.keyboard.press("Escape")
    expect(bubble).to_be_hidden()
