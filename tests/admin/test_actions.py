from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from django.template.loader import render_to_string
from django.urls import reverse

from sandboxes import clock
from sandboxes.admin.plan import Plan
from sandboxes.admin.verbs import VERBS
from sandboxes.core.vocabulary import Action, EventKind, Intent, OperationStatus, Source, Status
from sandboxes.models import ConvexProjection, Operation, Sandbox, SandboxEvent
from tests.admin.pages import act, confirm, page, text_of, worked
from tests.support import rows

if TYPE_CHECKING:
    from django.test import Client

ASKING = [verb.name for verb in VERBS.values() if verb.asks]
REQUESTS = {verb.name: verb.does.action for verb in VERBS.values() if verb.does.action is not None}


def fit_for(verb: str, *, of: str = "user_alice") -> Sandbox:
    """A sandbox with which the verb can do something."""
    status = {"start": Status.STOPPED, "recover": Status.ERROR}.get(verb, Status.RUNNING)
    protected = rows.ago(hours=-1) if verb == "unprotect" else None
    wanted: dict[str, Any] = {"intent": Intent.DELETED, "intent_at": rows.ago(hours=2)} if verb == "forget" else {}
    row = rows.sandbox(
        of=of, status=status, protected_until=protected, recoverable=verb == "recover", **wanted
    )  # fmt: skip
    if verb == "cancel":
        rows.operation(row, Action.STOP, OperationStatus.QUEUED)
    return row


@pytest.mark.parametrize("verb", REQUESTS)
def test_an_action_becomes_an_operation_of_the_one_who_pressed_it(admin: Client, verb: str) -> None:
    row = fit_for(verb)
    confirm(admin, verb, row, reason="because")
    operation = Operation.objects.get(sandbox=row)
    assert (operation.action, operation.source) == (REQUESTS[verb], Source.ADMIN)
    assert (operation.actor_kind, operation.actor_id) == ("staff", "admin")
    assert operation.reason == ("because" if VERBS[verb].asks else "")
    assert operation.request_id


def test_protect_keeps_it_from_eviction_for_as_long_as_chosen(admin: Client) -> None:
    row = rows.sandbox()
    act(admin, "protect", row, confirmed="1", reason="a demo", hours="8")
    row.refresh_from_db()
    assert row.protected_until is not None
    assert 7.9 < (row.protected_until - rows.ago()).total_seconds() / 3600 < 8.1
    assert row.protected_reason == "a demo"
    act(admin, "unprotect", row)
    row.refresh_from_db()
    assert row.protected_until is None


def test_cancel_takes_back_what_daytona_was_not_yet_asked(admin: Client) -> None:
    row = rows.sandbox()
    confirm(admin, "stop", row)
    act(admin, "cancel", row)
    assert Operation.objects.filter(sandbox=row, action=Action.STOP).get().status == OperationStatus.CANCELLED
    row.refresh_from_db()
    assert row.intent == Intent.RUNNING


def test_push_to_convex_makes_it_due_and_leaves_a_trace(admin: Client) -> None:
    row = rows.sandbox()
    act(admin, "push", row)
    assert ConvexProjection.objects.due(clock.now()).behind().get().sandbox == row
    trace = SandboxEvent.objects.get(sandbox=row, kind=EventKind.CONVEX)
    assert trace.actor == "staff:admin"


@pytest.mark.parametrize("verb", VERBS)
def test_a_get_to_an_action_does_nothing_and_leads_to_the_list(admin: Client, verb: str) -> None:
    row = fit_for(verb)
    before = Operation.objects.count()
    answer = admin.get(reverse(f"admin:sandboxes_sandbox_act_{verb}"), {"_selected_action": str(row.pk)})
    assert answer.headers["Location"] == reverse("admin:sandboxes_sandbox_changelist")
    assert Operation.objects.count() == before


@pytest.mark.parametrize("verb", VERBS)
def test_the_list_posted_to_itself_as_django_does_it_goes_the_same_way(admin: Client, verb: str) -> None:
    row = fit_for(verb)
    before = Operation.objects.count()
    data = {"action": verb, "_selected_action": [str(row.pk)], "index": "0"}
    answer = admin.post(reverse("admin:sandboxes_sandbox_changelist"), data)
    if VERBS[verb].asks:
        assert "Reason" in text_of(answer)
        assert Operation.objects.count() == before
    else:
        assert answer.status_code == 302


@pytest.mark.parametrize("verb", ASKING)
def test_what_asks_first_names_the_sandbox_and_does_nothing_yet(admin: Client, verb: str) -> None:
    row = fit_for(verb, of="user_bob")
    words = text_of(act(admin, verb, row))
    assert f"{VERBS[verb].label} atlas?" in words
    assert "user_bob" in words
    assert VERBS[verb].consequence in words
    assert not Operation.objects.exists()


