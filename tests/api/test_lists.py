from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.test import Client
from django.utils import timezone

from sandboxes.models import Sandbox
from tests.api.callers import ALL, Api, problem, program
from tests.support import rows

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db


def names(api: Api, query: str = "") -> list[str]:
    return [row["name"] for row in api.get(f"/sandboxes{query}").json()["results"]]


def all_pages(api: Api, path: str) -> list[dict[str, Any]]:
    """Follow `next` to the end."""
    found: list[dict[str, Any]] = []
    answer = api.get(path).json()
    while True:
        found += answer["results"]
        if answer["next"] is None:
            return found
        assert answer["results"], "a page that is not the last one is never empty"
        headers = {name.replace("_", "-"): value for name, value in api.headers.items()}
        answer = Client().get(answer["next"], headers=headers).json()


@pytest.mark.parametrize(
    "order", ["created_at", "-created_at", "name", "-name", "updated_at", "last_used", "-last_used"]
)
def test_pages_show_every_row_once_in_order(alice: Api, order: str) -> None:
    moment = rows.ago(days=1)
    for number in range(23):  # many with equal values: a page ends between them
        rows.sandbox(
            f"box {number % 3}", of="alice", created_at=moment + timedelta(seconds=number % 4),
            last_accessed_at=None if number % 5 == 0 else moment + timedelta(seconds=number % 2),
        )  # fmt: skip
    found = all_pages(alice, f"/sandboxes?limit=5&order={order}")
    assert len({row["id"] for row in found}) == len(found) == 23
    field = {"last_used": None}.get(order.lstrip("-"), order.lstrip("-"))
    values = [row[field] if field else row["last_accessed_at"] or row["created_at"] for row in found]
    assert values == sorted(values, reverse=order.startswith("-"))


def test_a_row_made_while_one_pages_moves_no_other(alice: Api) -> None:
    for number in range(6):
        rows.sandbox(f"box {number}", of="alice", created_at=rows.ago(minutes=number + 1))
    first = alice.get("/sandboxes?limit=3").json()
    rows.sandbox("newest", of="alice", created_at=timezone.now())
    headers = {name.replace("_", "-"): value for name, value in alice.headers.items()}
    rest = Client().get(first["next"], headers=headers).json()["results"]
    assert [row["name"] for row in [*first["results"], *rest]] == [f"box {n}" for n in range(6)]


def test_filters_narrow_the_list(alice: Api) -> None:
    rows.sandbox("runs", of="alice", harness_id="h1", resource_tier="standard", target="us")
    rows.sandbox("rests", of="alice", status="stopped")
    rows.sandbox("broken", of="alice", status="error")
    assert names(alice, "?status=running") == ["runs"]
    assert set(names(alice, "?status=stopped&status=error")) == {"rests", "broken"}
    assert names(alice, "?intent=stopped") == ["rests"]
    assert names(alice, "?harness_id=h1") == ["runs"]
    assert names(alice, "?tier=standard") == ["runs"]
    assert names(alice, "?target=us") == ["runs"]
    assert names(alice, "?q=RES") == ["rests"]
    box = Sandbox.objects.get(name="broken")
    assert names(alice, f"?q={box.pk}") == names(alice, f"?q={box.daytona_id}") == ["broken"]


def test_gone_ones_are_shown_when_asked_for(alice: Api) -> None:
    rows.sandbox("there", of="alice")
    rows.sandbox("gone", of="alice", status="gone")
    assert names(alice) == ["there"]
    assert names(alice, "?status=gone") == ["gone"]
    assert set(names(alice, "?updated_since=2020-01-01T00:00:00Z")) == {"there", "gone"}


def test_updated_since_is_a_feed_of_changes(alice: Api) -> None:
    old = rows.sandbox("old", of="alice")
    Sandbox.objects.filter(pk=old.pk).update(updated_at=rows.ago(days=1))
    rows.sandbox("new", of="alice")
    since = rows.ago(hours=1).isoformat().replace("+", "%2B")
    assert names(alice, f"?updated_since={since}&order=updated_at") == ["new"]


