"""What Daytona has and we do not: chosen, decided about, and followed until the sweep has done it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from sandboxes.core.vocabulary import Status
from sandboxes.models import Orphan, Sandbox
from sandboxes.services import reconcile
from tests.admin import members
from tests.browser.test_appearance import violations
from tests.support.driving import run_due
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.browser.conftest import Desk
    from tests.support.emulator import Emulator

pytestmark = pytest.mark.browser


def test_orphans_are_adopted_together_deleted_and_ignored(desk: Desk, world: Emulator) -> None:
    labels = {"harness_user_id": "user_ada"}
    boxes = [{"name": name, "labels": labels} for name in ("one", "two", "wrong")]
    one, two, wrong, _ = world.seed([*boxes, {"name": "theirs"}])
    reconcile.sweep()
    desk.sign_in(members.operator())
    page = desk.page

    desk.open("sandboxes_orphan_changelist")
    for key in (one, two):
        page.locator(f'input[name="_selected_action"][value="{key}"]').check()
    expect(page.get_by_text("2 of 4 selected")).to_be_visible()
    page.get_by_role("button", name="Decide…").click()
    expect(page.get_by_role("heading", name="Decide about 2 orphans")).to_be_visible()
    assert violations(desk) == []
    page.get_by_role("button", name="Adopt").click()
    expect(page.get_by_text("Say why: the audit log keeps it.")).to_be_visible()
    desk.complaints[:] = [
        one for one in desk.complaints if "400" not in one
    ]  # the browser's word for a refused form
    page.get_by_label("Reason").fill("from before the backup")
    page.get_by_role("button", name="Adopt").click()
    outcomes = page.locator("tr[data-orphan]")
    expect(outcomes.filter(has_text="adopt: by the next sweep")).to_have_count(2)
    assert violations(desk) == []
    desk.remember()
    reconcile.sweep()
    expect(outcomes.filter(has_text="adopted for user_ada")).to_have_count(2)
    assert desk.is_same_document()
    outcomes.get_by_role("link", name="one").click()
    expect(page.get_by_role("heading", name="one", exact=True)).to_be_visible()

    desk.open("sandboxes_orphan_changelist")
    page.get_by_role("link", name="wrong").click()
    page.get_by_label("Reason").fill("nobody needs it")
    page.get_by_role("button", name="Delete in Daytona").click()
    expect(outcomes).to_contain_text("delete: by the next sweep")
    reconcile.sweep()
    gone = Sandbox.objects.get(daytona_id=wrong)
    wait_until(lambda: [run_due()] and Sandbox.objects.get(pk=gone.pk).status == Status.GONE, what="its end")
    expect(outcomes).to_contain_text("gone")
    assert world.sandbox(wrong) is None

    desk.open("sandboxes_orphan_changelist")
    page.get_by_role("link", name="theirs").click()
    page.get_by_label("Reason").fill("another team's")
    page.get_by_role("button", name="Ignore").click()
    expect(outcomes).to_contain_text("ignored")
    desk.open("sandboxes_orphan_changelist")
    expect(page.get_by_text("has a row here, or is ignored")).to_be_visible()
    assert Orphan.objects.count() == 1
