"""Without a mouse: what can be clicked can be reached and pressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.admin import members
from tests.support import rows

if TYPE_CHECKING:
    from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until it has the focus; fails when it never gets it."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError("the focus never came there")


def test_filters_are_opened_and_chosen_by_keys(desk: Desk, transactional_db: None) -> None:
    rows.sandbox("running")
    rows.sandbox("resting", status="stopped")
    desk.sign_in(members.viewer())
    desk.open("sandboxes_sandbox_changelist")
    tab_to(desk.page, desk.page.get_by_role("button", name="Filters"))
    desk.page.keyboard.press("Enter")
    chip = desk.page.get_by_role("region", name="status").get_by_role("link", name="stopped")
    expect(chip).to_be_visible()
    tab_to(desk.page, chip)
    desk.page.keyboard.press("Enter")
    expect(desk.page.locator("#result_list .field-cell_name a")).to_have_text(["resting"])


def test_the_menu_of_the_user_is_opened_by_keys(desk: Desk, transactional_db: None) -> None:
    desk.sign_in(members.viewer())
    desk.open("index")
    menu = desk.page.get_by_role("button", name="vera")
    tab_to(desk.page, menu)
    desk.page.keyboard.press("Space")
    expect(desk.page.get_by_role("button", name="Log out")).to_be_visible()


def test_what_appears_later_can_be_reached_too(desk: Desk, transactional_db: None) -> None:
    desk.sign_in(members.viewer())
    desk.open("index")
    desk.page.evaluate(
        "document.querySelector('#content').insertAdjacentHTML('beforeend', '<a x-on:click=\"1\">x</a>')"
    )
    expect(desk.page.locator("#content a[role=button][tabindex='0']")).to_have_text("x")


def test_a_new_key_is_copied_by_a_button(desk: Desk, transactional_db: None) -> None:
    desk.sign_in(members.root())
    desk.open("sandboxes_servicekey_add")
    desk.page.get_by_role("textbox", name="Name").fill("harness")
    desk.page.get_by_label("sandboxes:read").check()
    desk.page.get_by_role("button", name="Create").click()
    secret = desk.page.locator("#secret .sk-mono").inner_text()
    desk.page.locator("#secret").get_by_role("button", name="Copy").click()
    expect(desk.page.locator("#sk-said")).to_have_text("Copied.")
    desk.open("sandboxes_sandbox_changelist")
    box = desk.page.get_by_placeholder("Part of a name or owner, or an id")
    box.focus()
    desk.page.keyboard.press("ControlOrMeta+V")
    expect(box).to_have_value(secret)
