"""A webhook from its secret to its end, and staff who are told of notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from sandboxes.core.vocabulary import AuditAction
from sandboxes.models import AuditEntry, Delivery, Receiver
from tests.admin import members
from tests.admin.test_webhooks import dead_of, key
from tests.browser.test_appearance import violations

if TYPE_CHECKING:
    from pytest_django import Settings

    from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser


def test_a_webhook_is_made_disabled_replayed_and_deleted(
    desk: Desk, transactional_db: None, settings: Settings
) -> None:
    settings.EMAIL_HOST = "mail.example.com"
    key()
    desk.sign_in(members.root())
    page = desk.page
    desk.open("sandboxes_receiver_changelist")
    expect(page.get_by_text("Nobody is told.")).to_be_visible()
    page.get_by_role("link", name="Create a webhook").click()
    page.get_by_label("Service key").select_option(label="agents")
    page.get_by_label("Address").fill("http://agents.example.com/secret")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Address").fill("https://agents.example.com/secret")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text("This is the only time the secret is shown.")).to_be_visible()
    assert violations(desk) == []
    page.get_by_role("link", name="Done").click()

    row = Receiver.objects.get()
    expect(page.get_by_text("None: every delivery was taken, or is still tried.")).to_be_visible()
    dead_of(row)
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_text("Nothing is sent.")).to_be_visible()
    expect(page.locator('[data-live="dead"]')).to_contain_text("HTTP 500")
    page.get_by_role("button", name="Enable").click()
    page.get_by_role("button", name="Replay all dead deliveries").click()
    expect(page.get_by_text("None: every delivery was taken, or is still tried.")).to_be_visible()
    assert Delivery.objects.pending().count() == 1
    page.get_by_role("button", name="Rotate the secret").click()
    expect(page.get_by_text("The former secret signs as well")).to_be_visible()
    page.get_by_role("link", name="Done").click()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("is told nothing more")).to_be_visible()

    desk.open("sandboxes_receiver_add_notices")
    page.get_by_label("As").select_option(label="Mail")
    page.get_by_label("Address").fill("ops@example.com")
    page.get_by_label("sweep_stale").check()
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text("ops@example.com is told of notices from now on.")).to_be_visible()
    told = AuditEntry.objects.filter(action__startswith="webhook").values_list("action", flat=True)
    assert list(told).count(AuditAction.WEBHOOK_CREATED) == 2
