from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from sandboxes.core.vocabulary import Action, Status
from sandboxes.models import Operation, Sandbox
from tests.admin import members
from tests.support.driving import reload, run_due
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.browser.conftest import Desk
    from tests.support.emulator import Emulator

pytestmark = pytest.mark.browser


def until_gone(row: Sandbox) -> None:
    """Be the worker until Daytona has no more of it."""
    wait_until(lambda: [run_due()] and reload(row.pk).status == Status.GONE, what="end of the sandbox")


def test_a_delete_asks_first_and_then_removes_it_from_daytona(
    desk: Desk, running: Callable[..., Sandbox], world: Emulator
) -> None:
    row = running(name="atlas")
    desk.sign_in(members.operator())
    desk.open_sandbox(row)
    desk.page.get_by_role("button", name="Delete…").click()
    expect(desk.page.get_by_role("heading", name="Delete atlas?")).to_be_visible()
    expect(desk.page.get_by_text("Nothing brings it back.")).to_be_visible()
    assert not Operation.objects.filter(action=Action.DELETE).exists()
    desk.page.get_by_role("button", name="Delete", exact=True).click()
    expect(desk.page.get_by_text("Say why")).to_be_visible()
    desk.page.get_by_label("Reason").fill("the project is over")
    desk.page.get_by_role("button", name="Delete", exact=True).click()
    until_gone(row)
    expect(desk.page.locator('[data-live="head"] .sk-badge').first).to_have_text("blockgone")
    assert world.sandbox(str(row.daytona_id)) is None


def test_a_delete_can_be_thought_better_of(desk: Desk, running: Callable[..., Sandbox]) -> None:
    row = running(name="atlas")
    desk.sign_in(members.operator())
    desk.open_sandbox(row)
    desk.page.get_by_role("button", name="Delete…").click()
    desk.page.get_by_role("link", name="Cancel").click()
    expect(desk.page.get_by_role("heading", name="atlas", exact=True)).to_be_visible()
    assert reload(row.pk).intent == "running"


def test_an_ephemeral_sandbox_is_destroyed_by_a_stop_only_when_agreed(
    desk: Desk, running: Callable[..., Sandbox], world: Emulator, settings: Settings
) -> None:
    settings.MISSING_CONFIRM_SECONDS = 0.2  # it may be gone before we look, and “not found” is believed slowly
    row = running(name="fleeting", ephemeral=True)
    desk.sign_in(members.operator())
    desk.open_sandbox(row)
    desk.page.get_by_role("button", name="Stop…").click()
    expect(desk.page.get_by_role("heading", name="Destroyed within a day: 1 sandbox")).to_be_visible()
    desk.page.get_by_label("Stop and destroy it").check()
    desk.page.get_by_label("Reason").fill("it is finished")
    desk.page.get_by_role("button", name="Stop", exact=True).click()
    until_gone(row)
    expect(desk.page.locator('[data-live="head"] .sk-badge').first).to_have_text("blockgone")
    assert world.sandbox(str(row.daytona_id)) is None
