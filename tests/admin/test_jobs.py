from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from sandboxes.admin import choosing
from sandboxes.core.vocabulary import Action, Intent, ItemResult, OperationStatus, Status
from sandboxes.models import AuditEntry, Job, JobItem, Operation, Sandbox
from sandboxes.services import jobs
from tests.admin import members
from tests.admin.pages import act, confirm, text_of, worked
from tests.support import rows


def job_page(browser: Client, job: Job | None = None, **query: str) -> Any:
    return browser.get(reverse("admin:sandboxes_job_change", args=[(job or Job.objects.get()).pk]), query)


def press(browser: Client, form: dict[str, str], verb: str) -> Any:
    return browser.post(reverse(f"admin:sandboxes_sandbox_act_{verb}"), form, follow=True)


def everything_listed(browser: Client, verb: str, query: str = "", **fields: str) -> Any:
    return press(browser, {"select_across": "1", "query": query, **fields}, verb)


def test_several_become_a_job_with_a_line_for_each(admin: Client) -> None:
    one, two, gone = rows.sandbox("one"), rows.sandbox("two"), rows.sandbox("three", status=Status.GONE)
    asked = confirm(admin, "stop", one, two, gone, reason="maintenance at noon")
    assert "3 of 3 still at work; this page follows them." in text_of(asked)
    assert not Operation.objects.exists(), "a worker requests them"
    words = text_of(worked(admin, asked))
    assert "Stop: 3 sandboxes" in words
    assert "all requested 2 of 3 still at work" in words
    assert "Reason: maintenance at noon" in words
    assert "skipped “three” no longer exists in Daytona." in words
    assert {(o.actor_kind, o.actor_id, o.reason) for o in Operation.objects.all()} == {
        ("staff", "admin", "maintenance at noon")
    }


def test_it_stays_live_until_all_have_settled(admin: Client) -> None:
    shown = worked(admin, confirm(admin, "stop", rows.sandbox("one"), rows.sandbox("two")))
    assert 'data-live="job" data-live-active' in shown.content.decode()
    Operation.objects.update(status=OperationStatus.SUCCEEDED, step="")
    settled = job_page(admin)
    assert "data-live-active" not in settled.content.decode()
    assert "All have settled." in text_of(settled)


def test_the_failed_can_be_retried_with_the_same_reason(admin: Client) -> None:
    one, two = rows.sandbox("one"), rows.sandbox("two")
    worked(admin, confirm(admin, "stop", one, two, reason="maintenance"))
    Operation.objects.filter(sandbox=one).update(status=OperationStatus.FAILED, code="timeout", message="too slow")
    Operation.objects.filter(sandbox=two).update(status=OperationStatus.SUCCEEDED)
    Sandbox.objects.filter(pk=one.pk).update(intent=Intent.RUNNING, intent_met_at=rows.ago())
    words = text_of(job_page(admin))
    assert "All have settled; 1 failed." in words
    assert "timeout: too slow The status shows what Daytona says now; try again." in words
    assert "Retry the one that failed" in words
    form = {"job": str(Job.objects.get().pk), "failed_only": "1", "reason": "maintenance"}
    again = press(admin, form, "stop")
    assert "Stop one?" in text_of(again)
    assert 'value="maintenance"' in again.content.decode()


def stop_that_failed(browser: Client) -> Sandbox:
    """The first of two stops failed in Daytona, while the intent stays."""
    one, two = rows.sandbox("one"), rows.sandbox("two")
    worked(browser, confirm(browser, "stop", one, two))
    Operation.objects.update(status=OperationStatus.SUCCEEDED, finished_at=rows.ago())
    Operation.objects.filter(sandbox=one).update(status=OperationStatus.FAILED, code="timeout")
    Sandbox.objects.filter(pk=two.pk).update(status=Status.STOPPED, intent_met_at=rows.ago())
    return one


def test_what_sandkeeper_goes_on_with_by_itself_is_not_failed_yet(admin: Client) -> None:
    one = stop_that_failed(admin)
    words = text_of(job_page(admin))
    assert "1 of 2 still at work" in words
    assert "tried again timeout Sandkeeper goes on with it by itself." in words
    assert "Retry" not in words
    Sandbox.objects.filter(pk=one.pk).update(status=Status.STOPPED, intent_met_at=rows.ago())
    assert "succeeded by Sandkeeper's own retry now" in text_of(job_page(admin))


def test_what_cannot_be_done_any_more_is_not_offered_for_retry(admin: Client) -> None:
    one = stop_that_failed(admin)
    Sandbox.objects.filter(pk=one.pk).update(status=Status.ERROR, observed_state="error")
    words = text_of(job_page(admin))
    assert "All have settled; 1 failed." in words
    assert "Retry" not in words


