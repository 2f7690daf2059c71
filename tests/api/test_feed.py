"""GET /events: all that a caller may see, in one order, without a gap."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sandboxes import clock
from sandboxes.core.vocabulary import EventKind, Status
from sandboxes.models import Feed, Sandbox, SandboxEvent
from sandboxes.services import feed, sandbox_store
from sandboxes.services.prune import prune
from tests.admin import members
from tests.api.callers import ALL, Api, problem, program, signed_in
from tests.support import rows

if TYPE_CHECKING:
    from tests.support.issuer import Issuer

pytestmark = pytest.mark.django_db


def texts(api: Api, query: str = "") -> list[str]:
    return [event["message"] for event in api.get(f"/events{query}").json()["results"]]


def test_it_is_followed_by_its_cursor(alice: Api, atlas: Sandbox) -> None:
    for number in range(5):
        rows.event(atlas, text=str(number))
    first = alice.get("/events?limit=3").json()
    assert [event["seq"] for event in first["results"]] == [1, 2, 3]
    assert (first["cursor"], first["more"]) == (3, True)
    second = alice.get(f"/events?limit=3&after={first['cursor']}").json()
    assert [event["message"] for event in second["results"]] == ["3", "4"]
    assert (second["cursor"], second["more"]) == (5, False)
    nothing = alice.get(f"/events?after={second['cursor']}").json()
    assert nothing == {"results": [], "cursor": 5, "more": False}
    rows.event(atlas, text="new")
    assert texts(alice, f"?after={nothing['cursor']}") == ["new"]


def test_latest_is_where_the_feed_is_now(alice: Api, atlas: Sandbox) -> None:
    rows.event(atlas, text="before")
    now = alice.get("/events?after=latest").json()
    assert now == {"results": [], "cursor": 1, "more": False}
    rows.event(atlas, text="after")
    assert texts(alice, f"?after={now['cursor']}") == ["after"]


def test_an_event_says_what_who_and_why(alice: Api, atlas: Sandbox) -> None:
    operation = alice.post(f"/sandboxes/{atlas.pk}/stop", {"reason": "lunch"}).json()["id"]
    wanted, requested = alice.get("/events").json()["results"]
    assert (wanted["type"], wanted["message"], wanted["cause"]) == ("intent", "Wanted stopped: lunch", "program")
    assert wanted["changes"]["intent"] == "stopped"
    assert wanted["changes"]["intent_set"]["reason"] == "lunch"
    assert requested["actor"].startswith("service:")
    assert (requested["type"], requested["status"], requested["operation"]) == ("operation", "queued", operation)
    assert {event["sandbox"] for event in (wanted, requested)} == {str(atlas.pk)}
    timeline = alice.get(f"/sandboxes/{atlas.pk}/events").json()["results"]
    assert timeline == [requested, wanted], "one representation for both"


def test_a_change_beside_what_only_staff_read_is_told_to_all(alice: Api, atlas: Sandbox) -> None:
    """Else a copy would never hear of it: Daytona's id comes with the answer to a call."""
    with sandbox_store.lock_sandbox(atlas.pk) as row:
        row.daytona_id = "of the answer"
        sandbox_store.event(row, EventKind.CALL, "create: accepted")
    (told,) = alice.get("/events").json()["results"]
    assert (told["type"], told["changes"]) == ("change", {"daytona_id": "of the answer"})
    with sandbox_store.lock_sandbox(atlas.pk) as row:
        row.error_reason = "Daytona's words"
        sandbox_store.event(row, EventKind.CALL, "start: refused")
    assert len(alice.get("/events").json()["results"]) == 1, "that is for staff"


@pytest.mark.parametrize("caller", ["token", "key", "key for any", "staff"])
def test_who_sees_whose(issuer: Issuer, caller: str) -> None:
    for owner in ("alice", "bob"):
        box = rows.sandbox(f"{owner}'s", of=owner)
        rows.event(box, text=f"{owner} change")
        rows.event(box, EventKind.CALL, text=f"{owner} call")
        rows.event(box, text=f"{owner} error", changes={"error_reason": "Daytona's words", "status": "error"})
    SandboxEvent.objects.create(kind="erased", text="erased", at=clock.now(), data={"sandbox": str(uuid4())})
    api = {
        "token": lambda: Api(Authorization=f"Bearer {issuer.token('alice')}"),
        "key": lambda: program("alice"),
        "key for any": lambda: program(None, scopes=[*ALL, "sandboxes:any"]),
        "staff": lambda: signed_in(members.member("reader", "view_sandboxevent")),
    }[caller]()
    found = api.get("/events").json()["results"]
    seen = {event["message"] for event in found}
    hers = {"alice change", "alice error"}
    his = {"bob change", "bob error", "erased"}
    calls = {"alice call", "bob call"}
    assert seen == {"token": hers, "key": hers, "key for any": hers | his, "staff": hers | his | calls}[caller]
    words = {event["changes"].get("error_reason") for event in found} - {None}
    assert words == ({"Daytona's words"} if caller == "staff" else set())


def test_staff_need_the_permission() -> None:
    problem(signed_in(members.member("nobody", "view_sandbox")).get("/events"), "permission_denied")


