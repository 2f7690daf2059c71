from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sandboxes.core.vocabulary import Action, Intent, OperationStatus, Status
from sandboxes.models import CircuitBreaker, Operation
from tests.admin.pages import listing, names_listed
from tests.support import rows

if TYPE_CHECKING:
    from django.test import Client

LIST = "admin:sandboxes_sandbox_changelist"


def test_a_row_says_what_staff_need_at_a_glance(admin: Client) -> None:
    rows.sandbox("atlas", resource_tier="standard", target="eu", last_accessed_at=rows.ago(minutes=12, seconds=1))
    words = listing(admin)
    for part in ("atlas", "user_alice", "running", "standard", "eu", "12 min ago"):
        assert part in words


def test_a_time_shows_the_exact_one_on_hover(admin: Client) -> None:
    moment = rows.ago(minutes=12)
    rows.sandbox(last_accessed_at=moment)
    content = admin.get(reverse(LIST)).content.decode()
    assert f'title="{moment:%Y-%m-%d %H:%M:%S} UTC"' in content


def test_a_status_has_an_icon_beside_its_colour(admin: Client) -> None:
    rows.sandbox(status=Status.ERROR)
    content = admin.get(reverse(LIST)).content.decode()
    assert 'class="sk-badge sk-red"' in content
    assert '<span class="material-symbols-outlined" aria-hidden="true">error</span>' in content


def test_an_evicted_sandbox_says_what_was_wanted_and_who_stopped_it(admin: Client) -> None:
    row = rows.sandbox(
        status=Status.STOPPED, intent=Intent.RUNNING, status_changed_at=rows.ago(minutes=12, seconds=5)
    )
    rows.operation(row, Action.STOP, actor_kind="system", actor_id="evictor", at=rows.ago(minutes=12))
    assert "wanted running, stopped by evictor 12 min ago" in listing(admin)


def test_a_sandbox_that_nobody_of_us_stopped_was_stopped_by_daytona(admin: Client) -> None:
    row = rows.sandbox(status=Status.STOPPED, intent=Intent.RUNNING)
    rows.operation(row, Action.START, at=rows.ago(hours=3))
    assert "wanted running, stopped by Daytona 1 h ago" in listing(admin)


def test_a_sandbox_in_error_says_daytonas_words(admin: Client) -> None:
    rows.sandbox(
        status=Status.ERROR, error_reason="no space left", status_changed_at=rows.ago(minutes=12, seconds=1)
    )
    assert "failed 12 min ago : no space left" in listing(admin)


def test_a_stop_that_failed_says_so_and_blames_nobody(admin: Client) -> None:
    row = rows.sandbox(intent=Intent.STOPPED, intent_met_at=None)
    failed = rows.operation(row, Action.STOP, OperationStatus.FAILED, code="daytona_rejected")
    Operation.objects.filter(pk=failed.pk).update(finished_at=rows.ago(seconds=2))
    words = listing(admin)
    assert "wanted stopped; the stop failed: Daytona refused the request 2 s ago" in words
    assert "by Daytona" not in words


@pytest.mark.parametrize(
    ("status", "wanted", "fields", "words"),
    [
        (Status.RUNNING, Intent.STOPPED, {"intent_met_at": None}, "wanted stopped, still running"),
        (Status.RUNNING, Intent.STOPPED, {}, "wanted stopped, started by Daytona 1 h ago"),
        (Status.STOPPING, Intent.RUNNING, {}, "wanted running, stopping for 1 h"),
        (Status.STARTING, Intent.STOPPED, {}, "wanted stopped, starting for 1 h"),
        (Status.CREATING, Intent.DELETED, {}, "wanted deleted, creating for 1 h"),
    ],
)
def test_a_row_other_than_wanted_says_how_it_came(
    admin: Client, status: Status, wanted: Intent, fields: dict[str, Any], words: str
) -> None:
    rows.sandbox(status=status, intent=wanted, **fields)
    assert words in listing(admin)


