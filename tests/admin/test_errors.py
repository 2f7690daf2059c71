"""What cannot be shown or done is said in the admin's frame, with a way back."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.admin import members
from tests.admin.pages import text_of
from tests.support import rows

DASHBOARD = 'href="/admin/">'


def test_what_is_not_there_is_said_in_the_frame(admin: Client) -> None:
    answer = admin.get(reverse("admin:sandboxes_sandbox_change", args=["nonsense"]))
    content = answer.content.decode()
    assert answer.status_code == 404
    assert "There is no sandbox “nonsense”." in content
    assert DASHBOARD in content
    assert "Service keys" in content, "the navigation is there"


def test_what_is_forbidden_is_said_in_the_frame(viewer: Client) -> None:
    answer = viewer.get(reverse("admin:sandboxes_sandbox_add"))
    content = answer.content.decode()
    assert answer.status_code == 403
    assert "You may not do this. Ask an administrator for the permission." in content
    assert DASHBOARD in content


def test_a_page_that_was_too_old_to_be_sent_says_what_to_do(db: None) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(members.root())
    row = rows.sandbox()
    answer = browser.post(reverse("admin:sandboxes_sandbox_act_sync"), {"_selected_action": [str(row.pk)]})
    content = answer.content.decode()
    assert answer.status_code == 403
    assert "nothing was done. Go back, reload it and send it again." in content
    assert DASHBOARD in content
    assert not row.operations.exists()


@pytest.mark.django_db
def test_a_stranger_is_shown_no_frame(client: Client) -> None:
    answer = client.get("/nothing")
    content = answer.content.decode()
    assert answer.status_code == 404
    assert "There is nothing at this address." in content
    assert "Service keys" not in content


@pytest.mark.django_db
def test_an_error_of_the_api_stays_a_problem(client: Client) -> None:
    answer = client.get("/api/v1/nothing")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_browsers_find_an_icon_where_they_look_for_one(client: Client) -> None:
    assert client.get("/favicon.ico").headers["Location"].endswith("icon.svg")


def test_a_page_beyond_the_last_leads_to_the_first(admin: Client) -> None:
    rows.sandbox()
    answer = admin.get(reverse("admin:sandboxes_sandbox_changelist"), {"p": "99", "q": "atlas"})
    assert "There is nothing on page 99. Go to the first page" in text_of(answer)
    assert 'href="?q=atlas">Go to the first page' in answer.content.decode()


def test_a_search_that_finds_nothing_says_what_can_be_searched_for(admin: Client) -> None:
    words = text_of(admin.get(reverse("admin:sandboxes_sandbox_changelist"), {"q": "zzz"}))
    assert "Nothing matches. What can be searched for: part of a name or owner, or an id." in words