def test_an_action_without_operations_is_done_at_once(admin: Client) -> None:
    words = text_of(worked(admin, confirm(admin, "protect", rows.sandbox("one"), rows.sandbox("two"))))
    assert "All have settled." in words
    assert words.count("done") >= 2


def test_everybody_who_may_see_operations_sees_it_and_acts_by_their_own_permissions(
    admin: Client, viewer: Client, operator: Client
) -> None:
    confirm(admin, "stop", rows.sandbox("one"), rows.sandbox("two"))
    assert "Cancel the rest" in text_of(job_page(operator))
    assert "Cancel the rest" not in text_of(job_page(viewer))
    cancel = reverse("admin:sandboxes_job_cancel", args=[Job.objects.get().pk])
    assert viewer.post(cancel).status_code == 403
    nobody = Client()
    nobody.force_login(members.member("nora", "view_sandbox"))
    assert job_page(nobody).status_code == 403
    assert nobody.get(reverse("admin:sandboxes_job_items", args=[Job.objects.get().pk])).status_code == 403


def test_the_list_of_jobs_says_how_far_each_is(admin: Client) -> None:
    asked = confirm(admin, "stop", rows.sandbox("one"), rows.sandbox("two"), reason="at noon")
    jobs_page = reverse("admin:sandboxes_job_changelist")
    assert "Stop: 2 sandboxes admin at noon pending 0 of 2 requested" in text_of(admin.get(jobs_page))
    worked(admin, asked)
    assert "done_all all requested" in text_of(admin.get(jobs_page))


# All that match


def test_all_that_match_are_asked_about_and_then_just_those_are_acted_on(admin: Client) -> None:
    for number in range(30):
        rows.sandbox(f"box-{number}", of="bob")
    other = rows.sandbox("other", of="carol")
    asked = everything_listed(admin, "stop", "owner=bob")
    assert "Stop 30 sandboxes?" in text_of(asked)
    (ids,) = [one.split('"')[0] for one in asked.content.decode().split('name="_selected_action" value="')[1:]]
    rows.sandbox("late", of="bob")
    form = {"_selected_action": ids, "confirmed": "1", "reason": "noon", "query": "owner=bob"}
    worked(admin, press(admin, form, "stop"))
    job = Job.objects.get()
    assert (job.total, job.query) == (30, "owner=bob")
    assert Operation.objects.count() == 30
    assert not Operation.objects.filter(sandbox__in=[other, *Sandbox.objects.filter(name="late")]).exists()