@pytest.mark.parametrize("verb", ASKING)
def test_without_a_reason_it_asks_again(admin: Client, verb: str) -> None:
    words = text_of(confirm(admin, verb, fit_for(verb), reason="  "))
    assert "Say why: the owner and programs see it." in words
    assert not Operation.objects.exists()


def test_ephemeral_ones_are_named_as_what_a_stop_destroys(admin: Client) -> None:
    plain, fleeting = rows.sandbox("plain"), rows.sandbox("fleeting", ephemeral=True)
    words = text_of(act(admin, "stop", plain, fleeting))
    assert "Stopping 1 sandbox " in words
    destroyed = words.split("Destroyed within a day: 1 sandbox")[1]
    assert "fleeting" in destroyed
    assert "plain" not in destroyed


def test_an_ephemeral_one_is_left_running_unless_agreed(admin: Client) -> None:
    plain, fleeting = rows.sandbox("plain"), rows.sandbox("fleeting", ephemeral=True)
    words = text_of(worked(admin, confirm(admin, "stop", plain, fleeting)))
    assert "fleeting user_alice" in words
    assert "Daytona deletes it when it stops. Stop it again and agree to destroy it" in words
    assert list(Operation.objects.values_list("sandbox__name", flat=True)) == ["plain"]


def test_an_ephemeral_one_is_stopped_once_agreed(admin: Client) -> None:
    fleeting = rows.sandbox("fleeting", ephemeral=True)
    confirm(admin, "stop", fleeting, force="on")
    assert Operation.objects.get().parameters == {"force": True}


@pytest.mark.parametrize("verb", ["stop", "restart", "archive"])
def test_one_that_daytona_deletes_soon_after_a_stop_is_named_and_needs_the_agreement(
    admin: Client, verb: str
) -> None:
    doomed = rows.sandbox("doomed", observed_auto_delete=1)
    words = text_of(act(admin, verb, doomed))
    assert "Destroyed within a day: 1 sandbox" in words
    assert "Daytona deletes “doomed” 1 min after it stops: that is its auto-delete there." in words
    assert "-1 was asked for." in words
    assert "Agree to destroy" in text_of(confirm(admin, verb, doomed))
    assert not Operation.objects.exists()
    confirm(admin, verb, doomed, force="on")
    assert Operation.objects.get().parameters == {"force": True}


def test_what_will_be_skipped_is_said_before_with_the_reason(admin: Client) -> None:
    here, gone = rows.sandbox("here"), rows.sandbox("departed", status=Status.GONE)
    words = text_of(act(admin, "delete", here, gone))
    assert "Skipped: 1 departed user_alice \u2013 “departed” no longer exists in Daytona." in words
    assert "Delete here?" in words, "the question is about what will be acted on"


def hidden(answer: Any, name: str) -> list[str]:
    """The values of the hidden fields of this name."""
    return re.findall(rf'name="{name}" value="([^"]*)"', answer.content.decode())


def test_only_what_the_page_named_is_acted_on_though_a_skipped_one_could_be_by_then(admin: Client) -> None:
    here, resting = rows.sandbox("here"), rows.sandbox("resting", status=Status.STOPPED)
    page_that_asks = act(admin, "stop", here, resting)
    assert hidden(page_that_asks, "_selected_action") == [here.pk.hex]
    assert hidden(page_that_asks, "skipped") == [resting.pk.hex]
    Sandbox.objects.filter(pk=resting.pk).update(status=Status.RUNNING, intent=Intent.RUNNING)
    fields: dict[str, Any] = {"skipped": [str(resting.pk)]}
    words = text_of(worked(admin, confirm(admin, "stop", here, **fields)))
    assert list(Operation.objects.values_list("sandbox__name", flat=True)) == ["here"]
    assert "resting user_alice block skipped It was to be skipped when this was agreed." in words


def test_what_has_become_pointless_meanwhile_is_skipped(admin: Client) -> None:
    here, resting = rows.sandbox("here"), rows.sandbox("resting", status=Status.STOPPED)
    words = text_of(worked(admin, confirm(admin, "stop", here, resting)))
    assert list(Operation.objects.values_list("sandbox__name", flat=True)) == ["here"]
    assert "skipped It is stopped." in words


def test_a_stop_of_nothing_but_an_ephemeral_one_needs_the_agreement(admin: Client) -> None:
    fleeting = rows.sandbox("fleeting", ephemeral=True)
    words = text_of(confirm(admin, "stop", fleeting))
    assert "Agree to destroy, or cancel: there is no other way to stop it." in words
    assert not Operation.objects.exists()


def test_the_way_back_is_the_list_as_it_was(admin: Client) -> None:
    one, two = rows.sandbox("one"), rows.sandbox("two")
    lists = reverse("admin:sandboxes_sandbox_changelist")
    listed = admin.get(lists, {"q": "o", "status": "running"})
    (query,) = {unescape(value) for value in hidden(listed, "query")}
    for chosen in ([one], [one, two]):
        content = act(admin, "stop", *chosen, query=query).content.decode()
        assert f'href="{lists}?q=o&amp;status=running">Cancel' in content
    outcome = confirm(admin, "stop", one, two, query=query).content.decode()
    assert f'href="{lists}?q=o&amp;status=running">' in outcome.split('class="sk-table"')[1]
    assert f'href="{page_address(one)}">Cancel' in act(admin, "stop", one).content.decode()


