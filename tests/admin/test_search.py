"""What support has in hand is found, on every list and by Ctrl-K, on both databases alike."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sandboxes import clock
from sandboxes.core.causes import Cause, cause_of
from sandboxes.core.vocabulary import EventKind
from sandboxes.models import SandboxEvent
from tests.admin.pages import names_listed, page, text_of
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.test import Client

    from sandboxes.models import Sandbox

FOUND = [
    "Atl", "tlas", "ATLAS", "user_bo", "bob", "_bob", "{id}", "{hex}", "{start}", "{daytona}", "lab-00",
    "{operation}", "req-77", "atl user_b", "b tlas", "at",
]  # fmt: skip


def named(words: str) -> str:
    row = rows.sandbox("My Atlas", of="user_bob", daytona_name="old-lab-007")
    operation = rows.operation(row, request_id="req-77")
    rows.operation(rows.sandbox("Borealis", of="user_alice"), request_id="req-78")
    names = {"id": row.pk, "hex": row.pk.hex, "start": row.pk.hex[:8], "daytona": row.daytona_id}
    return words.format(**names, operation=operation.pk)


@pytest.mark.parametrize("words", [*FOUND[:-2], "my"])
def test_a_sandbox_is_found_by_whatever_names_it(admin: Client, words: str) -> None:
    assert names_listed(admin, q=named(words)) == ["My Atlas"]


@pytest.mark.parametrize("words", ["00000000-0000-4000-8000-000000000000", "%", "_", "req-7", "atlas alice", "tl"])
def test_what_names_nothing_finds_nothing(admin: Client, words: str) -> None:
    assert names_listed(admin, q=named(words)) == []


@pytest.mark.parametrize("words", ["tlas", "bob", "{id}", "{start}", "{daytona}", "{operation}", "req-77"])
@pytest.mark.parametrize("model", ["operation", "sandboxevent"])
def test_operations_and_events_are_found_by_the_same(admin: Client, model: str, words: str) -> None:
    query = named(words)
    for operation in rows.Operation.objects.all():
        rows.event(operation.sandbox, text=operation.request_id, operation=operation)
    answer = admin.get(reverse(f"admin:sandboxes_{model}_changelist"), {"q": query})
    names = [row.sandbox.name for row in answer.context["cl"].result_list]
    assert names == ["My Atlas"]


@pytest.mark.parametrize(("model", "take"), [("operation", rows.operation), ("sandboxevent", rows.event)])
def test_of_many_sandboxes_that_are_found_all_is_found(
    admin: Client, monkeypatch: pytest.MonkeyPatch, model: str, take: Callable[[Sandbox], object]
) -> None:
    monkeypatch.setattr("sandboxes.admin.search.FEW", 2)
    for number in range(4):
        take(rows.sandbox(f"atlas-{number}"))
    take(rows.sandbox("borealis"))
    answer = admin.get(reverse(f"admin:sandboxes_{model}_changelist"), {"q": "atlas"})
    found = {row.sandbox.name for row in answer.context["cl"].result_list}
    assert found == {f"atlas-{number}" for number in range(4)}


@pytest.mark.parametrize(("model", "take"), [("operation", rows.operation), ("sandboxevent", rows.event)])
def test_what_is_sorted_before_a_page_is_not_joined(
    admin: Client, model: str, take: Callable[[Sandbox], object]
) -> None:
    take(rows.sandbox())
    with CaptureQueriesContext(connection) as queries:
        admin.get(reverse(f"admin:sandboxes_{model}_changelist"), {"q": "user"})
    (page_of_rows,) = [
        one["sql"] for one in queries if f'FROM "sandboxes_{model}"' in one["sql"] and "DESC" in one["sql"]
    ]
    assert "JOIN" not in page_of_rows


@pytest.mark.parametrize("words", ["bob", "USER_B", "er_bo", "us"])
def test_owners_are_found_by_a_part(admin: Client, words: str) -> None:
    rows.owner("user_bob")
    rows.owner("anna")
    found = admin.get(reverse("admin:sandboxes_owner_changelist"), {"q": words}).context["cl"].result_list
    assert [owner.pk for owner in found] == ["user_bob"]


@pytest.mark.parametrize("words", ["GRÖ", "größ"])
def test_owners_are_found_in_any_case(admin: Client, words: str) -> None:
    rows.sandbox("one", of="Größe")
    assert names_listed(admin, q=words) == ["one"]


def test_one_search_finds_everything_that_may_be_seen(admin: Client, viewer: Client) -> None:
    row = rows.sandbox("Atlas", of="atlas_owner")
    operation = rows.operation(row, request_id="Req-Atlas")
    cache.clear()

    def links(browser: Client, text: str) -> list[str]:
        answer = browser.get(reverse("admin:search"), {"s": text, "extended": "1"})
        return re.findall(r'href="([^"]+)"', answer.content.decode())

    assert links(admin, "tlas") == [
        reverse("admin:sandboxes_sandbox_change", args=[row.pk]),
        reverse("admin:sandboxes_owner_change", args=["atlas_5Fowner"]),
    ]
    assert reverse("admin:sandboxes_operation_change", args=[operation.pk]) in links(admin, "Req-Atlas")
    User.objects.get(username="vera").user_permissions.clear()
    assert links(viewer, "tlas") == []


EVENTS = "admin:sandboxes_sandboxevent_changelist"


def texts(browser: Client, **query: str) -> list[str]:
    answer = browser.get(reverse(EVENTS), query)
    assert answer.status_code == 200
    return [row.text for row in answer.context["cl"].result_list]


def test_events_are_filtered_by_actor_kind_and_time(admin: Client) -> None:
    row = rows.sandbox()
    rows.event(row, text="a", actor="staff:rosa", at=rows.ago(minutes=1))
    rows.event(row, text="b", actor="staff:otto", at=rows.ago(days=3))
    rows.event(row, EventKind.INTENT, text="c", actor="", at=rows.ago(days=40))
    assert texts(admin, actor="staff") == ["a", "b"]
    assert texts(admin, actor="staff:otto") == ["b"]
    assert texts(admin, kind="intent") == ["c"]
    assert texts(admin, at="day") == ["a"]
    day = f"{clock.here() - timedelta(days=3):%Y-%m-%d}"
    assert texts(admin, at=f"{day}..{day}") == ["b"]
    assert texts(admin, at=f"..{day}") == ["b", "c"]
    assert texts(admin, at="nonsense") == ["a", "b", "c"]
    words = text_of(admin.get(reverse(EVENTS), {"kind": "intent"}))
    assert "user_alice" in words


def test_events_are_filtered_by_the_cause_that_the_feed_tells(admin: Client) -> None:
    row = rows.sandbox()
    operation = rows.operation(row)
    actors = ["", "owner:a", "staff:a", "service:a", "system:evictor", "system:sweep", "system:intent", "system:x"]
    for kind, actor, of, noted in product(EventKind, actors, (operation, None), ("", "auto_stop")):
        cause = cause_of(kind=kind, actor=actor, has_operation=of is not None, noted=noted)
        data: dict[str, Any] = {"cause": noted} if noted else {}
        rows.event(row, kind, f"{cause.value}", actor=actor, operation=of, data=data)
    for cause in Cause:
        expected = SandboxEvent.objects.filter(text=cause.value).count()
        found = texts(admin, cause=cause.value, rows="200")
        assert set(found) <= {cause.value}
        assert len(found) == min(expected, 200), cause


def test_an_owner_has_one_timeline_of_all_their_sandboxes(admin: Client) -> None:
    one, two = rows.sandbox("one", of="ann"), rows.sandbox("two", of="ann")
    rows.event(one, text="First thing", at=rows.ago(hours=2))
    rows.event(two, text="Second thing", at=rows.ago(hours=1))
    rows.event(rows.sandbox("other", of="bob"), text="Not theirs")
    address = reverse("admin:sandboxes_owner_change", args=["ann"])
    words = text_of(admin.get(address)).split("Timeline")[1]
    assert words.index("two Second thing") < words.index("one First thing")
    assert "Not theirs" not in words
    assert "First thing" not in text_of(admin.get(address, {"show": "intent"}))


def test_the_rest_of_an_owners_sandboxes_is_a_link(admin: Client) -> None:
    rows.sandbox("one", of="ann")
    rows.sandbox("two", of="anna")
    assert names_listed(admin, owner="ann") == ["one"]
    assert (
        "?owner=ann&amp;status=all"
        in admin.get(reverse("admin:sandboxes_owner_change", args=["ann"])).content.decode()
    )
    assert page(admin, rows.sandbox("three")).status_code == 200
