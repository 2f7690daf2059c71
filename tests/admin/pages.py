"""Reading pages as a person would: by their words."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

from django.urls import reverse

from sandboxes.services import jobs

if TYPE_CHECKING:
    from django.test import Client

    from sandboxes.models import Sandbox


def text_of(response: Any) -> str:
    """The words of a page, without its tags; fails unless it was answered with 200."""
    assert response.status_code == 200, response.status_code
    bare = re.sub(r"<(script|style).*?</\1>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", bare)).split())


def listing(browser: Client, **query: str) -> str:
    return text_of(browser.get(reverse("admin:sandboxes_sandbox_changelist"), query))


def names_listed(browser: Client, **query: str) -> list[str]:
    """The names of the sandboxes that the list shows, sorted."""
    response = browser.get(reverse("admin:sandboxes_sandbox_changelist"), query)
    assert response.status_code == 200, response.headers.get("Location", response.status_code)
    return sorted(row.name for row in response.context["cl"].result_list)


def page(browser: Client, sandbox: Sandbox, **query: str) -> Any:
    return browser.get(reverse("admin:sandboxes_sandbox_change", args=[sandbox.pk]), query)


def act(browser: Client, verb: str, *sandboxes: Sandbox, **fields: str) -> Any:
    """Press a verb's button for these sandboxes."""
    data: dict[str, Any] = {"_selected_action": [str(row.pk) for row in sandboxes], **fields}
    return browser.post(reverse(f"admin:sandboxes_sandbox_act_{verb}"), data, follow=True)


def confirm(browser: Client, verb: str, *sandboxes: Sandbox, reason: str = "maintenance", **fields: str) -> Any:
    """Press it, and press it again on the page that asks."""
    return act(browser, verb, *sandboxes, confirmed="1", reason=reason, hours="24", **fields)


def worked(browser: Client, asked: Any) -> Any:
    """The page of the job that this became, once a worker has requested all of it."""
    while jobs.work():
        pass
    return browser.get(asked.redirect_chain[-1][0])
