from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from sandboxes.core.vocabulary import OperationStatus, Status
from sandboxes.models import Job, Operation, Sandbox
from sandboxes.services import jobs
from tests.admin import members
from tests.browser.test_appearance import violations
from tests.support import rows

if TYPE_CHECKING:
    from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser


def many(count: int) -> list[Sandbox]:
    return [rows.sandbox(f"box-{number}", created_at=rows.ago(hours=number)) for number in range(count)]


def choose_all_that_match(desk: Desk) -> None:
    desk.page.locator("#action-toggle").check()
    desk.page.get_by_role("button", name="Select all 30 that match").click()
    expect(desk.page.get_by_text("All 30 that match are selected")).to_be_visible()


def test_all_that_match_are_chosen_stopped_followed_and_started_again(desk: Desk, transactional_db: None) -> None:
    many(30)
    desk.sign_in(members.operator())
    desk.open("sandboxes_sandbox_changelist", query="?q=box")
    choose_all_that_match(desk)
    desk.page.get_by_role("button", name="Stop…").click()
    expect(desk.page.get_by_role("heading", name="Stop 30 sandboxes?")).to_be_visible()
    desk.page.get_by_label("Reason").fill("maintenance at noon")
    desk.page.get_by_role("button", name="Stop", exact=True).click()
    expect(desk.page.get_by_text("0 of 30 requested")).to_be_visible()
    desk.remember()
    jobs.work()
    expect(desk.page.locator('tr[data-outcome="queued"]')).to_have_count(30)
    Operation.objects.update(status=OperationStatus.SUCCEEDED, finished_at=rows.ago(), step="")
    Sandbox.objects.update(status=Status.STOPPED, observed_state="stopped", intent_met_at=rows.ago())
    expect(desk.page.get_by_role("status")).to_contain_text("All have settled.")
    assert desk.is_same_document()
    desk.page.get_by_role("button", name="Start these…").click()
    expect(desk.page.get_by_role("heading", name="Start 30 sandboxes?")).to_be_visible()
    desk.page.get_by_role("button", name="Start", exact=True).click()
    expect(desk.page.get_by_text("0 of 30 requested")).to_be_visible()
    assert Job.objects.count() == 2


def test_the_rest_of_a_job_is_cancelled_by_a_colleague(desk: Desk, transactional_db: None) -> None:
    many(30)
    desk.sign_in(members.operator())
    desk.open("sandboxes_sandbox_changelist")
    choose_all_that_match(desk)
    desk.page.get_by_role("button", name="Sync").click()
    desk.page.get_by_role("button", name="Sync", exact=True).click()
    desk.page.context.clear_cookies()
    desk.sign_in(members.operator("ophelia"))
    desk.open("sandboxes_job_changelist")
    desk.page.get_by_role("link", name="Sync: 30 sandboxes").click()
    desk.page.get_by_role("button", name="Cancel the rest").click()
    expect(desk.page.get_by_text("what was not requested yet is left alone")).to_be_visible()
    expect(desk.page.get_by_text("Cancelled by staff:ophelia")).to_be_visible()
    assert violations(desk) == []
    assert not Operation.objects.exists()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_of_a_job_are_accessible_and_fit(desk: Desk, transactional_db: None, theme: str) -> None:
    many(30)
    rows.sandbox("fleeting", ephemeral=True)
    desk.sign_in(members.root())
    desk.page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    desk.open("sandboxes_sandbox_changelist")
    desk.page.locator("#action-toggle").check()
    assert violations(desk) == []
    desk.page.get_by_role("button", name="Stop…").click()
    desk.page.get_by_label("Reason").fill("maintenance at noon")
    desk.page.get_by_role("button", name="Stop", exact=True).click()
    expect(desk.page.get_by_text("0 of 25 requested")).to_be_visible()
    jobs.work()
    expect(desk.page.locator('[data-group="in progress"]')).to_be_visible()
    for width in (390, 768, 1024, 1440):
        desk.page.set_viewport_size({"width": width, "height": 900})
        wide = desk.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"it scrolls {wide} px sideways at {width}"
        assert violations(desk) == []