def page_address(row: Sandbox) -> str:
    return reverse("admin:sandboxes_sandbox_change", args=[row.pk])


def test_a_delete_of_what_has_vanished_says_that_it_only_leaves_the_list(db: None) -> None:
    gone = rows.sandbox(status=Status.GONE, intent=Intent.RUNNING)
    plan = Plan()
    plan.add(VERBS["delete"], gone, "")
    words = render_to_string("sandboxes/ask.html", {"plan": plan, "verb": VERBS["delete"], "form": {}})
    assert "It no longer exists in Daytona; this takes it off its owner's list." in words
    assert VERBS["delete"].consequence not in words


def test_nothing_to_do_offers_no_button(admin: Client) -> None:
    gone = rows.sandbox(status=Status.GONE)
    words = text_of(act(admin, "stop", gone))
    assert "There is nothing to do here." in words
    assert "Reason" not in words


def test_for_one_sandbox_the_refusal_comes_back_on_its_page(admin: Client) -> None:
    rows.owner(hold_since=rows.ago(hours=1))
    row = rows.sandbox(status=Status.STOPPED)
    words = text_of(act(admin, "start", row))
    assert "The owner of “atlas” is on hold. Lift the hold on the owner's page." in words
    assert not Operation.objects.exists()


def test_nothing_chosen_and_nonsense_chosen_lead_back_to_the_list(admin: Client) -> None:
    address = reverse("admin:sandboxes_sandbox_act_start")
    for chosen in ([], ["nonsense"]):
        words = text_of(admin.post(address, {"_selected_action": chosen}, follow=True))
        assert "No sandbox was chosen." in words


def test_a_sandbox_that_does_not_exist_is_refused_with_a_word(admin: Client) -> None:
    other = "00000000-0000-4000-8000-000000000000"
    address = reverse("admin:sandboxes_sandbox_act_sync")
    words = text_of(admin.post(address, {"_selected_action": [other]}, follow=True))
    assert f"No sandbox {other}." in words


@pytest.mark.parametrize(
    ("verb", "status", "why"),
    [
        ("start", Status.RUNNING, "It is running."),
        ("stop", Status.STOPPED, "It is stopped."),
        ("archive", Status.ARCHIVED, "It is archived."),
        ("restart", Status.STOPPED, "It is stopped: start it."),
        ("recover", Status.RUNNING, "Only a sandbox in error can be recovered."),
        ("cancel", Status.RUNNING, "No operation is active."),
        ("stop", Status.GONE, "“atlas” no longer exists in Daytona."),
        ("protect", Status.GONE, "“atlas” no longer exists in Daytona."),
        ("start", Status.ERROR, "Daytona cannot recover “atlas”: delete it. A sync looks again."),
        ("recover", Status.ERROR, "Daytona cannot recover “atlas”: delete it. A sync looks again."),
        ("stop", Status.ERROR, "“atlas” is in error: delete it."),
        ("archive", Status.ERROR, "“atlas” is in error: delete it."),
    ],
)
def test_a_button_that_cannot_work_is_disabled_and_says_why(
    admin: Client, verb: str, status: Status, why: str
) -> None:
    content = page(admin, rows.sandbox(status=status)).content.decode()
    assert f'data-why="{why}" aria-label="{VERBS[verb].label}: {why}"' in content
    assert f'id="do-{verb}"' not in content


def test_what_daytona_can_recover_may_be_recovered_and_started_but_not_stopped(admin: Client) -> None:
    content = page(admin, rows.sandbox(status=Status.ERROR, recoverable=True)).content.decode()
    for verb in ("start", "recover", "delete"):
        assert f'id="do-{verb}"' in content
    assert 'data-why="“atlas” is in error: recover or delete it." aria-label="Stop:' in content


def test_a_start_for_an_owner_on_hold_is_disabled(admin: Client) -> None:
    rows.owner(hold_since=rows.ago(hours=1))
    content = page(admin, rows.sandbox(status=Status.STOPPED)).content.decode()
    assert 'data-why="The owner of “atlas” is on hold."' in content


def test_an_operation_that_has_reached_daytona_cannot_be_cancelled(admin: Client) -> None:
    row = rows.sandbox(status=Status.STOPPING)
    rows.call(rows.operation(row, Action.STOP, OperationStatus.IN_PROGRESS), "stop", "pending")
    assert "Daytona was already asked: request the opposite instead." in page(admin, row).content.decode()


def test_a_sandbox_that_only_looks_running_can_still_be_started(admin: Client) -> None:
    row = rows.sandbox(status=Status.RUNNING, intent_met_at=None)
    assert 'id="do-start"' in page(admin, row).content.decode()
