from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from sandboxes.core.vocabulary import Action, OperationStatus
from sandboxes.models import Operation, Sandbox
from tests.admin import members
from tests.support.driving import ask, do, reload, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import Desk
    from tests.support.emulator import Emulator

pytestmark = pytest.mark.browser


def test_three_sandboxes_are_stopped_with_a_reason_and_settle_before_ones_eyes(
    desk: Desk, running: Callable[..., Sandbox], world: Emulator
) -> None:
    chosen = [running(name=name) for name in ("one", "two", "three")]
    left = running(name="left")
    desk.sign_in(members.operator())
    desk.open("sandboxes_sandbox_changelist")
    desk.choose(*chosen)
    expect(desk.page.get_by_text("3 of 4 selected")).to_be_visible()
    desk.page.get_by_role("button", name="Stop…").click()
    expect(desk.page.get_by_role("heading", name="Stop 3 sandboxes?")).to_be_visible()
    desk.page.get_by_label("Reason").fill("maintenance at noon")
    desk.page.get_by_role("button", name="Stop", exact=True).click()
    expect(desk.page.get_by_role("status")).to_contain_text("3 of 3 still at work")
    desk.remember()
    settle()
    expect(desk.page.locator('tr[data-outcome="succeeded"]')).to_have_count(3)
    expect(desk.page.get_by_role("status")).to_contain_text("All have settled.")
    expect(desk.page.locator("tbody .sk-badge", has_text="stopped")).to_have_count(3)
    assert desk.is_same_document()
    states = {world.sandbox(str(reload(row.pk).daytona_id))["state"] for row in chosen}  # type: ignore[index]
    assert states == {"stopped"}
    assert reload(left.pk).status == "running"
    assert {reload(row.pk).intent_reason for row in chosen} == {"maintenance at noon"}


def test_a_row_in_progress_changes_by_itself(desk: Desk, running: Callable[..., Sandbox]) -> None:
    row = running(name="atlas")
    ask(row, Action.STOP)
    desk.sign_in(members.operator())
    desk.open("sandboxes_sandbox_changelist")
    expect(desk.page.get_by_text("Stop: queued")).to_be_visible()
    desk.choose(row)
    desk.remember()
    settle()
    expect(desk.page.locator(desk.status_of(row))).to_have_text("stop_circlestopped")
    expect(desk.page.locator("[data-live-active]")).to_have_count(0)
    expect(desk.page.locator("input.action-select:checked")).to_have_count(1)
    assert desk.is_same_document()


def test_a_hidden_tab_does_not_ask(desk: Desk, running: Callable[..., Sandbox]) -> None:
    ask(running(), Action.STOP)
    desk.sign_in(members.viewer())
    desk.page.clock.install()
    asked: list[str] = []
    desk.page.on("request", lambda request: asked.append(request.url) if "ids=" in request.url else None)
    desk.open("sandboxes_sandbox_changelist")
    with desk.page.expect_request("**/?ids=*"):
        desk.page.clock.run_for(2100)
    desk.page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    asked.clear()
    desk.page.clock.run_for(60_000)
    assert asked == []
    desk.page.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
    with desk.page.expect_request("**/?ids=*"):
        desk.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_a_stop_by_keyboard_alone(desk: Desk, running: Callable[..., Sandbox]) -> None:
    row = running(name="atlas")
    desk.sign_in(members.operator())
    desk.open_sandbox(row)
    keyboard = desk.page.keyboard
    for _ in range(60):
        keyboard.press("Tab")
        if desk.page.evaluate("document.activeElement.id") == "do-stop":
            break
    expect(desk.page.locator("#do-stop")).to_be_focused()
    keyboard.press("Enter")
    expect(desk.page.get_by_role("heading", name="Stop atlas?")).to_be_visible()
    expect(desk.page.get_by_label("Reason")).to_be_focused()
    keyboard.type("only keys")
    keyboard.press("Enter")
    expect(desk.page.get_by_text("Stop requested; this page follows it.")).to_be_visible()
    settle()
    expect(desk.page.locator('[data-live="head"] .sk-badge').first).to_have_text("stop_circlestopped")
    assert reload(row.pk).intent_reason == "only keys"


def test_the_keyboard_reaches_the_buttons_of_the_list(desk: Desk, running: Callable[..., Sandbox]) -> None:
    row = running(name="atlas")
    desk.sign_in(members.operator())
    desk.open("sandboxes_sandbox_changelist")
    desk.page.locator(f'input[value="{row.pk}"]').focus()
    desk.page.keyboard.press("Space")
    sync = desk.page.get_by_role("button", name="Sync")
    sync.focus()
    desk.page.keyboard.press("Enter")
    expect(desk.page.get_by_text("Sync requested; this page follows it.")).to_be_visible()
    assert Operation.objects.filter(sandbox=row, action=Action.SYNC).exists()


def test_what_failed_can_be_retried(desk: Desk, running: Callable[..., Sandbox], world: Emulator) -> None:
    broken = [running(name=name) for name in ("one", "two")]
    for row in broken:
        do(row, Action.STOP)
    world.settings(quota={"cpu": 0, "memory": 500, "disk": 2000, "gpu": 0})
    desk.sign_in(members.operator())
    desk.open("sandboxes_sandbox_changelist")
    desk.choose(*broken)
    desk.page.get_by_role("button", name="Start", exact=True).click()
    settle()
    expect(desk.page.locator('tr[data-outcome="failed"]')).to_have_count(2)
    desk.page.get_by_role("button", name="Retry the 2 that failed").click()
    expect(desk.page.get_by_role("status")).to_contain_text("2 of 2 still at work")
    failed = Operation.objects.filter(action=Action.START, status=OperationStatus.FAILED)
    assert failed.count() == 2
    settle()
    expect(desk.page.locator('tr[data-outcome="failed"]')).to_have_count(2)
    assert failed.count() == 4