def test_filters(alice: Api, atlas: Sandbox) -> None:
    other = rows.sandbox("other", of="alice")
    rows.event(atlas, text="a change")
    rows.event(other, EventKind.RENAMED, text="a name")
    assert texts(alice, f"?sandbox={atlas.pk}") == ["a change"]
    assert texts(alice, f"?sandbox={other.daytona_id}&type=renamed&type=gone") == ["a name"]
    page = alice.get("/events?type=gone").json()
    assert page == {"results": [], "cursor": 2, "more": False}, "what does not fit is behind the cursor"
    problem(alice.get(f"/events?sandbox={rows.sandbox('his', of='bob').pk}"), "sandbox_not_found")
    problem(program("alice").get("/events?type=call&type=nothing"), "invalid_request")
    assert texts(alice, "?type=call") == []


@pytest.mark.parametrize(
    "query",
    ["after=x", "after=-1", "after=", "limit=0", "limit=201", "wait=-1", "afther=1", "sandbox=%00", "type=x"],
)
def test_a_query_that_does_not_fit_is_named(alice: Api, query: str) -> None:
    errors = problem(alice.get(f"/events?{query}"), "invalid_request")["errors"]
    assert {error["field"].partition(".")[0] for error in errors} == {query.partition("=")[0]}


def test_a_rare_type_is_looked_for_in_bounded_pages(
    alice: Api, atlas: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandboxes.services.feed.WINDOW", 10)
    for _ in range(24):
        rows.event(atlas)
    rows.event(atlas, EventKind.RENAMED, text="rare")
    pages: list[dict[str, Any]] = [alice.get("/events?type=renamed").json()]
    while pages[-1]["more"]:
        pages.append(alice.get(f"/events?type=renamed&after={pages[-1]['cursor']}").json())
    assert [page["cursor"] for page in pages] == [10, 20, 25]
    assert [event["message"] for page in pages for event in page["results"]] == ["rare"]


def test_a_cursor_of_what_is_no_longer_kept_is_410(alice: Api, atlas: Sandbox) -> None:
    rows.event(atlas, at=rows.ago(days=91))
    rows.event(atlas, text="young")
    cursor = alice.get("/events?limit=1").json()["cursor"]
    assert texts(alice, f"?after={cursor}") == ["young"]
    prune()
    assert texts(alice, f"?after={cursor}") == ["young"], "nothing after it was deleted"
    assert problem(alice.get("/events?after=0"), "cursor_expired")["status"] == 410
    problem(alice.get("/events?after=999"), "cursor_expired")
    assert texts(alice) == ["young"]


def test_what_is_deleted_during_the_look_is_not_passed_over(alice: Api, atlas: Sandbox) -> None:
    rows.event(atlas)
    rows.event(atlas)
    feed.number_events()

    def delete_before_the_page(execute: Any, sql: str, *rest: Any) -> Any:
        if "sandboxes_sandboxevent" in sql and "LIMIT 50" in sql:
            Feed.objects.update(expired=2)
            SandboxEvent.objects.filter(seq__lte=2)._raw_delete("default")
        return execute(sql, *rest)

    with connection.execute_wrapper(delete_before_the_page):
        problem(alice.get("/events?after=0"), "cursor_expired")


def test_after_a_restore_the_cursors_of_what_was_lost_are_410(alice: Api, atlas: Sandbox) -> None:
    rows.event(atlas)
    feed.begin_anew()
    rows.event(atlas, text="new")
    problem(alice.get("/events?after=1"), "cursor_expired")
    problem(alice.get("/events?after=77"), "cursor_expired")
    assert texts(alice) == ["new"]


def test_a_pruned_sandbox_leaves_word(alice: Api) -> None:
    old = rows.sandbox("old", of="alice", status=Status.GONE, deleted_at=rows.ago(days=91))
    prune()
    [event] = alice.get("/events").json()["results"]
    assert (event["type"], event["sandbox"], event["cause"]) == ("pruned", str(old.pk), "retention")
    assert program("bob").get("/events").json()["results"] == []


def test_a_wait_ends_with_the_first_event_of_the_caller(
    alice: Api, atlas: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = rows.sandbox(of="bob")
    pauses: list[float] = []

    def happen(seconds: float) -> None:
        pauses.append(seconds)
        rows.event(others if len(pauses) < 3 else atlas, text=f"after pause {len(pauses)}")

    monkeypatch.setattr(time, "sleep", happen)
    answer = alice.get("/events?after=0", Prefer="wait=50")
    assert [event["message"] for event in answer.json()["results"]] == ["after pause 3"]
    assert (answer["Preference-Applied"], len(pauses)) == ("wait=50", 3)
    assert texts(alice, "?after=0&wait=50") == ["after pause 3"], "who finds something does not wait"
    assert len(pauses) == 3


def test_a_wait_without_an_event_moves_the_cursor_past_those_of_others(
    alice: Api, stopped_clock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = rows.sandbox(of="bob")

    def pass_(seconds: float) -> None:
        clock.move(seconds)
        rows.event(others)

    monkeypatch.setattr(time, "sleep", pass_)
    answer = alice.get("/events?wait=1")
    assert answer.json() == {"results": [], "cursor": Feed.objects.get().last, "more": False}


def test_statements_of_a_page(alice: Api, atlas: Sandbox) -> None:
    for _ in range(300):
        rows.event(atlas)
    alice.get("/events?after=latest")  # gives the numbers, and writes the key's last use
    with CaptureQueriesContext(connection) as counted:
        assert len(alice.get("/events?after=0&limit=200").json()["results"]) == 200
    assert len(counted) == 6, [one["sql"][:90] for one in counted]