def test_a_look_does_not_hide_who_stopped_it(admin: Client) -> None:
    row = rows.sandbox(status=Status.STOPPED, intent=Intent.RUNNING)
    rows.operation(row, Action.STOP, actor_kind="system", actor_id="evictor", at=rows.ago(minutes=12))
    rows.operation(row, Action.SYNC, at=rows.ago(minutes=1))
    assert "stopped by evictor" in listing(admin)


def test_a_row_as_it_is_wanted_says_nothing_of_the_intent(admin: Client) -> None:
    rows.sandbox(status=Status.STOPPED)
    assert "wanted" not in listing(admin).replace("not as wanted", "").replace("Not as wanted", "")


def test_a_row_in_progress_shows_its_step_and_how_long_it_has_taken(admin: Client) -> None:
    row = rows.sandbox(status=Status.STOPPING)
    rows.operation(
        row, Action.STOP, OperationStatus.IN_PROGRESS, at=rows.ago(seconds=42), step="Daytona is stopping it"
    )
    assert "Stop: Daytona is stopping it · 42 s" in listing(admin)


def test_convex_is_mentioned_only_when_it_is_behind(admin: Client) -> None:
    rows.sandbox("level")
    assert "behind" not in listing(admin, q="level").replace("Convex behind", "")
    rows.sandbox("late", projection={"wanted_generation": 3, "behind_since": rows.ago(minutes=4)})
    assert "4 min behind" in listing(admin, q="late")
    content = admin.get(reverse(LIST), {"q": "late"}).content.decode()
    assert "data-live-active" in content, "it is asked for again soon until Convex is level"
    assert 'data-age="since">4 min</time> behind' in content
    CircuitBreaker.objects.all().delete()
    assert "min behind" not in listing(admin, q="late"), "there is no Convex that could be behind"
    assert names_listed(admin, behind="yes") == []


def test_an_owner_on_hold_is_marked(admin: Client) -> None:
    rows.owner(hold_since=rows.ago(hours=1), hold_reason="abuse")
    rows.sandbox()
    assert "on hold" in listing(admin)


def test_tombstones_are_hidden_until_asked_for(admin: Client) -> None:
    rows.sandbox("alive")
    rows.sandbox("dead", status=Status.GONE)
    assert names_listed(admin) == ["alive"]
    assert names_listed(admin, status="gone") == ["dead"]
    assert names_listed(admin, status="all") == ["alive", "dead"]


FILTERS: dict[str, tuple[dict[str, Any], dict[str, str], dict[str, str]]] = {
    # what is special about the row: (its fields, a query that finds it, a query that does not)
    "its status": ({"status": Status.ARCHIVED}, {"status": "archived"}, {"status": "stopped"}),
    "one of two statuses": ({"status": Status.ARCHIVED}, {"status": "error,archived"}, {"status": "error"}),
    "its intent": ({"intent": Intent.ARCHIVED}, {"intent": "archived"}, {"intent": "deleted"}),
    "its tier": ({"resource_tier": "performance"}, {"tier": "performance"}, {"tier": "standard"}),
    "its region": ({"target": "ap"}, {"region": "ap"}, {"region": "sa"}),
    "not as wanted": ({"status": Status.STOPPED, "intent": Intent.RUNNING}, {"drift": "yes"}, {"tier": "none"}),
    "Convex behind": ({"projection": {"wanted_generation": 9}}, {"behind": "yes"}, {"tier": "none"}),
    "protected": ({"protected_until": rows.ago(hours=-1)}, {"protected": "yes"}, {"tier": "none"}),
    "ephemeral": ({"ephemeral": True}, {"ephemeral": "yes"}, {"tier": "none"}),
    "used this hour": ({"last_activity_at": rows.ago(minutes=1)}, {"used": "hour"}, {"used": "older"}),
    "used today": ({"last_accessed_at": rows.ago(hours=5)}, {"used": "day"}, {"used": "hour"}),
    "used this week": ({"last_accessed_at": rows.ago(days=3)}, {"used": "week"}, {"used": "day"}),
    "used this month": ({"last_accessed_at": rows.ago(days=9)}, {"used": "month"}, {"used": "week"}),
    "used long ago": ({"last_accessed_at": rows.ago(days=90)}, {"used": "older"}, {"used": "month"}),
}
OTHER: dict[str, Any] = {"last_accessed_at": rows.ago(days=50), "created_at": rows.ago(days=60)}
NOT_THE_OTHER = ("not as wanted", "Convex behind", "protected", "ephemeral")


