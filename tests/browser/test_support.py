"""A shift at the support desk: found by what is at hand, noted, forgotten, counted, exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from sandboxes.core.vocabulary import Action, Intent, OperationStatus
from sandboxes.models import UsageHour
from tests.admin import members
from tests.support import rows

if TYPE_CHECKING:
    from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser


def exported(desk: Desk, name: str) -> str:
    with desk.page.expect_download() as download:
        desk.page.get_by_role("link", name=name, exact=True).click()
    return Path(download.value.path()).read_text()


def test_a_stuck_delete_is_found_noted_and_forgotten(desk: Desk, transactional_db: None) -> None:
    stuck: dict[str, Any] = {"intent": Intent.DELETED, "intent_at": rows.ago(minutes=45), "intent_met_at": None}
    row = rows.sandbox("atlas", of="user_ann", **stuck)
    operation = rows.operation(row, Action.DELETE, OperationStatus.FAILED, code="timeout")
    rows.sandbox("borealis", of="user_ben")
    desk.sign_in(members.root())
    page = desk.page

    for sought, found in ((str(operation.pk), "Delete of atlas"), ("user_an", "atlas"), ("tla", "atlas")):
        desk.open("index")
        page.keyboard.press("Control+k")
        box = page.locator("#search-input-command")
        expect(box).to_be_focused()
        box.press_sequentially(sought)
        results = page.locator("#command-results")
        expect(results.get_by_role("link", name=found).first).to_be_visible()
        expect(results.get_by_text("borealis")).to_have_count(0)
    results.get_by_role("link", name="atlas").first.click()
    expect(page.get_by_role("heading", name="atlas", exact=True)).to_be_visible()

    page.get_by_label("New note").fill("Daytona works on it, ticket 5")
    page.get_by_role("button", name="Add the note").click()
    expect(page.locator('[data-live="notes"]')).to_contain_text("staff:admin")
    page.get_by_role("button", name="Forget…").click()
    page.get_by_label("Reason").fill("Daytona's ticket 5")
    page.get_by_role("button", name="Forget", exact=True).click()
    expect(page.locator('[data-live="facts"]')).to_contain_text("not counted against the owner's limit")
    desk.open("sandboxes_owner_change", "user_ann")
    expect(page.get_by_text("0 of 5")).to_be_visible()
    expect(page.locator('[data-live="notes"]')).to_contain_text("ticket 5 ")

    desk.open("sandboxes_auditentry_changelist", query="?q=user_ann")
    expect(page.locator("#result_list tbody tr.data-row")).to_have_count(2)
    lines = [json.loads(line) for line in exported(desk, "JSONL").splitlines()]
    assert {(line["action"], line["reason"]) for line in lines} == {
        ("forgotten", "Daytona's ticket 5"),
        ("note", ""),
    }
    assert exported(desk, "CSV").startswith("id,at,actor,action")


def test_usage_is_seen_by_time_and_taken_as_a_file(desk: Desk, transactional_db: None) -> None:
    rows.owner("user_ann")
    for days in (0, 3, 40):
        hour = rows.ago(days=days, hours=2).replace(minute=0, second=0, microsecond=0)
        UsageHour.objects.create(owner="user_ann", hour=hour, measure="vcpu_seconds", value=7200, rolled_up_at=hour)
    desk.sign_in(members.viewer())
    usage = desk.page.locator("#usage")
    desk.open("sandboxes_owner_change", "user_ann")
    for title, bars, hours in (("24 hours", 1, 2), ("7 days", 2, 4), ("90 days", 3, 6)):
        if title != "24 hours":
            usage.get_by_role("link", name=title).click()
        expect(usage.locator("svg rect")).to_have_count(bars)
        expect(usage).to_contain_text(f"In all {hours}.0 vCPU hours")
        assert len(exported(desk, "JSON lines").splitlines()) == bars
    usage.get_by_text("As a table").click()
    expect(usage.locator("tbody tr")).to_have_count(3)
    desk.open("index", query="?usage=90d")
    expect(usage.locator("svg rect")).to_have_count(3)
