from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from sandboxes.core.vocabulary import Action, Status
from sandboxes.models import Operation, Sandbox
from tests.admin import members
from tests.support import rows
from tests.support.driving import settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser
PASSWORD = "correct horse battery staple"


def test_signing_in_with_the_keyboard_leads_to_the_dashboard(desk: Desk, transactional_db: None) -> None:
    members.operator(password=PASSWORD)
    desk.open("login")
    desk.page.get_by_label("Username").fill("otto")
    desk.page.keyboard.press("Tab")
    desk.page.keyboard.type(PASSWORD)
    desk.page.keyboard.press("Enter")
    expect(desk.page.get_by_text("Operations per hour, last 24 hours")).to_be_visible()
    assert desk.path == "/admin/"


def test_a_viewer_sees_and_cannot_act(desk: Desk, running: Callable[..., Sandbox]) -> None:
    row = running(name="atlas")
    before = Operation.objects.count()
    desk.sign_in(members.viewer())
    desk.open("sandboxes_sandbox_changelist")
    expect(desk.page.get_by_role("link", name="atlas")).to_be_visible()
    expect(desk.page.get_by_role("checkbox")).to_have_count(0)
    expect(desk.page.get_by_role("link", name="Create a sandbox")).to_have_count(0)
    desk.page.get_by_role("link", name="atlas").click()
    expect(desk.page.get_by_role("heading", name="Timeline")).to_be_visible()
    expect(desk.page.locator("button[formaction]")).to_have_count(0)
    desk.open("sandboxes_owner_change", row.owner_id)
    expect(desk.page.locator("#hold, #set-limit")).to_have_count(0)
    assert Operation.objects.count() == before


def test_a_hold_stops_what_runs_and_says_so_until_it_is_lifted(desk: Desk, running: Callable[..., Sandbox]) -> None:
    running(name="atlas")
    desk.sign_in(members.operator())
    desk.open("sandboxes_owner_change", "alice")
    desk.page.get_by_role("button", name="Put on hold…").click()
    expect(desk.page.get_by_role("heading", name="Stopping 1 sandbox")).to_be_visible()
    desk.page.get_by_role("textbox", name="Reason", exact=True).fill("mining coins")
    desk.page.get_by_role("button", name="Put on hold", exact=True).click()
    expect(desk.page.get_by_text("On hold; 1 sandbox will stop.")).to_be_visible()
    desk.remember()
    settle()
    expect(desk.page.locator("tbody .sk-badge")).to_have_text("stop_circlestopped")
    assert desk.is_same_document()
    row = Sandbox.objects.get()
    desk.open_sandbox(row)
    start = desk.page.get_by_label("Start: The owner of “atlas” is on hold.")
    expect(start).to_be_visible()
    expect(start.get_by_role("button", name="Start")).to_be_disabled()
    desk.open("sandboxes_owner_change", "alice")
    desk.page.get_by_role("button", name="Lift the hold").click()
    expect(desk.page.get_by_role("button", name="Put on hold…")).to_be_visible()
    assert not Operation.objects.filter(action=Action.START).exists()


def test_a_disabled_button_says_why_on_hover_and_on_focus(desk: Desk, transactional_db: None) -> None:
    row = rows.sandbox(status=Status.ARCHIVED)
    desk.sign_in(members.operator())
    desk.open_sandbox(row)
    reason = desk.page.get_by_label("Recover: Only a sandbox in error can be recovered.")
    words = "getComputedStyle(document.activeElement, '::after').display"
    assert desk.page.evaluate(words) == "inline"
    reason.focus()
    assert desk.page.evaluate(words) == "block"


def test_the_room_is_said_while_the_owner_is_typed(desk: Desk, transactional_db: None) -> None:
    rows.owner("user_full", sandbox_limit=0)
    desk.sign_in(members.operator())
    desk.open("sandboxes_sandbox_add")
    owner = desk.page.get_by_label("Owner")
    owner.press_sequentially("user_full")
    expect(desk.page.get_by_text("At the limit: 0 of 0 sandboxes exist.")).to_be_visible()
    owner.fill("user_new")
    expect(desk.page.get_by_text("0 of 5 sandboxes exist.")).to_be_visible()
    desk.page.get_by_role("button", name="Create").click()
    expect(desk.page.get_by_text("The create was requested")).to_be_visible()
    assert Sandbox.objects.get().owner_id == "user_new"
