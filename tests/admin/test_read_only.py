from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Action, Actor, OperationStatus, Source
from sandboxes.html import relative
from sandboxes.models import Notice, Sweep
from sandboxes.services import lifecycle, notices
from tests.admin.pages import text_of
from tests.support import rows

if TYPE_CHECKING:
    from django.test import Client


def test_an_operation_shows_its_code_with_the_remedy(admin: Client) -> None:
    operation = rows.operation(
        rows.sandbox(),
        Action.START,
        OperationStatus.FAILED,
        code="disk_quota_full",
        message="Total disk limit exceeded",
    )
    words = text_of(admin.get(reverse("admin:sandboxes_operation_change", args=[operation.pk])))
    assert "Archive or delete sandboxes; stopping frees no disk." in words
    assert "Total disk limit exceeded" in words


def test_operations_are_found_by_id_by_sandbox_and_by_request(admin: Client) -> None:
    one = rows.operation(rows.sandbox("one"), request_id="req-1")
    rows.operation(rows.sandbox("two"), request_id="req-2")
    address = reverse("admin:sandboxes_operation_changelist")
    for words in (str(one.pk), str(one.sandbox_id), "req-1"):
        assert list(admin.get(address, {"q": words}).context["cl"].result_list) == [one], words


@pytest.mark.parametrize(
    ("name", "value"), [("status", "failed"), ("action", "start"), ("action", "start,create"), ("code", "timeout")]
)
def test_operations_can_be_filtered(admin: Client, name: str, value: str) -> None:
    row = rows.sandbox()
    rows.operation(row)
    wanted = rows.operation(row, Action.START, OperationStatus.FAILED, code="timeout")
    found = admin.get(reverse("admin:sandboxes_operation_changelist"), {name: value}).context["cl"].result_list
    assert list(found) == [wanted]


@pytest.mark.parametrize("model", ["operation", "sandboxevent"])
def test_a_list_takes_few_queries(admin: Client, model: str) -> None:
    for number in range(30):
        rows.event(rows.sandbox(f"box-{number}"), operation=rows.operation(rows.sandbox(f"other-{number}")))
    with CaptureQueriesContext(connection) as queries:
        admin.get(reverse(f"admin:sandboxes_{model}_changelist"))
    assert len(queries) <= 13


def test_an_operation_names_its_sandbox_and_no_deadline_once_it_has_ended(admin: Client) -> None:
    row = rows.sandbox("atlas")
    ended = rows.operation(row, deadline=rows.ago(minutes=-9))
    active = rows.operation(row, status=OperationStatus.QUEUED, deadline=rows.ago(minutes=-9, seconds=-20))
    shown = [text_of(admin.get(reverse("admin:sandboxes_operation_change", args=[o.pk]))) for o in (ended, active)]
    assert all(f"Sandbox atlas {row.pk}" in words for words in shown)
    assert "Deadline" not in shown[0]
    assert "Deadline in 9 min" in shown[1]


def test_an_operation_says_what_it_changed_of_the_wish_and_what_it_asked_of_daytona(admin: Client) -> None:
    row = rows.sandbox("atlas", status="running", of="alice")
    stop = lifecycle.request(row.pk, Action.STOP, actor=Actor.owner("alice"), source=Source.API)
    page = reverse("admin:sandboxes_operation_change", args=[stop.pk])
    shown = text_of(admin.get(page))
    assert "Change of intent running → stopped by owner:alice" in shown
    assert "stop: " not in shown
    rows.call(
        stop,
        "stop",
        "refused",
        made_at=rows.ago(minutes=10),
        message="Sandbox is not in a stoppable state",
        times=3,
    )
    assert "stop: refused, 10 min ago , 3 times: Sandbox is not in a stoppable state" in text_of(admin.get(page))


def test_what_lies_ahead_is_rounded() -> None:
    ahead = {seconds: relative(rows.ago(seconds=-seconds)) for seconds in (86_395, 86_000, 3500, 5000, 50)}
    assert ahead == {86_395: "in 1 d", 86_000: "in 1 d", 3500: "in 58 min", 5000: "in 1 h", 50: "in 50 s"}


def test_an_event_shows_its_data(admin: Client) -> None:
    event = rows.event(rows.sandbox("atlas"), data={"generation": 7})
    words = text_of(admin.get(reverse("admin:sandboxes_sandboxevent_change", args=[event.pk])))
    assert '"generation": 7' in words


def test_a_notice_shows_count_and_remedy_and_can_be_filtered_by_open(admin: Client) -> None:
    notices.tell(NoticeCode.CONVEX_PAUSED, "The deployment is paused.")
    notices.tell(NoticeCode.CONVEX_PAUSED, "The deployment is still paused.")
    notices.tell(NoticeCode.ORPHANS, "2 orphans")
    notices.close(NoticeCode.ORPHANS)
    address = reverse("admin:sandboxes_notice_changelist")
    assert [row.code for row in admin.get(address, {"open": "yes"}).context["cl"].result_list] == ["convex_paused"]
    assert [row.code for row in admin.get(address, {"open": "no"}).context["cl"].result_list] == ["orphans"]
    notice = Notice.objects.get(code="convex_paused")
    words = text_of(admin.get(reverse("admin:sandboxes_notice_change", args=[notice.pk])))
    assert "Resume the deployment on Convex's dashboard" in words
    assert "The deployment is still paused." in words


def test_what_is_to_be_typed_is_marked_as_such(admin: Client) -> None:
    notices.tell(NoticeCode.WORKER_SILENT, "A worker is silent.")
    content = admin.get(reverse("admin:sandboxes_notice_changelist")).content.decode()
    assert content.count("Start <code>manage.py run_worker</code>; nothing moves without one.") == 2
    assert "`" not in content.split("<body")[1].split("A worker is silent.", 1)[1].split("<script")[0]


def test_a_refusal_tells_staff_what_they_can_do_themselves(admin: Client) -> None:
    operation = rows.operation(rows.sandbox(), status=OperationStatus.FAILED, code="daytona_rejected")
    words = text_of(admin.get(reverse("admin:sandboxes_operation_change", args=[operation.pk])))
    assert "Daytona refused the request. Daytona's words are in the sandbox's timeline." in words


def test_a_sweep_shows_what_it_found(admin: Client) -> None:
    Sweep.objects.create(result="partial", started_at=rows.ago(minutes=1), counts={"drift": 4, "orphans": 0})
    words = text_of(admin.get(reverse("admin:sandboxes_sweep_changelist")))
    assert "partial" in words
    assert "drift 4" in words
    assert "orphans" not in words
