"""A worker from its start to its end, beside the test, on the emulator."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from django.db import connection, transaction

from sandboxes import clock
from sandboxes.core.codes import NoticeCode
from sandboxes.core.vocabulary import Action, Actor, ActorKind, OperationStatus, Source, Status
from sandboxes.engine.worker import beside
from sandboxes.models import ConvexProjection, Notice, Operation, Sandbox, WorkerHeartbeat
from sandboxes.providers.convex import gateway as convex
from sandboxes.providers.daytona import gateway as daytona
from sandboxes.services import intent, lifecycle
from tests.support import rows
from tests.support.driving import ask, reload
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.support.emulator import Emulator

pytestmark = pytest.mark.django_db(transaction=True)


def create(owner: str = "alice", **new: Any) -> Operation:
    return lifecycle.create(owner, actor=Actor.owner(owner), source=Source.API, new=lifecycle.NewRequest(**new))


def ended(*operations: Operation) -> bool:
    for operation in operations:
        operation.refresh_from_db()
    return not any(operation.is_active for operation in operations)


def wait_for(*operations: Operation) -> None:
    wait_until(lambda: ended(*operations), what="end of the operations")


def test_what_is_due_when_it_starts_and_what_becomes_due_is_done(world: Emulator) -> None:
    first = create()
    with beside(places=20):
        wait_for(first)
        second = create("bob")
        wait_for(second)
        stop = ask(first.sandbox, Action.STOP)
        wait_for(stop)
    assert {one.status for one in (first, second, stop)} == {OperationStatus.SUCCEEDED}
    assert reload(first.sandbox_id).status == Status.STOPPED
    assert not Sandbox.objects.exclude(lease_token="").exists()


def test_hints_pushes_and_touches_are_done_as_well(
    world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.CONVEX_URL, settings.CONVEX_DEPLOY_KEY = world.convex_url, world.convex_key
    convex.reset()
    sandbox = running()
    Sandbox.objects.filter(pk=sandbox.pk).update(last_accessed_at=None, touch_forwarded_at=None)
    intent.touch(sandbox.pk, actor=Actor.owner("alice"))
    with beside(places=20):
        wait_until(lambda: world.log(action="last-activity"), what="the touch")
        world.change(str(sandbox.daytona_id), state="stopped")
        Sandbox.objects.filter(pk=sandbox.pk).update(fetch_due_at=clock.now())
        wait_until(lambda: reload(sandbox.pk).status == Status.STOPPED, what="what the fetch shows")
        wait_until(lambda: not ConvexProjection.objects.behind().exists(), what="the push")
    assert [row["status"] for row in world.state("convex")["sandboxes"]] == ["stopped"]
    assert reload(sandbox.pk).touch_due_at is None
    convex.reset()


def test_a_worker_that_stops_lets_a_call_end_and_gives_back_what_it_has(world: Emulator) -> None:
    """The create is answered after the stop; what it leads to is left for another worker, due at once."""
    world.stop_clock()
    held = world.faults.add("delay", method="POST", path="/api/sandbox$", times=1, seconds=1.0)
    operation = create()

    def answer_after_the_stop() -> None:
        wait_until(worker._stopping.is_set, what="the stop")
        world.start_clock()

    with beside(places=20) as worker:
        wait_until(lambda: world.faults.hits(held), what="the create")
        answering = threading.Thread(target=answer_after_the_stop)
        answering.start()
    answering.join()
    assert operation.calls.get().outcome == "accepted"
    row = reload(operation.sandbox_id)
    assert (row.lease_token, row.lease_until) == ("", None)
    operation.refresh_from_db()
    assert operation.is_active
    assert operation.due_at is not None
    beat = WorkerHeartbeat.objects.get()
    assert beat.stopped_at is not None
    with beside(places=20):
        wait_for(operation)
    assert operation.status == OperationStatus.SUCCEEDED
    assert [line["action"] for line in world.log()] == ["create"]


def test_it_shows_what_it_is_at(world: Emulator, settings: Settings) -> None:
    settings.HEARTBEAT_SECONDS = 0.1
    world.stop_clock()
    held = world.faults.add("delay", method="POST", path="/api/sandbox$", times=3, seconds=1.0)
    operations = [create(name) for name in ("alice", "bob", "carol")]
    with beside(places=20):
        wait_until(lambda: world.faults.hits(held) == 3, what="creates")
        wait_until(lambda: WorkerHeartbeat.objects.get().lanes.get("people") == [3, 20], what="places taken")
        world.start_clock()
        wait_for(*operations)


@pytest.mark.postgres
def test_a_request_wakes_it_when_the_transaction_commits(world: Emulator, settings: Settings) -> None:
    """Its own look at what is due comes so seldom here that nothing but the wake-up can be the reason."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sandboxes.engine.worker.POLL", 3600.0)
        with beside(places=20):
            wait_until(listens, what="a worker that listens")
            with transaction.atomic():
                operation = create()
            wait_for(operation)
    assert operation.status == OperationStatus.SUCCEEDED


