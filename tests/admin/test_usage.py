"""The chart of usage, its table and its files, on the dashboard and an owner's page."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sandboxes import clock
from sandboxes.core.usage import hour_of
from sandboxes.models import UsageHour
from sandboxes.templatetags.sandkeeper import quantity
from tests.admin import members
from tests.support import rows

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db
DASHBOARD = reverse("admin:index")


@pytest.fixture(autouse=True)
def half_past() -> None:
    """It is half past noon, and stays so."""
    clock.stop()
    now = clock.now()
    clock.move((now.replace(hour=12, minute=30, second=0, microsecond=0) - now).total_seconds())


def used(owner: str, hours_ago: int, seconds: int, measure: str = "vcpu_seconds", **fields: Any) -> UsageHour:
    hour = hour_of(clock.now()) - timedelta(hours=hours_ago)
    return UsageHour.objects.create(
        owner=owner,
        hour=hour,
        measure=measure,
        value=seconds,
        tier="basic",
        region="us",
        rolled_up_at=hour,
        **fields,
    )


def shown(client: Client, url: str) -> tuple[Any, str]:
    """What the chart was made from, and the page."""
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.context["usage"], answer.content.decode()


def test_bars_are_averages_of_their_time_the_present_one_of_what_is_over(admin: Client) -> None:
    used("ada", 0, 3600), used("ada", 1, 7200), used("bob", 1, 7200), used("bob", 30, 999)
    chart, page = shown(admin, DASHBOARD)
    assert [(bar.start.hour, bar.vcpu, bar.height) for bar in chart["bars"]] == [(11, 4.0, 100.0), (12, 2.0, 50.0)]
    assert chart["total"].vcpu_hours == 5.0
    assert page.count("<rect ") == 2
    assert 'role="img" aria-label="vCPU in use on average by hour, the last 24 hours: at most 4.0.' in page
    assert "<strong>5.0 vCPU hours</strong>" in page


@pytest.mark.parametrize(("span", "bars"), [("24h", 1), ("7d", 2), ("90d", 3), ("other", 1)])
def test_three_spans(admin: Client, span: str, bars: int) -> None:
    used("ada", 1, 3600), used("ada", 24 * 3, 3600), used("ada", 24 * 60, 3600), used("ada", 24 * 95, 3600)
    chart, _ = shown(admin, f"{DASHBOARD}?usage={span}")
    assert len(chart["bars"]) == bars
    assert all(bar.x >= 0 and bar.x + bar.width <= 100 for bar in chart["bars"])


def test_an_owners_page_shows_theirs(admin: Client) -> None:
    rows.owner("ada")
    used("ada", 1, 3600), used("bob", 1, 7200), used("ada", 1, 3, "evictions")
    chart, page = shown(admin, reverse("admin:sandboxes_owner_change", args=["ada"]))
    assert (chart["total"].vcpu_hours, chart["total"].evictions) == (1.0, 3)
    assert "bob" not in page


def told(hours_ago: int, limit: int, region: str = "us", of_class: str = "container") -> UsageHour:
    hour = hour_of(clock.now()) - timedelta(hours=hours_ago)
    return UsageHour.objects.create(
        owner="", hour=hour, measure="vcpu_quota", value=limit, tier=of_class, region=region, rolled_up_at=hour
    )


def test_the_quota_as_last_known_is_a_line_with_a_step_where_it_changed(admin: Client) -> None:
    used("ada", 1, 3600)
    told(200, 8), told(100, 2), told(12, 4)
    chart, page = shown(admin, DASHBOARD)
    assert (chart["most"], chart["bars"][0].height) == (4, 25.0)
    assert chart["line"].startswith("M0.000 50.00H4.167V50.00H8.333")
    assert chart["line"].endswith(
        "V50.00H45.833V0.00H50.000" + "".join(f"V0.00H{n * 100 / 24:.3f}" for n in range(13, 25))
    )
    assert "The line is the quota as last known in its time; now 4 vCPU in us." in page
    assert chart["total"].vcpu_hours == 1.0


def test_a_line_begins_where_a_quota_was_told_first(admin: Client) -> None:
    used("ada", 1, 3600)
    told(1, 4)
    chart, _ = shown(admin, DASHBOARD)
    assert chart["line"] == "M91.667 0.00H95.833V0.00H100.000"


def test_usage_is_summed_in_one_statement(admin: Client) -> None:
    used("user_ada", 2, 3600)
    with CaptureQueriesContext(connection) as queries:
        admin.get(DASHBOARD)
    asked = [one["sql"] for one in queries if "sandboxes_usagehour" in one["sql"]]
    assert len([sql for sql in asked if "SUM(" in sql]) == 1
    assert not [sql for sql in asked if "DISTINCT" in sql]


def test_regions_are_added_up_or_shown_alone(admin: Client) -> None:
    used("ada", 1, 3600)
    UsageHour.objects.update(region="eu")
    used("bob", 1, 7200)
    told(30, 8), told(30, 4, of_class="linux-vm")
    chart, page = shown(admin, DASHBOARD)
    assert (chart["regions"], chart["bars"][0].vcpu, chart["line"]) == (["eu", "us"], 3.0, "")
    assert "The quota as last known, of all owners together: 8 vCPU in us, 4 vCPU in us for linux-vm." in page
    assert "usage_region=eu" in page
    told(30, 5, "eu")
    assert shown(admin, DASHBOARD)[0]["most"] == 17
    chart, page = shown(admin, f"{DASHBOARD}?usage_region=eu")
    assert (chart["bars"][0].vcpu, chart["most"], chart["total"].vcpu_hours) == (1.0, 5, 1.0)
    assert "now 5 vCPU in eu." in page
    assert shown(admin, f"{DASHBOARD}?usage_region=mars")[0]["region"] == ""


def test_an_owners_bars_are_not_dwarfed_by_the_quota(admin: Client) -> None:
    rows.owner("ada")
    used("ada", 1, 3600), told(3, 100)
    chart, page = shown(admin, reverse("admin:sandboxes_owner_change", args=["ada"]))
    assert (chart["most"], chart["line"]) == (1.0, "")
    assert "The quota as last known, of all owners together: 100 vCPU in us." in page


def test_what_is_in_use_stands_beside_the_quota(admin: Client) -> None:
    rows.sandbox(target="us", cpu=2, memory_gb=6)
    told(3, 8)
    _, page = shown(admin, DASHBOARD)
    assert '<td class="sk-number">2 of 8</td><td class="sk-number">6</td>' in page


def test_nothing_used_is_said(admin: Client) -> None:
    _, page = shown(admin, DASHBOARD)
    assert "Nothing was used in the last 24 hours." in page
    assert "no sweep has rolled it up yet" in page


def test_the_files_have_every_line_of_the_time(admin: Client) -> None:
    used("ada", 1, 3600), used("bob", 1, 7200), used("=cmd", 1, 1), told(30, 8)
    chart, _ = shown(admin, f"{DASHBOARD}?usage=7d")
    answer: Any = admin.get(chart["files"]["csv"])
    lines = list(csv.DictReader(StringIO(b"".join(answer.streaming_content).decode())))
    found = [(line["owner"], line["vcpu_hours"], line["vcpu_quota_of_region"]) for line in lines]
    assert found == [("'=cmd", "0.0", "8"), ("ada", "1.0", "8"), ("bob", "2.0", "8")]
    answer = admin.get(f"{chart['files']['jsonl']}&owner=ada")
    (of_ada,) = answer.streaming_content
    assert json.loads(of_ada)["vcpu_hours"] == 1.0
    assert admin.get(reverse("admin:sandboxes_owner_usage") + "?format=xml").status_code == 400


def test_who_may_not_see_owners_sees_no_usage(client: Client) -> None:
    client.force_login(members.member("vic", "view_sandbox"))
    used("ada", 1, 3600)
    chart, page = shown(client, DASHBOARD)
    assert chart is None
    assert 'id="usage"' not in page
    assert client.get(reverse("admin:sandboxes_owner_usage")).status_code == 403


@pytest.mark.parametrize(("value", "text"), [(0.0, "0.0"), (0.0042, "0.0042"), (0.25, "0.25"), (1.04, "1.0")])
def test_a_little_does_not_look_like_nothing(value: float, text: str) -> None:
    assert quantity(value) == text
