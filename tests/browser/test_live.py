"""Whoever leaves a page open reads what is true, or that it is not live any more, and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from sandboxes.models import Sandbox
from tests.admin import members
from tests.support import rows

if TYPE_CHECKING:
    from playwright.sync_api import Route

    from tests.browser.conftest import Desk

pytestmark = pytest.mark.browser
LIVE = "#sk-live"


def test_a_list_follows_what_others_do_though_nothing_was_in_progress(desk: Desk, transactional_db: None) -> None:
    row = rows.sandbox("atlas", status="running")
    desk.sign_in(members.viewer())
    desk.open("sandboxes_sandbox_changelist")
    expect(desk.page.locator(LIVE)).to_have_text("live")
    desk.remember()
    Sandbox.objects.filter(pk=row.pk).update(status="stopped", name="renamed")
    expect(desk.page.locator(".field-cell_status .sk-badge")).to_have_text("stop_circlestopped")
    expect(desk.page.locator("#result_list")).to_contain_text("renamed")
    assert desk.is_same_document()


def test_a_server_that_does_not_answer_is_said_and_so_is_its_return(desk: Desk, transactional_db: None) -> None:
    row = rows.sandbox()
    desk.sign_in(members.viewer())
    desk.open_sandbox(row)
    away = [True]

    def answer(route: Route) -> None:
        route.fulfill(status=503, body="") if away[0] else route.continue_()

    desk.page.route(f"**/{row.pk}/change/", answer)
    expect(desk.page.locator(LIVE)).to_contain_text("The server cannot answer. Not live since")
    away[0] = False
    expect(desk.page.locator(LIVE)).to_have_text("live")
    desk.complaints[:] = [one for one in desk.complaints if "503" not in one]


def test_an_ended_session_is_said_with_the_way_back(desk: Desk, transactional_db: None) -> None:
    row = rows.sandbox()
    desk.sign_in(members.viewer())
    desk.open_sandbox(row)
    Session.objects.all().delete()
    expect(desk.page.locator(LIVE)).to_contain_text("You are signed out. Not live since")
    desk.page.get_by_role("link", name="Sign in").click()
    expect(desk.page.locator("#id_username")).to_be_visible()
