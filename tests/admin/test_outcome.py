from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import reverse

from sandboxes.core.vocabulary import Intent, OperationStatus, Status
from sandboxes.models import Operation, Sandbox
from tests.admin.pages import act, confirm, text_of
from tests.support import rows

if TYPE_CHECKING:
    from django.test import Client


def reload(browser: Client, outcome: Any) -> Any:
    return browser.get(outcome.redirect_chain[-1][0])


def test_a_bulk_action_ends_on_a_page_with_a_row_for_each(admin: Client) -> None:
    one, two, gone = rows.sandbox("one"), rows.sandbox("two"), rows.sandbox("three", status=Status.GONE)
    outcome = confirm(admin, "stop", one, two, gone, reason="maintenance at noon")
    words = text_of(outcome)
    assert "Stop: 3 sandboxes" in words
    assert "2 of 3 still at work" in words
    assert "1 skipped" in words
    assert "maintenance at noon" in words
    assert "skipped “three” no longer exists in Daytona." in words


def test_it_stays_live_until_all_have_settled(admin: Client) -> None:
    outcome = confirm(admin, "stop", rows.sandbox("one"), rows.sandbox("two"))
    assert 'data-live="outcome" data-live-active' in outcome.content.decode()
    Operation.objects.update(status=OperationStatus.SUCCEEDED, step="")
    settled = reload(admin, outcome)
    assert "data-live-active" not in settled.content.decode()
    assert "All have settled." in text_of(settled)


def test_the_failed_can_be_retried_with_the_same_reason(admin: Client) -> None:
    one, two = rows.sandbox("one"), rows.sandbox("two")
    outcome = confirm(admin, "stop", one, two, reason="maintenance")
    Operation.objects.filter(sandbox=one).update(status=OperationStatus.FAILED, code="timeout", message="too slow")
    Operation.objects.filter(sandbox=two).update(status=OperationStatus.SUCCEEDED)
    Sandbox.objects.filter(pk=one.pk).update(intent=Intent.RUNNING, intent_met_at=rows.ago())
    failed = reload(admin, outcome)
    words = text_of(failed)
    assert "1 failed" in words
    assert "timeout: too slow The status shows what Daytona says now; try again." in words
    assert "Retry the one that failed" in words
    form = failed.content.decode().split("Retry")[0].rsplit("<form", 1)[1]
    assert str(one.pk) in form
    assert str(two.pk) not in form
    again = act(admin, "stop", one, reason="maintenance")
    assert 'value="maintenance"' in again.content.decode()


def stop_that_failed(browser: Client) -> tuple[Any, Sandbox]:
    """The outcome of two stops, of which the first failed in Daytona, while the intent stays."""
    one, two = rows.sandbox("one"), rows.sandbox("two")
    outcome = confirm(browser, "stop", one, two)
    Operation.objects.update(status=OperationStatus.SUCCEEDED, finished_at=rows.ago())
    Operation.objects.filter(sandbox=one).update(status=OperationStatus.FAILED, code="timeout")
    Sandbox.objects.filter(pk=two.pk).update(status=Status.STOPPED, intent_met_at=rows.ago())
    return outcome, one


def test_what_sandkeeper_goes_on_with_by_itself_is_not_failed_yet(admin: Client) -> None:
    outcome, one = stop_that_failed(admin)
    shown = reload(admin, outcome)
    words = text_of(shown)
    assert "1 of 2 still at work" in words
    assert "tried again timeout Sandkeeper goes on with it by itself." in words
    assert "Retry" not in words
    Sandbox.objects.filter(pk=one.pk).update(status=Status.STOPPED, intent_met_at=rows.ago())
    settled = text_of(reload(admin, outcome))
    assert "All have settled." in settled
    assert "failed" not in settled
    assert "succeeded by Sandkeeper's own retry now" in settled


def test_what_cannot_be_done_any_more_is_not_offered_for_retry(admin: Client) -> None:
    outcome, one = stop_that_failed(admin)
    Sandbox.objects.filter(pk=one.pk).update(status=Status.ERROR, observed_state="error")
    words = text_of(reload(admin, outcome))
    assert "All have settled; 1 failed." in words
    assert "Retry" not in words


def test_an_action_without_operations_is_done_at_once(admin: Client) -> None:
    one, two = rows.sandbox("one"), rows.sandbox("two")
    words = text_of(confirm(admin, "protect", one, two))
    assert "All have settled." in words
    assert words.count("done") >= 2


def test_an_outcome_is_shown_to_the_one_who_asked_only(admin: Client, operator: Client) -> None:
    outcome = confirm(admin, "stop", rows.sandbox("one"), rows.sandbox("two"))
    assert operator.get(outcome.redirect_chain[-1][0]).status_code == 404


def test_the_last_ten_outcomes_are_kept(admin: Client) -> None:
    one, two = rows.sandbox("one"), rows.sandbox("two")
    addresses = [act(admin, "sync", one, two).redirect_chain[-1][0] for _ in range(12)]
    answers = [admin.get(address).status_code for address in addresses]
    assert answers == [404, 404, *[200] * 10]


def test_an_unknown_outcome_is_not_found(admin: Client) -> None:
    address = reverse("admin:sandboxes_sandbox_outcome", args=["00000000-0000-4000-8000-000000000000"])
    assert admin.get(address).status_code == 404
