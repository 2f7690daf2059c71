from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Action, EventKind, OperationStatus, Status
from sandboxes.models import CircuitBreaker, Sweep, WorkerHeartbeat
from sandboxes.services import notices
from tests.admin.pages import text_of
from tests.support import rows

if TYPE_CHECKING:
    from django.test import Client


def shown(browser: Client) -> str:
    return text_of(browser.get(reverse("admin:index")))


def test_sandboxes_are_counted_by_status_and_each_number_leads_to_what_it_counts(admin: Client) -> None:
    for status in (Status.RUNNING, Status.RUNNING, Status.ERROR, Status.GONE):
        rows.sandbox(status=status)
    content = admin.get(reverse("admin:index")).content.decode()
    counts = re.findall(r'href="([^"]+)" data-status="(\w+)".*?sk-big">(\d+)<', content, flags=re.DOTALL)
    assert {status: int(count) for _, status, count in counts if count != "0"} == {
        "running": 2,
        "error": 1,
        "gone": 1,
    }
    for address, status, count in counts:
        found = admin.get(address).context["cl"].result_list
        assert len(found) == int(count)
        assert {row.status for row in found} <= {status}


def test_compute_in_use_is_summed_by_region(admin: Client) -> None:
    rows.sandbox(target="eu", cpu=2, memory_gb=4)
    rows.sandbox(target="eu", cpu=4, memory_gb=8)
    rows.sandbox(target="us", cpu=1, memory_gb=1)
    rows.sandbox(target="eu", cpu=9, memory_gb=9, status=Status.STOPPED)
    words = shown(admin)
    assert "eu container 2 6 12" in words
    assert "us container 1 1 1" in words


def test_the_last_refusal_for_lack_of_room_is_quoted(admin: Client) -> None:
    assert "Daytona has not refused anything for lack of quota." in shown(admin)
    rows.operation(
        rows.sandbox(), Action.START, OperationStatus.FAILED, code="quota_too_small", message="Maximum allowed: 10."
    )
    assert "quota_too_small \u2013 Maximum allowed: 10." in shown(admin)


def test_the_quota_is_quoted_as_daytona_last_refused_with_it(admin: Client) -> None:
    words = "Total CPU limit exceeded. Maximum allowed: 10."
    row = rows.sandbox(target="eu")
    operation = rows.operation(row, Action.START)
    refusal: dict[str, Any] = {
        "kind": EventKind.CALL,
        "operation": operation,
        "data": {"daytona_message": words, "quota": {"CPU": 10.0}},
    }
    rows.event(row, at=rows.ago(minutes=5), **refusal)
    older = {"daytona_message": "Total disk limit exceeded. Maximum allowed: 9GiB.", "quota": {"disk": 9.0}}
    rows.event(row, at=rows.ago(minutes=9), **(refusal | {"data": older}))
    rows.event(row, EventKind.CALL, "start: refused", data={"daytona_message": "Sandbox is not stopped"})
    assert f"The quota as last refused, 5 min ago in eu: {words}" in shown(admin)


def test_time_to_running_is_a_median_and_a_p95(admin: Client) -> None:
    row = rows.sandbox()
    for seconds in (1, 1, 2, 3, 30):
        start = rows.ago(hours=2)
        rows.operation(row, Action.START, at=start, finished_at=start + timedelta(seconds=seconds))
    assert "Time to running 2.0 s median of 5 in 24 hours; p95 30.0 s" in shown(admin)


def test_the_oldest_in_progress_names_itself(admin: Client) -> None:
    assert "no operation is in progress" in shown(admin)
    rows.operation(rows.sandbox("young"), Action.STOP, OperationStatus.QUEUED, at=rows.ago(seconds=5))
    rows.operation(
        rows.sandbox("old"),
        Action.START,
        OperationStatus.IN_PROGRESS,
        at=rows.ago(minutes=4),
        step="waiting for capacity",
    )
    assert "4 min start of old: waiting for capacity; 2 in progress" in shown(admin)


def test_operations_per_hour_are_charted_with_their_failures(admin: Client) -> None:
    row = rows.sandbox()
    for status in (OperationStatus.SUCCEEDED, OperationStatus.SUCCEEDED, OperationStatus.FAILED):
        rows.operation(row, status=status, at=rows.ago(seconds=1))
    rows.operation(row, at=rows.ago(days=3))
    chart = json.loads(admin.get(reverse("admin:index")).context["chart"])
    totals = {series["label"]: sum(series["data"]) for series in chart["datasets"]}
    assert totals == {"succeeded": 2, "failed": 1, "cancelled or in progress": 0}
    assert len(chart["labels"]) == 24