def test_more_than_a_page_names_are_counted_by_status(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandboxes.admin.acting.NAMED", 2)
    rows.sandbox("one", ephemeral=True)
    rows.sandbox("two")
    rows.sandbox("three", status=Status.STOPPED)
    words = text_of(everything_listed(admin, "stop"))
    assert "Stopping 3 sandboxes" in words
    assert "running 2 stop_circle stopped 1" in words
    assert "Stop and destroy the 1 that Daytona deletes within a day of it; else it is left running" in words
    assert "are skipped; the job's page says why." in words


def test_what_asks_nothing_of_ticked_rows_asks_before_it_is_done_to_all_that_match(admin: Client) -> None:
    rows.sandbox("one", status=Status.STOPPED)
    rows.sandbox("two", status=Status.STOPPED)
    words = text_of(everything_listed(admin, "start"))
    assert "Start 2 sandboxes?" in words
    assert not Job.objects.exists()
    assert everything_listed(admin, "start", confirmed="1").redirect_chain
    assert Job.objects.get().total == 2


def test_no_more_than_the_most_are_taken_and_this_is_said(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "AT_MOST", 2)
    made = [rows.sandbox(f"box-{number}", created_at=rows.ago(hours=number)) for number in range(3)]
    words = text_of(everything_listed(admin, "sync"))
    assert "More than 2 match: these are the first 2, in the order of the list." in words
    everything_listed(admin, "sync", confirmed="1")
    assert list(JobItem.objects.order_by("pk").values_list("sandbox", flat=True)) == [made[0].pk, made[1].pk]


# What can be done with a job


def test_the_rest_can_be_cancelled(admin: Client) -> None:
    confirm(admin, "stop", rows.sandbox("one"), rows.sandbox("two"))
    cancel = reverse("admin:sandboxes_job_cancel", args=[Job.objects.get().pk])
    words = text_of(admin.post(cancel, follow=True))
    assert "Cancelled: what was not requested yet is left alone." in words
    assert "It was left alone: the job was cancelled." in words
    assert "Nothing was left to cancel." in text_of(admin.post(cancel, follow=True))
    assert jobs.work(), "a worker closes it"
    assert not Operation.objects.exists()
    told = AuditEntry.objects.exclude(action="signed_in").order_by("pk")
    assert list(told.values_list("action", "actor")) == [("job", "staff:admin"), ("job_cancelled", "staff:admin")]


def test_the_opposite_can_be_done_for_just_these(admin: Client) -> None:
    one, two, rests = rows.sandbox("one"), rows.sandbox("two"), rows.sandbox("rests", status=Status.STOPPED)
    shown = worked(admin, confirm(admin, "stop", one, two, rests))
    assert "Start these…" in text_of(shown)
    Operation.objects.update(status=OperationStatus.SUCCEEDED, finished_at=rows.ago())
    Sandbox.objects.update(status=Status.STOPPED, observed_state="stopped", intent_met_at=rows.ago())
    form = {"job": str(Job.objects.get().pk)}
    assert "Start 2 sandboxes?" in text_of(press(admin, form, "start"))
    worked(admin, press(admin, {**form, "confirmed": "1"}, "start"))
    started = Operation.objects.filter(action=Action.START).values_list("sandbox", flat=True)
    assert set(started) == {one.pk, two.pk}


@pytest.mark.parametrize("verb", ["delete", "sync"])
def test_what_has_no_opposite_offers_none(admin: Client, verb: str) -> None:
    shown = worked(admin, confirm(admin, verb, rows.sandbox("one"), rows.sandbox("two")))
    assert 'id="opposite"' not in shown.content.decode()


def test_the_outcomes_are_exported(admin: Client) -> None:
    worked(admin, confirm(admin, "stop", rows.sandbox("=one"), rows.sandbox("two", status=Status.STOPPED)))
    address = reverse("admin:sandboxes_job_items", args=[Job.objects.get().pk])
    lines = list(csv.DictReader(io.StringIO(b"".join(admin.get(address, {"format": "csv"})).decode())))
    assert [(line["name"], line["result"], line["operation__status"]) for line in lines] == [
        ("'=one", "requested", "queued"), ("two", "skipped", ""),
    ]  # fmt: skip
    first, _ = b"".join(admin.get(address, {"format": "jsonl"})).decode().splitlines()
    assert json.loads(first)["name"] == "=one"
    assert admin.get(address, {"format": "xml"}).status_code == 400


def big_job(count: int) -> Job:
    job = Job.objects.create(action="stop", actor_id="admin", total=count, created_at=rows.ago())
    row = rows.sandbox()
    JobItem.objects.bulk_create(
        JobItem(job=job, sandbox=row, name=f"box-{number}", owner="bob", result=ItemResult.SKIPPED)
        for number in range(count)
    )
    return job


def test_its_page_shows_a_hundred_at_a_time_and_those_of_one_outcome(admin: Client) -> None:
    job = big_job(150)
    JobItem.objects.filter(name="box-120").update(result=ItemResult.FAILED, code="internal_error", message="broken")
    first = text_of(job_page(admin, job))
    assert "box-99" in first
    assert "box-100" not in first
    assert "box-149" in text_of(job_page(admin, job, p="2"))
    failed = text_of(job_page(admin, job, group="failed"))
    assert "box-120" in failed
    assert "box-99" not in failed
    assert job_page(admin, job, group="nonsense", p="nonsense").status_code == 200


def test_its_page_costs_the_same_however_many_it_has(admin: Client) -> None:
    job = big_job(300)
    small = Job.objects.create(action="stop", actor_id="admin", total=1, created_at=rows.ago())
    JobItem.objects.create(job=small, sandbox=rows.sandbox("one"), name="one", owner="bob")
    costs = []
    for one in (small, job):
        job_page(admin, one)  # what is cached is
        with CaptureQueriesContext(connection) as asked:
            job_page(admin, one)
        costs.append(len(asked))
    assert costs[0] == costs[1]


def test_what_was_pruned_keeps_its_line(admin: Client) -> None:
    one, two = rows.sandbox("one"), rows.sandbox("two")
    worked(admin, confirm(admin, "stop", one, two))
    Operation.objects.all().delete()
    Sandbox.objects.filter(pk=one.pk).delete()
    words = text_of(job_page(admin))
    assert "one user_alice help requested its operation is no longer kept" in words


def test_an_unknown_job_is_not_found(admin: Client) -> None:
    address = reverse("admin:sandboxes_job_change", args=["00000000-0000-4000-8000-000000000000"])
    assert admin.get(address).status_code == 404
    assert "No sandbox was chosen." in text_of(press(admin, {"job": "nonsense"}, "stop"))
    assert act(admin, "stop", rows.sandbox()).status_code == 200
