from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from sandboxes.core.vocabulary import Actor, Status
from sandboxes.models import ConvexProjection, Sandbox, SandboxEvent
from sandboxes.services import lifecycle
from tests.admin import members
from tests.admin.pages import page, text_of
from tests.support import rows

AS_THEY_ARE = {"name": "atlas", "auto_stop": "15", "auto_archive": "10080", "auto_delete": "-1"}


def post(browser: Client, sandbox: Sandbox, **fields: str) -> Any:
    return browser.post(reverse("admin:sandboxes_sandbox_settings", args=[sandbox.pk]), fields, follow=True)


def save(browser: Client, sandbox: Sandbox, **fields: str) -> Any:
    """As a browser that was shown AS_THEY_ARE sends it."""
    shown = {f"initial-{name}": value for name, value in AS_THEY_ARE.items()}
    none = {"labels": "", "initial-labels": ""}
    return post(browser, sandbox, confirmed="1", **{**shown, **none, **AS_THEY_ARE, **fields})


def asked(content: str) -> list[str]:
    return [name for name in AS_THEY_ARE if f'name="{name}"' in content]


def test_the_button_leads_to_a_form_with_what_holds(operator: Client) -> None:
    row = rows.sandbox("atlas")
    content = page(operator, row).content.decode()
    address = reverse("admin:sandboxes_sandbox_settings", args=[row.pk])
    assert f'id="do-settings" formaction="{address}"' in content
    shown = post(operator, row)
    assert "Settings of atlas" in text_of(shown)
    for name, value in AS_THEY_ARE.items():
        for field in (name, f"initial-{name}"):
            assert f'name="{field}" value="{value}"' in shown.content.decode()
    assert not SandboxEvent.objects.exists()


def test_name_and_intervals_are_changed_by_the_one_who_pressed_it(operator: Client) -> None:
    row = rows.sandbox("atlas")
    words = text_of(save(operator, row, name="borealis", auto_stop="30", auto_delete="60"))
    assert "The changes are made." in words
    row.refresh_from_db()
    assert (row.name, row.auto_stop_minutes, row.auto_archive_minutes, row.auto_delete_minutes) == (
        "borealis", 30, 10080, 60,
    )  # fmt: skip
    assert row.pending_changes == {
        "harness_name": {"value": "borealis"}, "auto_stop": {"value": 30}, "auto_delete": {"value": 60},
    }  # fmt: skip
    assert ConvexProjection.objects.behind().get().sandbox == row
    assert set(SandboxEvent.objects.values_list("actor", flat=True)) == {"staff:otto"}


def test_labels_are_shown_one_a_line_and_merged(operator: Client) -> None:
    row = rows.sandbox("atlas", user_labels={"team": "core", "run": "7"})
    assert "run=7\nteam=core</textarea>" in post(operator, row).content.decode()
    before = {"initial-labels": "run=7\r\nteam=core"}
    words = text_of(save(operator, row, labels=" team = edge\r\n\r\nnew=x=y\r\n", **before))
    assert "The changes are made." in words
    assert "Somebody else" not in words
    row.refresh_from_db()
    assert row.user_labels == {"team": "edge", "new": "x=y"}
    assert row.pending_changes == {"team": {"value": "edge"}, "new": {"value": "x=y"}, "run": {"value": ""}}
    assert "team = edge" in text_of(page(operator, row))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("team", "Write name=value, not “team”."),
        ("sandkeeper_id=7", "are reserved"),
        ("team=", "A value has 1 to 255 characters"),
        ("\n".join(f"n{number}=x" for number in range(21)), "20 labels at most"),
    ],
)
def test_labels_that_cannot_be_are_said(operator: Client, labels: str, words: str) -> None:
    row = rows.sandbox("atlas")
    assert words in text_of(save(operator, row, labels=labels))
    row.refresh_from_db()
    assert row.user_labels == {}


def test_labels_that_somebody_else_changed_are_asked_for(operator: Client) -> None:
    row = rows.sandbox("atlas")
    lifecycle.set_labels(row.pk, {"team": "theirs"}, actor=Actor.staff("otto's colleague"))
    assert "to “team=theirs” meanwhile" in text_of(save(operator, row, labels="team=mine"))
    row.refresh_from_db()
    assert row.user_labels == {"team": "theirs"}


def test_what_stays_is_not_told_to_daytona(operator: Client) -> None:
    row = rows.sandbox("atlas")
    assert "Nothing was changed." in text_of(save(operator, row))
    row.refresh_from_db()
    assert row.pending_changes == {}
    assert not SandboxEvent.objects.exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": " "}, "This field is required."),
        ({"auto_stop": "-1"}, "auto_stop is 0 (never) to 525600 minutes"),
        ({"auto_archive": "43201"}, "auto_archive is 1 to 43200 minutes, 30 days"),
        ({"auto_delete": "0"}, "auto_delete is -1 (never) or 1 to 525600 minutes"),
        ({"auto_delete": "-2"}, "auto_delete is -1 (never) or 1 to 525600 minutes"),
    ],
)
def test_what_does_not_fit_is_said_and_changes_nothing(
    operator: Client, fields: dict[str, str], words: str
) -> None:
    row = rows.sandbox("atlas")
    assert words in text_of(save(operator, row, **{"name": "borealis", **fields}))
    row.refresh_from_db()
    assert (row.name, row.pending_changes) == ("atlas", {})