@pytest.mark.parametrize("case", FILTERS)
def test_a_filter_finds_what_it_says_and_nothing_else(admin: Client, case: str) -> None:
    fields, finds, misses = FILTERS[case]
    rows.sandbox("special", **{**OTHER, **fields})
    rows.sandbox("ordinary", **OTHER)
    found = names_listed(admin, **finds)
    assert "special" in found
    assert "special" not in names_listed(admin, **misses)
    if case != "used long ago":
        assert "ordinary" not in found


@pytest.mark.parametrize("case", NOT_THE_OTHER)
def test_a_question_answered_with_no_finds_the_rest(admin: Client, case: str) -> None:
    fields, finds, _ = FILTERS[case]
    rows.sandbox("special", **fields)
    rows.sandbox("ordinary")
    assert names_listed(admin, **dict.fromkeys(finds, "no")) == ["ordinary"]


def test_what_is_in_progress_can_be_filtered(admin: Client) -> None:
    rows.sandbox("resting")
    rows.operation(rows.sandbox("moving"), Action.STOP, OperationStatus.QUEUED)
    assert names_listed(admin, in_progress="yes") == ["moving"]
    assert names_listed(admin, in_progress="no") == ["resting"]


def test_a_page_has_25_rows_and_says_whether_there_are_more(admin: Client) -> None:
    for number in range(26):
        rows.sandbox(f"box-{number:02}", created_at=rows.ago(hours=number))
    first = admin.get(reverse(LIST))
    assert len(first.context["cl"].result_list) == 25
    assert 'rel="next"' in first.content.decode()
    second = admin.get(reverse(LIST), {"p": "2"})
    assert [row.name for row in second.context["cl"].result_list] == ["box-25"]
    assert 'rel="next"' not in second.content.decode()
    assert 'rel="prev"' in second.content.decode()


@pytest.mark.parametrize("number", ["201", "99999999", "0", "x"])
def test_a_page_that_does_not_exist_is_no_error(admin: Client, number: str) -> None:
    rows.sandbox()
    assert admin.get(reverse(LIST), {"p": number}, follow=True).status_code == 200


def test_a_full_page_takes_at_most_thirteen_queries_and_counts_no_more_than_it_must(admin: Client) -> None:
    for number in range(30):
        row = rows.sandbox(f"box-{number}", of=f"user_{number}", status=Status.STOPPED, intent=Intent.RUNNING)
        rows.operation(row)
    with CaptureQueriesContext(connection) as queries:
        assert admin.get(reverse(LIST)).status_code == 200
    assert len(queries) <= 13, [query["sql"][:150] for query in queries]
    (count,) = [query["sql"] for query in queries if "COUNT(" in query["sql"].upper()]
    assert "LIMIT 10001" in count
    with CaptureQueriesContext(connection) as queries:
        admin.get(reverse(LIST), {"q": "box"})
    assert any("LIMIT 1001" in query["sql"] for query in queries)


