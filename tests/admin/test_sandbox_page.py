from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sandboxes.core.vocabulary import Action, EventKind, Intent, OperationStatus, Status
from sandboxes.models import CircuitBreaker
from tests.admin.pages import page, text_of
from tests.support import rows

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django import Settings


def source(content: str, name: str) -> str:
    """The words of one system's card."""
    card = content.split(f'data-source="{name}"')[1].split('<div class="sk-card"')[0].split("</section>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", card).split())


def test_what_each_system_last_said_stands_side_by_side_with_its_age(admin: Client) -> None:
    row = rows.sandbox(
        observed_at=rows.ago(seconds=42),
        status_changed_at=rows.ago(minutes=7, seconds=1),
        projection={"pushed_at": rows.ago(hours=3, seconds=1)},
    )
    content = page(admin, row).content.decode()
    daytona, ours, convex = (source(content, name) for name in ("Daytona", "Sandkeeper", "Convex"))
    assert "started" in daytona
    assert "checked 42 s ago" in daytona
    assert "since 7 min ago" in ours
    assert "pushed 3 h ago" in convex
    assert "agrees" in daytona
    assert "agrees" in convex


def test_a_system_that_says_something_else_disagrees(admin: Client) -> None:
    row = rows.sandbox(
        status=Status.RUNNING,
        observed_state="stopped",
        projection={"wanted_generation": 4, "error": "Convex: no answer"},
    )
    content = page(admin, row).content.decode()
    assert "disagrees" in source(content, "Daytona")
    convex = source(content, "Convex")
    assert "check behind" not in convex
    assert "difference behind unknown" in convex
    assert "generation 1 of 4" in convex
    assert "Convex: no answer" in convex


def test_while_an_operation_is_active_daytona_is_in_between(admin: Client) -> None:
    row = rows.sandbox(status=Status.STOPPING, observed_state="started")
    rows.operation(row, Action.STOP, OperationStatus.IN_PROGRESS)
    content = page(admin, row).content.decode()
    assert "in between" in source(content, "Daytona")
    assert 'data-live="head" data-live-active' in content


def test_a_sandbox_that_convex_was_never_told_of_says_so(admin: Client, settings: Settings) -> None:
    settings.CONVEX_URL = ""
    untold = {"known": False, "sent": {}, "pushed_at": None, "wanted_generation": 0, "pushed_generation": 0}
    CircuitBreaker.objects.all().delete()
    assert "projection is off" in source(page(admin, rows.sandbox(projection=untold)).content.decode(), "Convex")
    settings.CONVEX_URL = "https://example.convex.cloud"
    assert "not told yet" in source(page(admin, rows.sandbox(projection=untold)).content.decode(), "Convex")


def test_a_deleted_sandbox_is_gone_everywhere_and_all_agree(admin: Client) -> None:
    row = rows.sandbox(
        status=Status.GONE,
        observed_state="started",
        desired_state="destroyed",
        projection={"known": False, "sent": {}},
    )
    content = page(admin, row).content.decode()
    daytona, convex = source(content, "Daytona"), source(content, "Convex")
    assert "agrees block gone not found" in daytona
    assert "on its way" not in daytona
    assert "agrees no row pushed 1 h ago" in convex


@pytest.mark.parametrize("sent", [{}, {"row": True}, {"row": True, "status": "stopped", "late": ["upsert"]}])
def test_a_convex_that_is_not_behind_shows_our_status_whatever_is_kept_of_it(
    admin: Client, sent: dict[str, Any]
) -> None:
    convex = source(page(admin, rows.sandbox(projection={"sent": sent})).content.decode(), "Convex")
    assert "agrees play_circle running pushed 1 h ago" in convex


def test_a_row_that_its_user_took_off_the_list_is_not_said_to_be_shown(admin: Client) -> None:
    convex = source(page(admin, rows.sandbox(projection={"removed": True})).content.decode(), "Convex")
    assert "agrees no row pushed 1 h ago its user took it off the list" in convex


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "unknown behind since 4 min ago generation 1 of 4"),
        ({"resend_at": rows.ago()}, "generation 1 of 4 a push had no answer"),
    ],
)
def test_while_convex_is_behind_nobody_says_what_it_shows(
    admin: Client, fields: dict[str, Any], words: str
) -> None:
    row = rows.sandbox(projection={"wanted_generation": 4, "behind_since": rows.ago(minutes=4), **fields})
    content = page(admin, row).content.decode()
    assert words in source(content, "Convex")
    assert "agrees" not in source(content, "Convex")
    assert 'data-live="head" data-live-active' in content, "the page stays live until Convex is level"


def test_the_intent_says_who_when_and_why(admin: Client) -> None:
    row = rows.sandbox(
        status=Status.STOPPED,
        intent_actor_kind="staff",
        intent_actor_id="rosa",
        intent_reason="mining coins",
        intent_at=rows.ago(minutes=9, seconds=1),
        intent_met_at=None,
    )
    words = text_of(page(admin, row))
    assert "Wanted stopped by staff rosa 9 min ago : “mining coins”. Not reached yet; retried until it is." in words


def test_a_start_that_failed_is_not_kept_at(admin: Client) -> None:
    row = rows.sandbox(status=Status.STOPPED, intent=Intent.RUNNING, intent_met_at=None)
    rows.operation(row, Action.START, OperationStatus.FAILED, code="timeout")
    words = text_of(page(admin, row))
    assert "Not reached yet; needs a new request." in words
    assert "wanted running; the start failed: Daytona did not finish in time" in words