def test_what_somebody_else_changed_meanwhile_is_left_alone_and_said(operator: Client) -> None:
    row = rows.sandbox("atlas")
    lifecycle.rename(row.pk, "theirs", actor=Actor.staff("otto's colleague"))
    words = text_of(save(operator, row, auto_stop="30"))
    assert "The changes are made." in words
    assert "Somebody else has changed this sandbox meanwhile: Name is “theirs”. That was left alone." in words
    row.refresh_from_db()
    assert (row.name, row.auto_stop_minutes) == ("theirs", 30)


def test_one_that_nobody_has_named_needs_no_name(operator: Client) -> None:
    row = rows.sandbox("")
    save(operator, row, **{"name": "", "initial-name": "", "auto_stop": "30"})
    row.refresh_from_db()
    assert (row.name, row.auto_stop_minutes) == ("", 30)


def test_where_both_changed_the_same_the_second_is_asked(operator: Client) -> None:
    row = rows.sandbox("atlas")
    lifecycle.set_intervals(row.pk, actor=Actor.staff("otto's colleague"), auto_stop=60)
    answer = save(operator, row, auto_stop="30", name="borealis")
    assert "Somebody else has changed it to “60” meanwhile. Save again to overrule it." in text_of(answer)
    row.refresh_from_db()
    assert (row.name, row.auto_stop_minutes) == ("atlas", 60), "all of it or nothing"
    again = dict(re.findall(r'name="(initial-\w+)" value="(.*?)"', answer.content.decode()))
    assert again["initial-auto_stop"] == "60"
    assert "The changes are made." in text_of(save(operator, row, **again, auto_stop="30", name="borealis"))
    row.refresh_from_db()
    assert (row.name, row.auto_stop_minutes) == ("borealis", 30)


def test_each_field_has_its_permission(operator: Client) -> None:
    row = rows.sandbox("atlas")
    browser = Client()
    browser.force_login(members.member("renamer", "view_sandbox", "rename_sandbox"))
    assert asked(post(browser, row).content.decode()) == ["name"]
    save(browser, row, name="borealis", auto_stop="30")
    browser.force_login(members.member("timer", "view_sandbox", "change_sandbox"))
    assert asked(post(browser, row).content.decode()) == ["auto_stop", "auto_archive", "auto_delete"]
    save(browser, row, name="third", auto_archive="60")
    row.refresh_from_db()
    assert (row.name, row.auto_stop_minutes, row.auto_archive_minutes) == ("borealis", 15, 60)


def test_who_may_change_nothing_sees_no_button_and_is_refused(viewer: Client) -> None:
    row = rows.sandbox("atlas")
    assert "do-settings" not in page(viewer, row).content.decode()
    assert save(viewer, row, name="borealis").status_code == 403
    row.refresh_from_db()
    assert row.name == "atlas"


def test_a_get_leads_to_the_sandbox(operator: Client) -> None:
    row = rows.sandbox("atlas")
    answer = operator.get(reverse("admin:sandboxes_sandbox_settings", args=[row.pk]), {"confirmed": "1"})
    assert answer.headers["Location"] == reverse("admin:sandboxes_sandbox_change", args=[row.pk])


def test_an_ephemeral_one_stays_ephemeral(operator: Client) -> None:
    row = rows.sandbox("atlas", ephemeral=True)
    assert asked(post(operator, row).content.decode()) == ["name", "auto_stop", "auto_archive"]
    save(operator, row, auto_delete="60")
    row.refresh_from_db()
    assert row.auto_delete_minutes == 0


def test_one_that_is_gone_has_no_button_and_the_refusal_is_said(operator: Client) -> None:
    row = rows.sandbox("atlas", status=Status.GONE)
    assert "do-settings" not in page(operator, row).content.decode()
    assert "no longer exists in Daytona" in text_of(save(operator, row, name="borealis"))


def test_what_daytona_holds_otherwise_is_told_again_when_agreed(operator: Client) -> None:
    row = rows.sandbox("atlas", observed_auto_delete=1)
    asked = text_of(operator.post(reverse("admin:sandboxes_sandbox_settings", args=[row.pk])))
    assert "auto_delete_minutes is 1 in Daytona, -1 was asked for" in asked
    save(operator, row, reapply="on")
    row.refresh_from_db()
    assert row.pending_changes == {"auto_delete": {"value": -1}}


def test_what_nobody_asked_for_is_filled_in_and_not_asked_for_by_a_save(operator: Client) -> None:
    row = rows.sandbox("atlas", auto_stop_minutes=None, observed_auto_stop=7)
    save(operator, row, auto_stop="7")
    row.refresh_from_db()
    assert (row.auto_stop_minutes, row.pending_changes) == (None, {})
