from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from sandboxes import clock
from sandboxes.core.vocabulary import Action
from sandboxes.models import Sandbox
from tests.admin import members
from tests.support.driving import ask, do, reload, settle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import Desk
    from tests.support.emulator import Emulator

pytestmark = pytest.mark.browser


def test_an_evicted_sandbox_explains_itself(desk: Desk, running: Callable[..., Sandbox], world: Emulator) -> None:
    wanted = running(name="wanted")
    do(wanted, Action.STOP)
    older, newer = running(name="older"), running(name="newer")
    long_ago = clock.now() - timedelta(hours=5)
    Sandbox.objects.filter(pk=older.pk).update(
        last_accessed_at=long_ago, last_activity_at=long_ago, protected_until=clock.now() + timedelta(days=1)
    )
    clock.move(3600)
    world.settings(quota={"cpu": 2, "memory": 500, "disk": 2000, "gpu": 0})
    settle(ask(wanted, Action.START))
    assert reload(newer.pk).status == "stopped"
    desk.sign_in(members.viewer())
    desk.open_sandbox(newer)
    expect(desk.page.get_by_text("wanted running, stopped by evictor")).to_be_visible()
    why = desk.page.locator("#why")
    expect(why).to_contain_text("for wanted of alice")
    spared = why.locator("tr", has_text="older")
    expect(spared).to_contain_text("protected")
    expect(spared).to_contain_text("kept")
    expect(why.locator('tr[aria-current="true"]')).to_contain_text("newer this one")
    expect(why.locator('tr[aria-current="true"]')).to_contain_text("stop_circlestopped")
    desk.page.get_by_role("link", name="eviction", exact=True).click()
    expect(desk.page.locator('[data-live="timeline"] li')).to_have_count(1)
    expect(desk.page.locator('[data-live="timeline"] li')).to_contain_text("Stopped to make room")


def test_a_running_sandbox_shows_who_would_go_before_it(desk: Desk, running: Callable[..., Sandbox]) -> None:
    older, newer = running(name="older"), running(name="newer")
    then = clock.now() - timedelta(hours=5)
    Sandbox.objects.filter(pk=older.pk).update(last_accessed_at=then, last_activity_at=then)
    desk.sign_in(members.viewer())
    desk.open_sandbox(newer)
    lines = desk.page.locator("#why tbody tr")
    expect(lines).to_have_count(2)
    expect(lines.nth(0)).to_contain_text("older")
    expect(lines.nth(1)).to_contain_text("newer this one")