def listens() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN %'"
        )
        return bool(cursor.fetchone()[0])


# Rows that break


def break_json(row: Sandbox) -> None:
    Sandbox.objects.filter(pk=row.pk).update(pending_changes={"auto_stop": 5})


def break_action(row: Sandbox) -> None:
    row.operations.update(action="dance")


def break_search(row: Sandbox) -> None:
    row.operations.update(search={"phase": "nowhere"})


def break_deadline(row: Sandbox) -> None:
    row.operations.update(
        deadline=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), deadline_runs=False, attempted_at=rows.ago(hours=3)
    )


def lose_projection(row: Sandbox) -> None:
    ConvexProjection.objects.filter(pk=row.pk).delete()


@pytest.mark.parametrize("spoil", [break_json, break_action, break_search, break_deadline, lose_projection])
def test_a_row_that_breaks_does_not_hold_up_those_beside_it(
    world: Emulator, spoil: Callable[[Sandbox], None]
) -> None:
    """They are all found due together, so that they are decided in the same batches."""
    operations = [create(f"owner-{number}") for number in range(8)]
    broken = operations.pop(3)
    spoil(broken.sandbox)
    with beside(places=50):
        wait_for(*operations)
        is_told = lambda: Notice.objects.filter(code=NoticeCode.ROWS_FAILING).exists()  # noqa: E731
        wait_until(lambda: is_told() or ended(broken), what="an answer to what is broken")
    assert {one.status for one in operations} == {OperationStatus.SUCCEEDED}
    row = Sandbox.objects.filter(pk=broken.sandbox_id).values("failures", "lease_token").get()
    assert row["lease_token"] == ""
    assert row["failures"] > 0 or not broken.is_active
    assert not Sandbox.objects.exclude(pk=broken.sandbox_id).filter(failures__gt=0).exists()


def test_one_that_breaks_again_and_again_ends_as_an_error_of_our_own(world: Emulator) -> None:
    operation = create()
    break_search(operation.sandbox)
    Sandbox.objects.filter(pk=operation.sandbox_id).update(failures=9)
    with beside(places=20):
        wait_for(operation)
    assert (operation.status, operation.code) == (OperationStatus.FAILED, "internal_error")
    assert world.log() == [], "nothing was asked of Daytona"


def test_people_are_served_while_the_system_has_thousands_due(world: Emulator) -> None:
    for number in range(60):
        sandbox = rows.sandbox(f"box {number}", of="busy")
        rows.operation(
            sandbox, Action.STOP, OperationStatus.QUEUED, owner="busy", actor_kind=ActorKind.SYSTEM,
            due_at=rows.ago(hours=1), deadline=clock.now(),
        )  # fmt: skip
    world.stop_clock()
    world.faults.add("delay", method="GET", times=1000, seconds=60.0)
    with beside(places=4):
        wait_until(lambda: Sandbox.objects.exclude(lease_token="").count() >= 2, what="places of the system taken")
        operation = create()
        row = Sandbox.objects.filter(pk=operation.sandbox_id)
        wait_until(lambda: row.exclude(lease_token="").exists(), what="a place for a person")
        world.faults.clear()
        world.start_clock()
        daytona.reset()