def test_a_page_shows_as_many_rows_as_are_asked_for_and_says_how_many_there_are(admin: Client) -> None:
    for number in range(60):
        rows.sandbox(f"box-{number:02}")
    assert "1\u201325 of 60 Next 25 50 100 200" in listing(admin)
    assert "51\u201360 of 60 Previous" in listing(admin, rows="50", p="2", o="1")
    assert "1\u201360 of 60 25 50 100 200" in listing(admin, rows="200")
    assert "1\u201325 of 60" in listing(admin, rows="999999")
    content = admin.get(reverse(LIST), {"rows": "50", "status": "running", "q": "box"}).content.decode()
    (following,) = re.findall(r'rel="next" href="([^"]+)"', content)
    shared = admin.get(reverse(LIST) + html.unescape(following)).context["cl"]
    assert (len(shared.result_list), shared.query, shared.page_num, shared.list_per_page) == (10, "box", 2, 50)


def test_above_ten_thousand_the_total_is_about(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandboxes.models.counting.EXACT", 20)
    for number in range(30):
        rows.sandbox(f"box-{number:02}")
    assert re.search("1\u201325 of about [0-9]+", listing(admin))


@pytest.mark.parametrize(
    ("column", "first", "last"),
    [
        ("1", "alpha", "omega"),
        ("2", "omega", "alpha"),
        ("3", "alpha", "omega"),
        ("6", "alpha", "omega"),
        ("7", "omega", "alpha"),
    ],
)
def test_the_list_is_sorted_by_what_is_pressed(admin: Client, column: str, first: str, last: str) -> None:
    used: dict[str, Any] = {"last_activity_at": None}
    new, old = rows.ago(days=1), rows.ago(days=9)
    rows.sandbox(
        "alpha",
        of="zoe",
        status=Status.ERROR,
        created_at=new,
        last_accessed_at=rows.ago(hours=9),
        **used,
    )
    rows.sandbox("omega", of="ann", created_at=old, last_accessed_at=rows.ago(hours=1), **used)
    for order, wanted in ((column, [first, last]), (f"-{column}", [last, first])):
        shown = admin.get(reverse(LIST), {"o": order}).context["cl"].result_list
        assert [row.name for row in shown] == wanted, order


def test_the_list_takes_as_many_queries_for_many_rows_as_for_few(admin: Client) -> None:
    def taken() -> int:
        with CaptureQueriesContext(connection) as queries:
            admin.get(reverse(LIST))
        return len(queries)

    rows.operation(rows.sandbox("first"))
    few = taken()
    for number in range(20):
        rows.operation(rows.sandbox(f"box-{number}"), Action.STOP, OperationStatus.IN_PROGRESS)
    assert taken() == few


def test_the_list_renders_as_many_templates_for_many_rows_as_for_few(admin: Client) -> None:
    rows.sandbox("first")
    few = len(admin.get(reverse(LIST)).templates)
    for number in range(20):
        rows.sandbox(f"box-{number}")
    assert len(admin.get(reverse(LIST)).templates) == few


def test_a_cell_has_the_name_of_its_column_for_phones(admin: Client) -> None:
    row = rows.sandbox("atlas <b>")
    content = admin.get(reverse(LIST)).content.decode()
    assert 'data-label="Select"><input type="checkbox" name="_selected_action"' in content
    assert f'value="{row.pk}" aria-label="Select atlas &lt;b&gt;"' in content
    assert '<td class="field-cell_last_used" data-label="Last used">' in content


def test_an_empty_list_says_what_to_do(admin: Client) -> None:
    assert "No sandboxes yet. Create one" in listing(admin)
    assert "Nothing matches." in listing(admin, q="nobody")


def test_a_chosen_filter_is_shown_and_can_be_removed(admin: Client) -> None:
    response = admin.get(reverse(LIST), {"status": "running", "tier": "basic"})
    chosen = response.content.decode().split('aria-label="Chosen filters"')[1].split("</p>")[0]
    assert 'href="?tier=basic"' in chosen
    assert 'href="?status=running"' in chosen


def test_a_stranger_is_sent_to_the_sign_in(client: Client, db: None) -> None:
    for name in (LIST, "admin:index"):
        answer = client.get(reverse(name))
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/admin/login/")
