"""What an open page asks for again: the rows on the screen, answered with 304 while nothing has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sandboxes import clock
from sandboxes.admin.live import EVERY
from sandboxes.core.vocabulary import Action, OperationStatus
from sandboxes.models import Operation, Owner, Sandbox
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.test import Client

LIST = "admin:sandboxes_sandbox_changelist"


def ask(browser: Client, address: str, tag: str = "", **query: Any) -> Any:
    headers = {"X-Live": "1", **({"If-None-Match": tag} if tag else {})}
    return browser.get(address, query, headers=headers)


CHANGES: dict[str, Callable[[Sandbox], object]] = {
    "its status": lambda row: Sandbox.objects.filter(pk=row.pk).update(status="stopped"),
    "its operation": lambda row: Operation.objects.filter(sandbox=row).update(step="another"),
    "its owner": lambda row: Owner.objects.filter(pk=row.owner_id).update(hold_since=clock.now()),
    "its projection": lambda row: rows.level(row, pushed_at=clock.now()),
    "the time": lambda row: clock.move(61),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_list_is_shown_anew_only_when_something_has_changed(admin: Client, change: str) -> None:
    row = rows.sandbox("moving", projection={"wanted_generation": 3})
    rows.operation(row, Action.STOP, OperationStatus.IN_PROGRESS)
    rows.sandbox("elsewhere")
    first = ask(admin, reverse(LIST), ids=[str(row.pk)])
    assert first.status_code == 200
    assert [one.name for one in first.context["cl"].result_list] == ["moving"]
    assert ask(admin, reverse(LIST), first["ETag"], ids=[str(row.pk)]).status_code == 304
    CHANGES[change](row)
    second = ask(admin, reverse(LIST), first["ETag"], ids=[str(row.pk)])
    assert second.status_code == 200
    assert second["ETag"] != first["ETag"]


def test_a_change_off_the_screen_changes_nothing(admin: Client) -> None:
    row, other = rows.sandbox("here"), rows.sandbox("elsewhere")
    first = ask(admin, reverse(LIST), ids=[str(row.pk)])
    Sandbox.objects.filter(pk=other.pk).update(status="stopped")
    assert ask(admin, reverse(LIST), first["ETag"], ids=[str(row.pk)]).status_code == 304


def test_asking_again_takes_few_queries(admin: Client) -> None:
    found = [rows.sandbox(f"box-{number}") for number in range(25)]
    ids = [str(row.pk) for row in found]
    tag = ask(admin, reverse(LIST), ids=ids)["ETag"]
    with CaptureQueriesContext(connection) as queries:
        assert ask(admin, reverse(LIST), tag, ids=ids).status_code == 304
    assert len(queries) <= 9, [query["sql"][:100] for query in queries]


def test_rows_on_the_screen_are_asked_for_whatever_has_become_of_them(admin: Client) -> None:
    row = rows.sandbox("gone", status="gone")
    answer = ask(admin, reverse(LIST), ids=[str(row.pk), "9d8b5c1e-0000-4000-8000-000000000000"])
    assert [one.name for one in answer.context["cl"].result_list] == ["gone"]
    assert ask(admin, reverse(LIST), ids=["nonsense"]).status_code == 302


@pytest.mark.parametrize("model", ["operation", "sandboxevent", "owner"])
def test_every_list_is_live(admin: Client, model: str) -> None:
    row = rows.sandbox()
    found: dict[str, Any] = {"operation": rows.operation(row), "sandboxevent": rows.event(row), "owner": row.owner}
    address = reverse(f"admin:sandboxes_{model}_changelist")
    first = ask(admin, address, ids=[str(found[model].pk)])
    assert f'["{found[model].pk}"]' in first.content.decode()
    assert ask(admin, address, first["ETag"], ids=[str(found[model].pk)]).status_code == 304


def test_no_page_hangs_on_the_clock_alone_within_a_minute(admin: Client) -> None:
    clock.move(EVERY - clock.here().timestamp() % EVERY)
    row = rows.sandbox(observed_at=rows.ago(seconds=5))
    operation = rows.operation(row, Action.STOP, OperationStatus.IN_PROGRESS, at=rows.ago(seconds=90))
    rows.event(row)
    pages = [
        reverse(LIST),
        reverse("admin:sandboxes_operation_changelist"),
        reverse("admin:sandboxes_sandbox_change", args=[row.pk]),
        reverse("admin:sandboxes_owner_change", args=[row.owner_id]),
        reverse("admin:sandboxes_operation_change", args=[operation.pk]),
    ]
    tags = [ask(admin, page)["ETag"] for page in pages]
    clock.move(EVERY - 1)
    again = {page: ask(admin, page, tag).status_code for page, tag in zip(pages, tags, strict=True)}
    assert again == dict.fromkeys(pages, 304)


def test_a_page_is_shown_anew_only_when_something_has_changed(admin: Client) -> None:
    row = rows.sandbox()
    operation = rows.operation(row, Action.STOP, OperationStatus.IN_PROGRESS)
    pages = [
        reverse("admin:sandboxes_sandbox_change", args=[row.pk]),
        reverse("admin:sandboxes_owner_change", args=[row.owner_id]),
        reverse("admin:sandboxes_operation_change", args=[operation.pk]),
    ]
    tags = [ask(admin, page)["ETag"] for page in pages]
    assert [ask(admin, page, tag).status_code for page, tag in zip(pages, tags, strict=True)] == [304] * 3
    Operation.objects.filter(pk=operation.pk).update(step="another")
    assert [ask(admin, page, tag).status_code for page, tag in zip(pages, tags, strict=True)] == [200] * 3
    assert "ETag" not in admin.get(pages[0]), "a page that is opened is never kept"
