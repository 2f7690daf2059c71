"""Events reach their receivers: signed, in order, at least once, and whatever the receiver does."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from standardwebhooks import WebhookVerificationError

from project.logs import redact
from sandboxes import clock
from sandboxes.core.deliveries import Reply
from sandboxes.core.vocabulary import EventKind
from sandboxes.models import Delivery, Receiver, SandboxEvent
from sandboxes.providers import blocking
from sandboxes.services import feed, keys, webhooks
from sandboxes.services.erasure import erase_owner
from sandboxes.services.webhooks import outbox, sending
from tests.services.webhooks.sending import STAFF, attempt, claim, deliver, key, register
from tests.support import rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from tests.support.receiver import Got, ReceiverServer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("stopped_clock")]
DAY = 86_400.0


def fails(_: Got) -> int:
    return 500


def test_an_event_arrives_as_the_feed_shows_it_and_signed(server: ReceiverServer) -> None:
    box = rows.sandbox(of="alice")
    rows.event(box, text="before it was registered")
    _, secret = register(server.url)
    changes = {"status": "error", "error_reason": "its own words"}
    event = rows.event(box, EventKind.OBSERVATION, "Daytona says error: its own words", changes=changes)
    assert deliver() == 1
    (got,) = server.got
    event.refresh_from_db()
    whole = got.verified(secret)
    assert whole["data"] == feed.shown(event, for_staff=False)
    assert (whole["type"], whole["timestamp"]) == ("observation", whole["data"]["at"])
    assert got.id == f"evt_{event.seq}"
    assert b"its own words" not in got.body
    assert not Delivery.objects.exists()


def test_it_is_told_what_its_key_may_read_and_what_it_asked_for(server: ReceiverServer) -> None:
    alice, bob = rows.sandbox(of="alice"), rows.sandbox(of="bob")
    register(server.url, owner="alice", kinds=["intent", "gone"])
    for box in (alice, bob):
        for kind in (EventKind.INTENT, EventKind.CALL, EventKind.CONVEX, EventKind.OPERATION, EventKind.GONE):
            rows.event(box, kind)
    deliver()
    told = [(got.event["owner"], got.event["type"]) for got in server.got]
    assert told == [("alice", "intent"), ("alice", "gone")]


def test_events_of_a_sandbox_arrive_in_their_order_while_others_go_on(server: ReceiverServer) -> None:
    first, second = rows.sandbox(), rows.sandbox("borealis")
    register(server.url)
    server.answer = lambda got: 500 if got.event["message"] == "a1" else 204
    for text in ("a1", "a2", "a3"):
        rows.event(first, text=text)
        rows.event(second, text=text.replace("a", "b"))
    deliver()
    assert sorted(got.event["message"] for got in server.got) == ["a1", "b1", "b2", "b3"]
    server.answer = lambda _: 204
    assert deliver() == 0, "it is not due again yet"
    clock.move(10)
    deliver()
    of_first = [got.event["message"] for got in server.got if got.event["sandbox"] == str(first.pk)]
    assert of_first == ["a1", "a1", "a2", "a3"]
    assert server.ids.count("evt_1") == 2, "the same delivery has the same id"


def test_events_that_come_while_one_waits_wait_behind_it(server: ReceiverServer) -> None:
    box = rows.sandbox()
    register(server.url)
    server.answer = fails
    rows.event(box, text="1")
    deliver()
    rows.event(box, text="2")
    assert deliver() == 0
    server.answer = lambda _: 204
    clock.move(10)
    deliver()
    assert [got.event["message"] for got in server.got] == ["1", "1", "2"]


def test_it_is_tried_for_a_day_then_dead_and_the_next_goes_on(server: ReceiverServer, settings: Settings) -> None:
    box = rows.sandbox()
    receiver, _ = register(server.url)
    server.answer = lambda got: 500 if got.event["message"] == "1" else 204
    rows.event(box, text="1")
    rows.event(box, text="2")
    began = clock.now()
    pauses = []
    deliver()
    while (row := Delivery.objects.order_by("number").first()) is not None and row.died_at is None:
        assert row.due_at is not None
        pause = (row.due_at - clock.now()).total_seconds()
        pauses.append(pause)
        clock.move(pause)
        deliver()
    assert DAY <= (clock.now() - began).total_seconds() < DAY + 3600
    assert pauses[0] <= 10
    assert 1800 <= max(pauses) <= 3600
    assert 25 < len(pauses) < 60
    assert [got.event["message"] for got in server.got][-2:] == ["1", "2"]
    dead = Delivery.objects.get()
    assert (dead.error, dead.due_at, dead.attempt) == ("HTTP 500", None, len(pauses) + 1)
    server.answer = lambda _: 204
    assert webhooks.replay(receiver.pk, actor=STAFF) == 1
    deliver()
    assert server.got[-1].id == dead.message
    assert not Delivery.objects.exists()


def test_a_replay_of_some_leaves_the_others(server: ReceiverServer) -> None:
    box = rows.sandbox()
    receiver, _ = register(server.url)
    for text in "123":
        rows.event(box, text=text)
    outbox.fill()
    Delivery.objects.update(died_at=clock.now(), due_at=None, attempt=30, first_at=clock.now())
    second = Delivery.objects.order_by("number")[1]
    assert webhooks.replay(receiver.pk, [second.pk], actor=STAFF) == 1
    deliver()
    assert [got.event["message"] for got in server.got] == ["2"]
    assert Delivery.objects.dead().count() == 2


def test_a_crash_after_the_answer_delivers_again_with_the_same_id(server: ReceiverServer) -> None:
    rows.sandbox()
    register(server.url)
    rows.event(rows.sandbox())
    outbox.fill()
    (parcel,) = claim()
    blocking.run(sending.send(parcel))  # and nothing is written down
    assert claim() == [], "another worker leaves it alone while the lease runs"
    clock.move(django_settings.LEASE_SECONDS + django_settings.WEBHOOK_TIMEOUT + 1)
    (again,) = claim()
    attempt(again)
    assert server.ids == [parcel.message] * 2
    sending.finish(parcel, Reply(500))  # the one that was only slow
    assert not Delivery.objects.exists()


def test_one_whose_lease_ran_out_writes_nothing(server: ReceiverServer) -> None:
    register(server.url)
    rows.event(rows.sandbox())
    outbox.fill()
    (parcel,) = claim()
    clock.move(django_settings.LEASE_SECONDS + django_settings.WEBHOOK_TIMEOUT + 1)
    (again,) = claim("other")
    sending.finish(parcel, Reply(204))
    assert Delivery.objects.get().lease_token == again.token


def test_what_was_made_once_is_not_made_again(server: ReceiverServer) -> None:
    receiver, _ = register(server.url)
    rows.event(rows.sandbox())
    assert outbox.fill() == 1
    assert outbox.fill() == 0
    receiver.refresh_from_db()
    assert receiver.position == feed.number_events().last


def test_deliveries_and_the_position_are_written_together(server: ReceiverServer) -> None:
    register(server.url)
    rows.event(rows.sandbox())

    def fails_late(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if sql.startswith("UPDATE") and "position" in sql:
            raise OperationalError("the server is gone")
        return execute(sql, *rest)

    with connection.execute_wrapper(fails_late), pytest.raises(OperationalError):
        outbox.fill()
    assert not Delivery.objects.exists()
    assert outbox.fill() == 1


def test_both_secrets_sign_for_a_day_after_a_rotation(server: ReceiverServer) -> None:
    box = rows.sandbox()
    receiver, old = register(server.url)
    _, new = webhooks.rotate(receiver.pk, actor=STAFF)
    assert new != old
    rows.event(box)
    deliver()
    for secret in (old, new):
        server.got[-1].verified(secret)
    clock.move(DAY + 1)
    rows.event(box)
    clock.restore()  # the library has a clock of its own
    Receiver.objects.update(former_until=clock.now() - timedelta(seconds=1))
    deliver()
    server.got[-1].verified(new)
    with pytest.raises(WebhookVerificationError):
        server.got[-1].verified(old)


def test_one_that_takes_nothing_for_days_is_disabled_and_goes_on_when_enabled(
    server: ReceiverServer, settings: Settings
) -> None:
    box = rows.sandbox()
    receiver, _ = register(server.url)
    server.answer = fails
    for day in range(6):
        rows.event(box, text=str(day))
        deliver()
        clock.move(DAY)
        deliver()
    receiver.refresh_from_db()
    assert receiver.disabled_at is not None
    assert "5 days" in receiver.disabled_reason
    attempts = len(server.got)
    rows.event(box, text="while it was disabled")
    clock.move(DAY)
    assert deliver() == 0
    assert len(server.got) == attempts
    server.answer = lambda _: 204
    webhooks.change(receiver.pk, webhooks.ReceiverChanges(enabled=True), actor=STAFF)
    deliver()
    assert server.got[-1].event["message"] == "while it was disabled"
    assert not Delivery.objects.pending().exists()


def test_one_that_says_gone_is_disabled_at_once(server: ReceiverServer) -> None:
    receiver, _ = register(server.url)
    server.answer = lambda _: 410
    rows.event(rows.sandbox())
    deliver()
    receiver.refresh_from_db()
    assert "410" in receiver.disabled_reason
    assert Delivery.objects.get().due_at is None


def test_it_waits_as_long_as_it_is_asked_to(server: ReceiverServer) -> None:
    register(server.url)
    server.answer = lambda _: (429, {"Retry-After": "300"})
    rows.event(rows.sandbox())
    deliver()
    due_at = Delivery.objects.get().due_at
    assert due_at is not None
    assert (due_at - clock.now()).total_seconds() == 300


def test_a_key_that_is_revoked_or_expired_is_told_nothing_more(server: ReceiverServer) -> None:
    revoked, expiring = key(), key()
    for one in (revoked, expiring):
        register(server.url, of=one)
    box = rows.sandbox()
    rows.event(box)
    outbox.fill()
    keys.revoke(revoked, actor=STAFF)
    type(expiring).objects.filter(pk=expiring.pk).update(expires_at=clock.now())
    deliver()
    assert server.got == []
    reasons = set(Receiver.objects.values_list("disabled_reason", flat=True))
    assert reasons == {"Its key was revoked.", "Its key is expired."}


def test_what_was_erased_is_not_delivered_and_keeps_nothing_back(server: ReceiverServer) -> None:
    box = rows.sandbox(of="alice", status="gone")
    register(server.url)
    rows.event(box, text="hers")
    outbox.fill()
    erase_owner("alice", actor=STAFF)
    deliver()
    assert [got.event["type"] for got in server.got] == ["erased"]
    assert not Delivery.objects.exists()


def test_a_secret_whose_pepper_is_gone_disables_and_says_why(server: ReceiverServer, settings: Settings) -> None:
    receiver, secret = register(server.url)
    assert secret not in receiver.secret
    rows.event(rows.sandbox())
    settings.SERVICE_KEY_PEPPERS = ["another pepper"]
    deliver()
    receiver.refresh_from_db()
    assert "SERVICE_KEY_PEPPERS" in receiver.disabled_reason
    webhooks.rotate(receiver.pk, actor=STAFF)
    Receiver.objects.update(former_until=None)
    webhooks.change(receiver.pk, webhooks.ReceiverChanges(enabled=True), actor=STAFF)
    assert deliver() == 1


def test_a_claim_costs_the_same_for_any_number_and_an_attempt_few_statements(server: ReceiverServer) -> None:
    register(server.url)
    rows.event(rows.sandbox("first"))
    outbox.fill()
    with CaptureQueriesContext(connection) as for_one:
        (parcel,) = claim()
    with CaptureQueriesContext(connection) as written:
        sending.finish(parcel, Reply(204))
    for number in range(30):
        rows.event(rows.sandbox(str(number)))
    with CaptureQueriesContext(connection) as filled:
        outbox.fill()
    with CaptureQueriesContext(connection) as for_many:
        assert len(claim()) == 30
    assert len(for_many) == len(for_one) <= 8
    assert len(written) <= 8
    assert len(filled) <= 22


def test_no_secret_is_left_in_a_log_line(server: ReceiverServer) -> None:
    _, secret = register(server.url)
    assert secret not in redact(f"a request with {secret} in it")


def test_many_events_are_made_deliveries_a_batch_at_a_time(
    server: ReceiverServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "EVENTS", 7)
    register(server.url)
    box = rows.sandbox()
    SandboxEvent.objects.bulk_create(
        SandboxEvent(sandbox=box, owner=box.owner_id, kind="change", at=clock.now(), text=str(number))
        for number in range(20)
    )
    assert [outbox.fill() for _ in range(4)] == [7, 7, 6, 0]
    deliver()
    assert [got.event["message"] for got in server.got] == [str(number) for number in range(20)]