def test_convex_lag_is_that_of_the_longest_waiting_row(admin: Client) -> None:
    assert "every sandbox is up to date" in shown(admin)
    for since in (rows.ago(minutes=2), rows.ago(minutes=6, seconds=1)):
        rows.sandbox(projection={"wanted_generation": 3, "behind_since": since})
    assert "Convex lag 6 min 2 behind" in shown(admin)
    CircuitBreaker.objects.all().delete()
    assert "Convex lag off Convex is not configured" in shown(admin)


def test_the_last_sweep_workers_and_top_owners_are_shown(admin: Client) -> None:
    words = shown(admin)
    assert "No sweep has run. Start one with manage.py reconcile_sandboxes" in words
    assert "No worker has been seen." in words
    assert "There are no sandboxes yet. Create one" in words
    Sweep.objects.create(result="complete", started_at=rows.ago(seconds=30), counts={"drift": 4, "orphan": 2})
    beats: dict[str, Any] = {"host": "worker-1", "pid": 1, "places": 4, "started_at": rows.ago(hours=1)}
    WorkerHeartbeat.objects.create(worker_id="one", beat_at=rows.ago(seconds=2), **beats)
    WorkerHeartbeat.objects.create(worker_id="two", beat_at=rows.ago(minutes=9), **beats)
    rows.sandbox(of="user_small", cpu=1)
    rows.sandbox(of="user_big", cpu=8)
    words = shown(admin)
    assert "Listed 0 Looked at 0 Drift 4 Missing 0 Orphan 2" in words
    assert "at work" in words
    assert "silent" in words
    owners = words.split("Top owners")[1]
    assert owners.index("user_big") < owners.index("user_small")


def test_a_sweep_under_way_does_not_hide_what_the_last_one_found(admin: Client) -> None:
    Sweep.objects.create(result="complete", started_at=rows.ago(seconds=40), counts={"drift": 4})
    Sweep.objects.create(started_at=rows.ago(seconds=5))
    words = shown(admin)
    assert re.search(r"One is under way since \d+ s ago complete \d+ s ago", words)
    assert "Drift 4" in words


@pytest.mark.parametrize(("tile", "counted"), [("Time to running", 2), ("Failed operations", 1)])
def test_a_tile_leads_to_the_operations_that_it_counts(admin: Client, tile: str, counted: int) -> None:
    row = rows.sandbox()
    for at in (rows.ago(hours=2), rows.ago(days=3)):
        rows.operation(row, Action.CREATE, at=at)
        rows.operation(row, Action.RECOVER, at=at)
        rows.operation(row, Action.STOP, at=at)
        rows.operation(row, Action.START, OperationStatus.FAILED, code="timeout", at=at)
    content = admin.get(reverse("admin:index")).content.decode()
    (address,) = re.findall(rf'href="([^"]+)"><span class="sk-faint">{tile}<', content)
    assert len(admin.get(unescape(address)).context["cl"].result_list) == counted


def test_open_notices_are_a_banner_on_every_page_until_they_are_closed(admin: Client) -> None:
    notices.tell(NoticeCode.ORG_SUSPENDED, "The organisation is suspended.")
    pages = [
        "admin:index",
        "admin:sandboxes_sandbox_changelist",
        "admin:sandboxes_sandbox_add",
        "admin:auth_user_add",
    ]
    for name in [*pages, "admin:password_change", "admin:sandboxes_sweep_changelist"]:
        words = text_of(admin.get(reverse(name)))
        assert "The organisation is suspended. Settle it with Daytona" in words, name
    notices.close(NoticeCode.ORG_SUSPENDED)
    assert "suspended" not in shown(admin)


def test_the_dashboard_takes_as_many_queries_for_many_rows_as_for_few(admin: Client) -> None:
    def taken() -> int:
        with CaptureQueriesContext(connection) as queries:
            admin.get(reverse("admin:index"))
        return len(queries)

    rows.operation(rows.sandbox())
    few = taken()
    for number in range(20):
        rows.operation(rows.sandbox(of=f"user_{number}", target=f"region-{number}"))
    assert taken() == few
    assert few <= 25
