"""Events in one order: nothing turns up behind a reader, whatever transactions do; and every change is told."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction

from sandboxes import clock
from sandboxes.core.causes import Cause, cause_of
from sandboxes.core.observation import mark_gone, refresh_status
from sandboxes.core.vocabulary import Action, Actor, Source, Status
from sandboxes.models import Feed, Sandbox, SandboxEvent
from sandboxes.services import feed, lifecycle, sandbox_store
from sandboxes.services.decisions import drafting
from sandboxes.services.erasure import erase_owner
from sandboxes.services.facts import facts_of
from sandboxes.services.prune import prune
from tests.support import rows
from tests.support.driving import reload
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import Settings

ALICE = Actor.owner("alice")
two_connections = pytest.mark.django_db(transaction=True)


def numbered() -> dict[str, int | None]:
    feed.number_events()
    return dict(SandboxEvent.objects.order_by("seq").values_list("text", "seq"))


@contextmanager
def open_transaction(box: Sandbox, text: str, *, commit: bool) -> Iterator[threading.Event]:
    """Another connection has written an event, and ends its transaction when it is let go."""
    written, let_go = threading.Event(), threading.Event()

    def write() -> None:
        with transaction.atomic():
            rows.event(box, text=text)
            written.set()
            let_go.wait(timeout=PATIENCE)
            transaction.set_rollback(not commit)
        connection.close()

    thread = threading.Thread(target=write)
    thread.start()
    assert written.wait(timeout=PATIENCE)
    try:
        yield let_go
    finally:
        let_go.set()
        thread.join()


@two_connections
@pytest.mark.parametrize("commit", [True, False])
def test_what_commits_late_gets_a_later_number_and_what_is_rolled_back_none(commit: bool) -> None:
    box = rows.sandbox(of="alice")
    with open_transaction(box, "first written", commit=commit) as let_go:
        if connection.vendor == "sqlite":
            let_go.set()  # it has one writer at a time: ours waits for that one
        rows.event(box, text="second written")
        seen = list(numbered())
    rows.event(box, text="last")
    found = numbered()
    assert list(found.values()) == list(range(1, len(found) + 1)), "without a gap"
    assert list(found)[: len(seen)] == seen, "and nothing has turned up behind what was seen"
    assert set(found) == {"second written", "last"} | ({"first written"} if commit else set())
    assert seen == ["second written"] or connection.vendor == "sqlite"


@two_connections
def test_many_who_give_numbers_at_once_give_each_once() -> None:
    box = rows.sandbox(of="alice")
    for number in range(50):
        rows.event(box, text=str(number))
    together = threading.Barrier(4)

    def number_events() -> None:
        together.wait(timeout=PATIENCE)
        feed.number_events()
        connection.close()

    threads = [threading.Thread(target=number_events) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(SandboxEvent.objects.order_by("seq").values_list("seq", flat=True)) == list(range(1, 51))
    assert Feed.objects.get().last == 50


@pytest.mark.django_db
def test_a_number_is_never_given_twice_even_if_the_newest_events_are_deleted() -> None:
    gone = rows.sandbox("gone", of="alice", status=Status.GONE, deleted_at=rows.ago(days=91))
    rows.event(gone, text="the newest")
    assert numbered() == {"the newest": 1}
    prune()
    assert numbered() == {"Deleted here: it was gone for long": 2}


@pytest.mark.django_db
def test_what_is_deleted_for_its_age_moves_the_beginning_of_the_feed(settings: Settings) -> None:
    box = rows.sandbox(of="alice")
    for days in (92, 91, 1):
        rows.event(box, text=f"{days} days ago", at=rows.ago(days=days))
    prune()
    assert numbered() == {"1 days ago": 3}
    assert Feed.objects.get().expired == 2


@pytest.mark.django_db
def test_who_is_erased_leaves_the_ids_of_their_sandboxes_and_no_name() -> None:
    box = rows.sandbox("secret", of="alice", status=Status.GONE)
    rows.event(box)
    erase_owner("alice", actor=Actor.staff("admin"))
    told = SandboxEvent.objects.get()
    assert (told.kind, told.owner, told.data) == ("erased", "", {"sandbox": str(box.pk)})
    assert "secret" not in f"{told.text}{told.changes}"


@pytest.mark.django_db
def test_a_create_tells_all_that_a_copy_needs() -> None:
    new = lifecycle.NewRequest(name="atlas")
    box = lifecycle.create("alice", actor=ALICE, source=Source.API, new=new).sandbox
    first = SandboxEvent.objects.order_by("pk").first()
    assert first is not None
    assert (first.kind, first.owner, first.actor) == ("created", "alice", "owner:alice")
    assert first.changes == facts_of(reload(box.pk))


@pytest.mark.django_db
def test_a_copy_made_of_events_alone_is_the_sandbox() -> None:
    box = rows.sandbox("atlas", of="alice")
    copy = facts_of(box)
    lifecycle.rename(box.pk, "borealis", actor=ALICE)
    lifecycle.set_intervals(box.pk, actor=ALICE, auto_stop=30)
    lifecycle.protect(box.pk, actor=ALICE, until=clock.now() + timedelta(days=1), reason="a demo")
    operation = lifecycle.request(box.pk, Action.STOP, actor=ALICE, source=Source.API, reason="lunch")
    lifecycle.cancel(operation.pk, actor=ALICE)
    with sandbox_store.lock_sandbox(box.pk) as row, drafting(row, None, now=clock.now()) as draft:
        mark_gone(draft)
        refresh_status(draft)
    for changes in SandboxEvent.objects.order_by("pk").values_list("changes", flat=True):
        copy |= changes
    assert copy == facts_of(reload(box.pk))
    kinds = set(SandboxEvent.objects.values_list("kind", flat=True))
    assert kinds >= {"renamed", "change", "intent", "operation", "gone"}


@pytest.mark.django_db
def test_a_change_that_nobody_speaks_of_is_told_all_the_same() -> None:
    box = rows.sandbox("atlas", of="alice", status=Status.RUNNING)
    with sandbox_store.lock_sandbox(box.pk) as row:
        row.status = Status.STOPPING
    with sandbox_store.lock_sandbox(box.pk) as row:
        row.fetch_due_at = clock.now()  # our own work is no change
    told = SandboxEvent.objects.get()
    assert (told.kind, told.text, told.changes) == ("change", "Now stopping", {"status": "stopping"})


@pytest.mark.parametrize(
    ("kind", "actor", "has_operation", "cause"),
    [
        ("intent", "owner:alice", False, Cause.PERSON),
        ("operation", "staff:admin", True, Cause.PERSON),
        ("operation", "service:agent", True, Cause.PROGRAM),
        ("operation", "system:evictor", True, Cause.EVICTION),
        ("operation", "system:intent", True, Cause.INTENT),
        ("created", "system:adopt", False, Cause.SWEEP),
        ("operation", "", True, Cause.OPERATION),
        ("observation", "", True, Cause.OPERATION),
        ("observation", "", False, Cause.OUTSIDE),
        ("gone", "", False, Cause.OUTSIDE),
        ("pruned", "", False, Cause.RETENTION),
        ("convex", "", False, Cause.SYSTEM),
    ],
)
def test_why_it_happened(kind: str, actor: str, has_operation: bool, cause: Cause) -> None:
    assert cause_of(kind=kind, actor=actor, has_operation=has_operation) == cause


# updated_at


@pytest.mark.django_db
def test_updated_at_is_the_databases_time_whoever_saves() -> None:
    box = rows.sandbox(of="alice")
    clock.move(-7200)  # the hosts' own clock counts for nothing
    for change in (
        lambda: box.save(),
        lambda: box.save(update_fields=["name"]),
        lambda: Sandbox.objects.filter(pk=box.pk).update(name="borealis"),
        lambda: Sandbox.objects.bulk_update([box], ["name"]),
    ):
        clock.move(60)
        before = clock.now()
        change()
        assert before <= reload(box.pk).updated_at <= clock.now()


@pytest.mark.django_db
def test_mere_use_and_our_own_work_leave_updated_at_alone() -> None:
    box = rows.sandbox(of="alice")
    before = reload(box.pk).updated_at
    Sandbox.objects.filter(pk=box.pk).update(last_accessed_at=clock.now(), fetch_due_at=clock.now())
    assert sandbox_store.claim(box.pk) is not None
    assert reload(box.pk).updated_at == before