def test_a_key_for_any_owner_filters_by_owner(alice: Api) -> None:
    rows.sandbox("hers", of="alice")
    rows.sandbox("his", of="bob")
    every = program(None, scopes=[*ALL, "sandboxes:any"])
    assert names(every, "?owner=bob") == ["his"]
    assert set(names(every)) == {"hers", "his"}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=sleeping", "status"),
        ("intent=x", "intent"),
        ("updated_since=yesterday", "updated_since"),
        ("statsu=running", "statsu"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=%C2%B2", "limit"),
        ("limit=000000050123", "limit"),
        ("limit=00000005099999999999999999999", "limit"),
        ("updated_since=0001-01-01T00:00:00%2B14:00", "updated_since"),
        ("updated_since=9999-12-31T23:59:59-12:00", "updated_since"),
        ("order=colour", "order"),
        ("order=--name", "order"),
        ("cursor=nonsense", "cursor"),
        ("cursor=bnVsbA", "cursor"),
        ("cursor=WzEsMiwzXQ", "cursor"),
        ("q=%00", "q"),
        ("owner=%00", "owner"),
        ("updated_since=", "updated_since"),
        ("q=", "q"),
    ],
)
def test_a_query_that_does_not_fit_is_named(alice: Api, query: str, field: str) -> None:
    found = problem(alice.get(f"/sandboxes?{query}"), "invalid_request")
    assert [error["field"] for error in found["errors"]] == [field]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-12:00", "0000-01-01"])
def test_a_moment_outside_all_years_is_named(alice: Api, moment: str) -> None:
    found = problem(alice.get(f"/operations?created_since={moment}"), "invalid_request")
    assert [error["field"] for error in found["errors"]] == ["created_since"]


def test_a_cursor_belongs_to_its_list(alice: Api, atlas: Sandbox) -> None:
    for number in range(2):
        rows.operation(atlas, "stop", "succeeded", created_at=rows.ago(minutes=number))
    following = alice.get("/operations?limit=1&order=created_at").json()["next"]
    cursor = following.partition("cursor=")[2].partition("&")[0]
    for path in ["/sandboxes", f"/sandboxes/{atlas.pk}/operations"]:
        problem(alice.get(f"{path}?order=created_at&cursor={cursor}"), "invalid_request")


def test_an_address_of_a_page_is_short_whatever_the_name(alice: Api) -> None:
    for _ in range(2):
        rows.sandbox("\N{GRINNING FACE}" * 200, of="alice")
    following = alice.get("/sandboxes?limit=1&order=name").json()["next"]
    assert len(following) < 1500
    headers = {name.replace("_", "-"): value for name, value in alice.headers.items()}
    assert len(Client().get(following, headers=headers).json()["results"]) == 1


def test_a_cursor_belongs_to_its_order(alice: Api) -> None:
    for number in range(3):
        rows.sandbox(f"box {number}", of="alice")
    following = alice.get("/sandboxes?limit=1&order=name").json()["next"]
    cursor = following.partition("cursor=")[2].partition("&")[0]
    problem(alice.get(f"/sandboxes?order=created_at&cursor={cursor}"), "invalid_request")


def test_a_list_of_fifty_takes_four_queries(
    alice: Api, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(60):
        rows.operation(rows.sandbox(f"box {number}", of="alice"), "stop", "in_progress")
    alice.get("/sandboxes")  # writes the key's last use
    with django_assert_max_num_queries(4):
        assert len(alice.get("/sandboxes").json()["results"]) == 50
    with django_assert_max_num_queries(4):
        assert len(alice.get("/operations").json()["results"]) == 50


# Operations and events


def test_operations_are_listed_and_filtered(alice: Api, atlas: Sandbox) -> None:
    other = rows.sandbox("other", of="alice")
    rows.operation(atlas, "stop", "succeeded", request_id="r1")
    rows.operation(other, "start", "failed", code="capacity_exhausted")
    actions = lambda query: [row["action"] for row in alice.get(f"/operations{query}").json()["results"]]  # noqa: E731
    assert sorted(actions("")) == ["start", "stop"]
    assert actions("?status=failed") == ["start"]
    assert actions("?action=stop") == ["stop"]
    assert actions("?code=capacity_exhausted") == ["start"]
    assert actions("?request_id=r1") == ["stop"]
    assert actions("?created_since=2999-01-01T00:00:00Z") == []
    assert [row["action"] for row in alice.get(f"/sandboxes/{atlas.pk}/operations").json()["results"]] == ["stop"]


def test_events_come_newest_first_and_in_pages(alice: Api, atlas: Sandbox) -> None:
    for number in range(12):
        rows.event(atlas, text=f"change {number}", at=rows.ago(minutes=60 - number // 2))
    found = all_pages(alice, f"/sandboxes/{atlas.pk}/events?limit=5")
    assert [row["message"] for row in found] == [f"change {n}" for n in reversed(range(12))]


@pytest.mark.parametrize("path", ["/sandboxes", "/operations", "/capacity"])
def test_lists_need_credentials(path: str) -> None:
    problem(Api().get(path), "unauthenticated")
    problem(Api(Authorization="Bearer sandkeeper_a_b").get(path), "invalid_token")
