"""The chart of usage, its table and its files, on the dashboard and an owner's page."""

from __future__ import annotations

import csv
import json
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.urls import reverse

from sandboxes import clock
from sandboxes.core.usage import hour_of
from sandboxes.core.vocabulary import EventKind
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


def test_the_quota_as_last_known_is_a_line(admin: Client) -> None:
    box = rows.sandbox()
    used("ada", 1, 3600)
    rows.event(
        box, EventKind.CALL, data={"daytona_message": "Total CPU limit exceeded. Maximum allowed: 4.\nUpgrade."}
    )
    chart, page = shown(admin, DASHBOARD)
    assert (chart["quota"], chart["most"], chart["bars"][0].height) == (4, 4, 25.0)
    assert "The line is the quota as last known: 4 vCPU." in page


def test_nothing_used_is_said(admin: Client) -> None:
    _, page = shown(admin, DASHBOARD)
    assert "Nothing was used in the last 24 hours." in page
    assert "no sweep has rolled it up yet" in page


def test_the_files_have_every_line_of_the_time(admin: Client) -> None:
    used("ada", 1, 3600), used("bob", 1, 7200), used("=cmd", 1, 1)
    chart, _ = shown(admin, f"{DASHBOARD}?usage=7d")
    answer: Any = admin.get(chart["files"]["csv"])
    lines = list(csv.DictReader(StringIO(b"".join(answer.streaming_content).decode())))
    found = [(line["owner"], line["vcpu_hours"]) for line in lines]
    assert found == [("'=cmd", "0.0"), ("ada", "1.0"), ("bob", "2.0")]
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