def test_the_timeline_shows_the_newest_first_with_actor_and_reason(admin: Client) -> None:
    row = rows.sandbox()
    rows.event(row, EventKind.INTENT, "Wanted stopped", at=rows.ago(hours=2), data={"reason": "lunch"})
    rows.event(row, EventKind.CONVEX, "Convex: shows stopped", at=rows.ago(hours=1), actor="")
    words = text_of(page(admin, row)).split("Timeline")[1]
    assert words.index("Convex: shows stopped") < words.index("Wanted stopped")
    assert "Wanted stopped by staff:admin “lunch”" in words


def test_the_timeline_shows_staff_what_daytona_answered(admin: Client) -> None:
    row = rows.sandbox()
    rows.event(row, EventKind.CALL, "stop: refused", data={"daytona_message": "Sandbox is not started"})
    assert "stop: refused by staff:admin Daytona: “Sandbox is not started”" in text_of(page(admin, row))


def test_facts_and_why_are_live_too(admin: Client) -> None:
    content = page(admin, rows.sandbox(status=Status.ARCHIVED)).content.decode()
    assert '<section class="sk-card" data-live="facts">' in content
    assert '<div data-live="why" hidden></div>' in content
    assert '<div data-live="why"><section' in page(admin, rows.sandbox()).content.decode().replace("\n", "")


def test_the_timeline_can_be_filtered_by_kind(admin: Client) -> None:
    row = rows.sandbox()
    rows.event(row, EventKind.INTENT, "Wanted stopped")
    rows.event(row, EventKind.CONVEX, "Convex: shows stopped")
    words = text_of(page(admin, row, show="intent"))
    assert "Wanted stopped" in words
    assert "Convex: shows stopped" not in words
    assert "No events of the kind “eviction”." in text_of(page(admin, row, show="eviction"))


def test_a_long_timeline_has_pages(admin: Client) -> None:
    row = rows.sandbox()
    for number in range(31):
        rows.event(row, text=f"Change {number:02}.", at=rows.ago(minutes=number))
    first, second = text_of(page(admin, row)), text_of(page(admin, row, page="2"))
    assert "Change 29." in first
    assert "Change 30." not in first
    assert "Change 30." in second
    assert page(admin, row, page="nonsense").status_code == 200


def test_what_a_person_wrote_is_shown_as_text(admin: Client) -> None:
    row = rows.sandbox("<script>alert(1)</script>", intent_reason="<b>bold</b>")
    content = page(admin, row).content.decode()
    assert "<script>alert(1)</script>" not in content
    assert "<b>bold</b>" not in content


def test_why_of_an_evicted_sandbox_shows_the_ranking_with_each_verdict(admin: Client) -> None:
    asker = rows.sandbox("hungry", of="user_bob")
    row = rows.sandbox("victim", status=Status.STOPPED, intent=Intent.RUNNING)
    used = rows.ago(hours=5).isoformat()
    line = {"owner": "user_alice", "status": "running", "cpu": 1, "memory_gb": 1, "last_used_at": used}
    ranking = [
        {
            **line,
            "sandbox": str(asker.pk),
            "name": "spared",
            "last_used_at": used,
            "broken": ["not_protected", "idle"],
        },
        {**line, "sandbox": str(row.pk), "name": "victim", "last_used_at": used, "broken": []},
    ]
    data = {"ranking": ranking, "for_sandbox": str(asker.pk)}
    rows.event(row, EventKind.EVICTION, "Stopped to make room", data=data)
    words = text_of(page(admin, row)).split("Why?")[1]
    assert "for hungry of user_bob" in words
    assert words.index("Verdict") < words.index("Last used"), "the verdict is in sight however narrow the page"
    spared, victim = words.split("Timeline")[0].split("victim this one")
    assert "close protected" in spared
    assert "close used too recently" in spared
    assert "check running" in spared
    assert "kept" in spared
    assert "user_alice stop_circle stopped" in victim
    assert "check idle long enough" in victim
    assert "close " not in victim


def test_why_of_a_running_sandbox_shows_who_would_be_stopped_before_it(admin: Client) -> None:
    rows.sandbox("older", last_accessed_at=rows.ago(hours=9))
    row = rows.sandbox("mine", last_accessed_at=rows.ago(hours=2))
    rows.sandbox("busy", last_accessed_at=rows.ago(seconds=5))
    rows.sandbox("stranger", of="user_bob", last_accessed_at=rows.ago(days=9))
    words = text_of(page(admin, row)).split("Why?")[1].split("Timeline")[0]
    assert words.index("older") < words.index("mine this one") < words.index("busy")
    assert "used too recently" in words
    assert "stranger" not in words


def test_there_is_no_why_where_there_is_nothing_to_explain(admin: Client, settings: Settings) -> None:
    assert "Why?" not in text_of(page(admin, rows.sandbox(status=Status.ARCHIVED)))
    settings.EVICTION_SCOPE = "off"
    assert "Why?" not in text_of(page(admin, rows.sandbox()))


def test_a_tombstone_still_has_its_page(admin: Client) -> None:
    row = rows.sandbox(status=Status.GONE)
    assert "Gone 1 h ago" in text_of(page(admin, row))


@pytest.mark.parametrize("wrong", ["00000000-0000-4000-8000-000000000000", "nonsense"])
def test_an_unknown_sandbox_is_not_found(admin: Client, wrong: str) -> None:
    assert admin.get(reverse("admin:sandboxes_sandbox_change", args=[wrong])).status_code == 404


def test_a_page_takes_few_queries_however_long_its_history(admin: Client) -> None:
    row = rows.sandbox()
    for number in range(60):
        rows.event(row, operation=rows.operation(row, at=rows.ago(minutes=number)))
        rows.sandbox(f"other-{number}", last_accessed_at=rows.ago(hours=number + 1) + timedelta(seconds=1))
    with CaptureQueriesContext(connection) as queries:
        page(admin, row)
    assert len(queries) <= 12, [query["sql"][:120] for query in queries]
