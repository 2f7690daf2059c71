from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sandboxes.core.usage import Measure
from sandboxes.models import UsageHour
from tests.admin import members
from tests.api.callers import ALL, Api, problem, program, signed_in

if TYPE_CHECKING:
    from tests.support.issuer import Issuer

pytestmark = pytest.mark.django_db
MAY = datetime(2026, 5, 1, tzinfo=UTC)
IN_MAY = "from=2026-05-01&to=2026-06-01"


def used(owner: str, hours: int, value: int = 3600, **fields: Any) -> UsageHour:
    """So many vCPU seconds (or what is named) in that hour of May."""
    made = {"measure": Measure.VCPU_SECONDS, "tier": "basic", "region": "us"} | fields
    hour = MAY + timedelta(hours=hours)
    return UsageHour.objects.create(owner=owner, hour=hour, value=value, rolled_up_at=hour, **made)


def finance() -> Api:
    return program(None, scopes=["sandboxes:read", "sandboxes:any"])


def lines(api: Api, query: str) -> list[tuple[str, str, float]]:
    return [
        (line["owner"], line["start"], line["vcpu_hours"]) for line in api.get(f"/usage?{query}").json()["results"]
    ]


def test_a_key_for_all_sees_each_owner_by_day_tier_and_region() -> None:
    used("ada", 0), used("ada", 1), used("ada", 30, tier="standard"), used("ada", 30, region="eu"), used("bob", 2)
    used("ada", -1), used("ada", 31 * 24)
    found = finance().get(f"/usage?{IN_MAY}").json()["results"]
    assert [(one["owner"], one["start"], one["tier"], one["target"], one["vcpu_hours"]) for one in found] == [
        ("ada", "2026-05-01T00:00:00Z", "basic", "us", 2.0),
        ("ada", "2026-05-02T00:00:00Z", "basic", "eu", 1.0),
        ("ada", "2026-05-02T00:00:00Z", "standard", "us", 1.0),
        ("bob", "2026-05-01T00:00:00Z", "basic", "us", 1.0),
    ]


def test_all_figures() -> None:
    for measure in (Measure.SANDBOX_SECONDS, Measure.VCPU_SECONDS, Measure.MEMORY_GIB_SECONDS):
        used("ada", 0, 1800, measure=measure)
    used("ada", 0, 3, measure=Measure.EVICTIONS), used("ada", 0, 2, measure=Measure.REFUSALS)
    used("ada", 0, 9, measure=Measure.STARTS, bound=1000), used("ada", 1, 1, measure=Measure.STARTS, bound=4000)
    (line,) = finance().get(f"/usage?{IN_MAY}&period=month").json()["results"]
    assert line == {
        "start": "2026-05-01T00:00:00Z", "owner": "ada", "tier": "basic", "target": "us",
        "sandbox_hours": 0.5, "vcpu_hours": 0.5, "memory_gib_hours": 0.5, "evictions": 3, "refusals": 2,
        "starts": 10, "time_to_running_p50": 1.0, "time_to_running_p95": 4.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("period", "starts"),
    [
        ("hour", ["2026-05-01T00:00:00Z", "2026-05-01T01:00:00Z", "2026-05-03T00:00:00Z"]),
        ("day", ["2026-05-01T00:00:00Z", "2026-05-03T00:00:00Z"]),
        ("month", ["2026-05-01T00:00:00Z"]),
    ],
)
def test_periods(period: str, starts: list[str]) -> None:
    used("ada", 0), used("ada", 1), used("ada", 48)
    found = lines(finance(), f"from=2026-05-01&to=2026-05-08&period={period}")
    assert [start for _, start, _ in found] == starts


def test_owners_see_themselves_alone(issuer: Issuer) -> None:
    used("ada", 0), used("bob", 0, 7200)
    for api in (Api(Authorization=f"Bearer {issuer.token('bob')}"), program("bob"), program("bob", scopes=ALL)):
        assert lines(api, IN_MAY) == [("bob", "2026-05-01T00:00:00Z", 2.0)]
        assert lines(api, f"{IN_MAY}&owner=ada") == []
        assert lines(api, f"{IN_MAY}&owner=bob") == lines(api, IN_MAY)


def test_a_key_that_names_nobody_is_refused() -> None:
    problem(program(None, scopes=["sandboxes:read"]).get("/usage"), "owner_required")


def test_staff_see_all_or_whom_they_ask_for() -> None:
    used("ada", 0), used("bob", 0)
    staff = signed_in(members.viewer())
    assert [owner for owner, _, _ in lines(staff, IN_MAY)] == ["ada", "bob"]
    assert [owner for owner, _, _ in lines(staff, f"{IN_MAY}&owner=bob")] == ["bob"]


def test_pages_are_of_owners_and_leave_out_none() -> None:
    for number in range(5):
        used(f"owner-{number}", 0), used(f"owner-{number}", 40)
    api, found, query = finance(), [], f"{IN_MAY}&limit=2"
    pages = 0
    while query:
        answer = api.get(f"/usage?{query}").json()
        found += [line["owner"] for line in answer["results"]]
        query = (answer["next"] or "").partition("?")[2]
        pages += 1
    assert pages == 3
    assert found == [f"owner-{number // 2}" for number in range(10)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("from=0001-01-01T00:00:00%2B23:00", "from"),
        ("from=2026-05-02&to=2026-05-01", "to"),
        ("from=2026-05-01&to=2026-05-09&period=hour", "to"),
        ("from=2025-01-01&to=2026-05-01", "to"),
        ("period=week", "period"),
        ("since=2026-05-01", "since"),
        ("owner=", "owner"),
        ("limit=0", "limit"),
    ],
)
def test_a_query_that_does_not_fit_is_named(query: str, field: str) -> None:
    found = problem(finance().get(f"/usage?{query}"), "invalid_request")
    assert [error["field"] for error in found["errors"]] == [field]


def test_the_quotas_are_told_to_who_sees_all_owners(issuer: Issuer) -> None:
    quota = {"measure": Measure.VCPU_QUOTA, "tier": "container"}
    used("", -50, 4, **quota), used("", -9, 8, **quota), used("", 30, 16, **quota), used("", 31 * 24, 32, **quota)
    used("", 5, 64, measure=Measure.MEMORY_GIB_QUOTA, tier="container", region="eu")
    answer = finance().get(f"/usage?{IN_MAY}").json()
    assert answer["results"] == []
    of_us = {"target": "us", "sandbox_class": "container", "resource": "vcpu"}
    assert answer["quotas"] == [
        {"start": "2026-04-30T15:00:00Z", **of_us, "limit": 8},
        {
            "start": "2026-05-01T05:00:00Z",
            "target": "eu",
            "sandbox_class": "container",
            "resource": "memory_gib",
            "limit": 64,
        },
        {"start": "2026-05-02T06:00:00Z", **of_us, "limit": 16},
    ]
    for api in (Api(Authorization=f"Bearer {issuer.token('bob')}"), program("bob", scopes=ALL)):
        assert api.get(f"/usage?{IN_MAY}").json()["quotas"] == []


def test_the_month_until_now_is_the_default_and_it_says_up_to_when_it_is_known() -> None:
    answer = finance().get("/usage").json()
    assert answer == {"results": [], "quotas": [], "next": None, "known_until": None}


def test_statements_of_a_page() -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as made:
            api.get(f"/usage?{IN_MAY}")
        return len(made)

    api = finance()
    used("ada", 0), api.get("/usage")
    few = statements()
    for number in range(20):
        used(f"owner-{number}", number)
    assert statements() == few
