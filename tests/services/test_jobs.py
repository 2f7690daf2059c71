"""Jobs as workers do them: in steps, again after a crash, as whoever asked, and never against a later wish."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from sandboxes import clock
from sandboxes.core.vocabulary import Action, Actor, Intent, ItemResult, OperationStatus, Source, Status
from sandboxes.engine.dead import free_the_held, holder_of
from sandboxes.models import AuditEntry, Job, JobItem, Operation, Sandbox
from sandboxes.services import erasure, jobs, lifecycle, prune
from sandboxes.services.heartbeat import Heartbeat
from sandboxes.services.jobs import steps
from sandboxes.services.staff_actions import Protection, Wish
from tests.admin import members
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_django import Settings

pytestmark = pytest.mark.django_db
ROOT = Actor.staff("admin")


@pytest.fixture(autouse=True)
def somebody(db: None) -> None:
    members.root()


def many(count: int, **fields: Any) -> list[Sandbox]:
    return [rows.sandbox(f"box-{number}", **fields) for number in range(count)]


def job_of(*sandboxes: Sandbox, action: str = "stop", actor: Actor = ROOT, **wish: Any) -> Job:
    wanted = Wish(actor=actor, request_id="", reason="at noon", **wish)
    return jobs.create(action, [row.pk for row in sandboxes], wanted, left_out={})


def results(job: Job) -> list[tuple[str, str]]:
    return list(job.items.order_by("pk").values_list("result", "code"))


def test_it_is_done_in_steps_and_over_when_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "TOGETHER", 2)
    job = job_of(*many(5))
    counts = [Operation.objects.count() for _ in range(4) if jobs.work()]
    assert counts == [2, 4, 5]
    job.refresh_from_db()
    assert job.due_at is None
    assert job.finished_at is not None
    assert job.lease_token == ""
    assert {o.request_id for o in Operation.objects.all()} == {f"job:{job.pk}"}
    assert {o.reason for o in Operation.objects.all()} == {"at noon"}


def test_jobs_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "TOGETHER", 1)
    first, second = job_of(*many(2, of="a")), job_of(*many(2, of="b"))
    done = []
    for _ in range(4):
        clock.move(1)
        jobs.work()
        done.append((first.items.counts()["waiting"], second.items.counts()["waiting"]))
    assert done == [(1, 2), (1, 1), (0, 1), (0, 0)]


def test_what_says_no_is_skipped_with_its_code_and_stops_none_of_the_others() -> None:
    rows.owner("held", hold_since=rows.ago(hours=1))
    stopped = rows.sandbox("one", status=Status.STOPPED)
    held, runs = rows.sandbox("two", of="held", status=Status.STOPPED), rows.sandbox("three")
    job = job_of(stopped, held, runs, action="start")
    jobs.work()
    assert results(job) == [("requested", ""), ("skipped", "owner_on_hold"), ("skipped", "")]
    assert job.items.get(sandbox=runs).message == "It is running."


def test_what_was_deleted_here_meanwhile_is_skipped() -> None:
    one, two = many(2)
    job = job_of(one, two)
    one.delete()
    jobs.work()
    assert results(job) == [("skipped", "sandbox_not_found"), ("requested", "")]


def test_a_later_wish_of_somebody_else_stands() -> None:
    one, two, three = many(3, status=Status.STOPPED, intent=Intent.STOPPED)
    job = job_of(one, two, three, action="start")
    clock.move(1)
    lifecycle.request(two.pk, Action.DELETE, actor=Actor.owner("user_alice"), source=Source.API)
    lifecycle.request(three.pk, Action.ARCHIVE, actor=Actor.owner("user_alice"), source=Source.API)
    jobs.work()
    assert results(job) == [("requested", ""), ("skipped", "superseded"), ("skipped", "superseded")]
    assert job.items.get(sandbox=three).message == "Somebody has asked for it to be archived since."
    three.refresh_from_db()
    assert three.intent == Intent.ARCHIVED


def test_a_later_wish_for_the_same_is_joined() -> None:
    (one,) = many(1)
    job = job_of(one)
    clock.move(1)
    theirs = lifecycle.request(one.pk, Action.STOP, actor=Actor.owner("user_alice"), source=Source.API)
    jobs.work()
    assert results(job) == [("requested", "")]
    assert job.items.get().operation == theirs


def test_whoever_lost_the_permission_acts_through_no_job() -> None:
    user = members.member("mia", "stop_sandbox")
    job = job_of(*many(2), actor=Actor.staff("mia"))
    user.user_permissions.clear()
    jobs.work()
    assert not Operation.objects.exists()
    job.refresh_from_db()
    assert (job.cancelled_by, job.cancelled_because) == ("system:jobs", "mia may not do this any more.")
    assert results(job) == [("cancelled", ""), ("cancelled", "")]
    assert job.finished_at is not None


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}, {"username": "renamed"}])
def test_nor_does_whoever_is_no_longer_on_staff(change: dict[str, Any]) -> None:
    user = members.member("mia", "stop_sandbox")
    job_of(*many(2), actor=Actor.staff("mia"))
    type(user).objects.filter(pk=user.pk).update(**change)
    jobs.work()
    assert not Operation.objects.exists()


def test_what_it_changes_is_audited_as_theirs_with_the_id_of_the_job() -> None:
    job = job_of(*many(2), action="protect", parameters=Protection(hours=8))
    Job.objects.update(address="203.0.113.7")
    jobs.work()
    assert results(job) == [("done", ""), ("done", "")]
    told = AuditEntry.objects.filter(action="protection")
    assert {(one.actor, one.request_id, one.address) for one in told} == {
        ("staff:admin", f"job:{job.pk}", "203.0.113.7")
    }
    (asked,) = AuditEntry.objects.filter(action="job")
    assert (asked.reason, asked.after["sandboxes"]) == ("at noon", 2)


def test_what_breaks_on_one_is_that_ones_alone() -> None:
    bad, good = many(2)
    job = job_of(bad, good)
    Sandbox.objects.filter(pk=bad.pk).update(pending_changes=["nonsense"])
    jobs.work()
    assert results(job) == [("failed", "internal_error"), ("requested", "")]


# Crashes


def held_by_a_dead_worker(job: Job, *, holder: str = "") -> None:
    """As a worker left it that was killed within a step."""
    until = clock.now() + timedelta(seconds=steps.LEASE_SECONDS)
    Job.objects.filter(pk=job.pk).update(lease_token=f"{holder}:x", lease_until=until, due_at=until)


def test_a_killed_worker_is_followed_by_another_that_requests_nothing_twice() -> None:
    """It had requested, and not written this down; by then a stop has ended, and something else is wanted."""
    one, two = many(2)
    job = job_of(one, two)
    made = [
        lifecycle.request(row.pk, Action.STOP, actor=ROOT, source=Source.ADMIN, request_id=job.request_id)
        for row in (one, two)
    ]
    held_by_a_dead_worker(job)
    Operation.objects.update(status=OperationStatus.SUCCEEDED, finished_at=clock.now())
    Sandbox.objects.update(status=Status.STOPPED, observed_state="stopped", intent_met_at=clock.now())
    lifecycle.request(two.pk, Action.START, actor=Actor.owner("user_alice"), source=Source.API)
    assert not jobs.work(), "its lease runs"
    clock.move(steps.LEASE_SECONDS + 1)
    assert jobs.work()
    assert results(job) == [("requested", ""), ("requested", "")]
    assert list(job.items.order_by("pk").values_list("operation", flat=True)) == [one.pk for one in made]
    assert Sandbox.objects.get(pk=two.pk).intent == Intent.RUNNING


def test_what_a_silent_worker_held_is_due_before_its_lease_ends(settings: Settings) -> None:
    heartbeat = Heartbeat(places=10)
    heartbeat.beat({})
    held_by_a_dead_worker(job_of(*many(1)), holder=holder_of(heartbeat.worker_id))
    assert settings.WORKER_SILENT_SECONDS < steps.LEASE_SECONDS
    clock.move(settings.WORKER_SILENT_SECONDS + 1)
    assert not jobs.work()
    free_the_held()
    assert jobs.work()


@contextmanager
def when_it_has_requested(then: Callable[[], object]) -> Iterator[None]:
    """Something happens between the requests of a step and their being written down."""
    moments = {"requested": False, "happened": False}

    def watch(execute: Any, sql: str, *rest: Any) -> Any:
        if moments["requested"] and not moments["happened"]:
            moments["happened"] = True
            then()
        moments["requested"] |= 'INTO "sandboxes_operation"' in sql
        return execute(sql, *rest)

    with connection.execute_wrapper(watch):
        yield
    assert moments["happened"]


def test_a_worker_that_lost_its_lease_writes_nothing_any_more() -> None:
    job = job_of(*many(2))
    with when_it_has_requested(lambda: held_by_a_dead_worker(job, holder="another")):
        jobs.work()
    assert results(job) == [("waiting", "")] * 2
    job.refresh_from_db()
    assert job.lease_token == "another:x"
    clock.move(steps.LEASE_SECONDS + 1)
    jobs.work()
    assert results(job) == [("requested", "")] * 2
    assert Operation.objects.count() == 2


def test_a_cancel_during_a_step_leaves_what_was_requested_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "TOGETHER", 1)
    job = job_of(*many(3))
    with when_it_has_requested(lambda: jobs.cancel(job.pk, actor=ROOT)):
        jobs.work()
    assert results(job) == [("requested", ""), ("cancelled", ""), ("cancelled", "")]
    job.refresh_from_db()
    assert job.finished_at is not None
    assert not jobs.work()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_workers_never_do_one_step_both() -> None:
    job_of(*many(8))

    def be_a_worker(_: int) -> bool:
        try:
            return jobs.work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(be_a_worker, range(4))) == 1
    assert Operation.objects.count() == 8


# Cost


def statements(count: int) -> int:
    job_of(*many(count))
    with CaptureQueriesContext(connection) as asked:
        assert jobs.work()
    assert not JobItem.objects.filter(result=ItemResult.WAITING).exists()
    return len(asked)


def test_a_step_costs_the_same_statements_however_many_it_takes() -> None:
    inserts = 0 if connection.vendor == "postgresql" else 3  # SQLite takes so many values in one
    assert statements(40) - statements(3) <= inserts


def made_in_bulk(count: int) -> list[Sandbox]:
    owner = rows.owner("bulk")
    made = [
        Sandbox(owner=owner, name=f"box-{number}", status=Status.GONE, intent=Intent.DELETED, created_at=rows.ago(),
                deleted_at=rows.ago(), status_changed_at=rows.ago())
        for number in range(count)
    ]  # fmt: skip
    Sandbox.objects.bulk_create(made, batch_size=1000)
    return made


def test_ten_thousand_are_made_and_done_in_flat_memory() -> None:
    ids = [row.pk for row in made_in_bulk(10_000)]
    wish = Wish(actor=ROOT, request_id="", reason="at noon")
    with CaptureQueriesContext(connection) as asked:
        tracemalloc.start()
        try:
            job = jobs.create("protect", ids, wish, left_out={})
            jobs.work()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(asked) < 150
    assert peak < 20_000_000
    assert job.items.counts() | {"waiting": 9_800, "skipped": 200} == job.items.counts()


# Retention


def test_a_finished_job_goes_after_its_retention_with_its_items() -> None:
    old, new = job_of(*many(2)), job_of(*many(1))
    while jobs.work():
        pass
    Job.objects.filter(pk=old.pk).update(finished_at=rows.ago(days=91))
    assert prune.prune()["jobs"] == 1
    assert list(Job.objects.all()) == [new]
    assert JobItem.objects.count() == 1


def test_an_erased_owner_is_in_no_job_any_more() -> None:
    theirs = rows.sandbox(of="bob", status=Status.GONE)
    job_of(theirs, *many(1))
    erasure.erase_owner("bob", actor=ROOT)
    assert not JobItem.objects.filter(owner="bob").exists()
    assert JobItem.objects.count() == 1
