"""Deliveries by a worker: a receiver that hangs disturbs neither sandboxes nor other receivers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandboxes.core.vocabulary import Action
from sandboxes.engine import deliveries
from sandboxes.engine.worker import beside
from sandboxes.models import Delivery, WorkerHeartbeat
from tests.services.webhooks.conftest import server
from tests.services.webhooks.sending import register
from tests.support import rows
from tests.support.driving import ask
from tests.support.receiver import receiver_server
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

    from sandboxes.models import Sandbox
    from tests.support.emulator import Emulator
    from tests.support.receiver import ReceiverServer

__all__ = ["server"]
pytestmark = pytest.mark.django_db(transaction=True)


def test_what_happens_is_told(server: ReceiverServer, world: Emulator, running: Callable[..., Sandbox]) -> None:
    sandbox = running()
    _, secret = register(server.url)
    with beside(places=20):
        stop = ask(sandbox, Action.STOP)
        wait_until(lambda: any(got.event["status"] == "succeeded" for got in server.got), what="the last event")
        wait_until(lambda: not Delivery.objects.exists(), what="the end of the deliveries")
    told = [got.verified(secret)["data"] for got in server.got]
    assert [one["seq"] for one in told] == sorted({one["seq"] for one in told})
    assert {one["operation"] for one in told if one["type"] == "operation"} == {str(stop.pk)}


def test_receivers_that_hang_hold_their_places_alone(
    server: ReceiverServer, world: Emulator, running: Callable[..., Sandbox], settings: Settings
) -> None:
    settings.WEBHOOK_TIMEOUT = 600.0
    sandbox = running()
    with receiver_server() as hanging:
        hanging.answer = hanging.hang
        register(server.url, owner="alice")
        for number in range(3):
            register(hanging.url, owner=f"bob{number}")
            for place in range(40):
                rows.event(rows.sandbox(f"{number}-{place}", of=f"bob{number}"))
        try:
            with beside(places=20):
                wait_until(lambda: len(hanging.got) >= 3 * deliveries.EACH, what="those that hang")
                ask(sandbox, Action.STOP)
                wait_until(lambda: any(got.event["status"] == "succeeded" for got in server.got), what="the stop")
                wait_until(lambda: told_of_lane()[0] >= 3 * deliveries.EACH, what="a sign of life")
                assert told_of_lane()[0] <= 3 * (2 * deliveries.EACH - 1) + 1
                hanging.let_go.set()
                wait_until(lambda: not Delivery.objects.exists(), what="the end of the deliveries")
        finally:
            hanging.let_go.set()
    assert len(set(hanging.ids)) == len(hanging.ids) == 120


def told_of_lane() -> list[int]:
    told: list[int] = WorkerHeartbeat.objects.get().lanes["deliveries"]
    return told


def test_a_worker_that_stops_waits_for_no_receiver(
    server: ReceiverServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_TIMEOUT = 600.0
    monkeypatch.setattr("sandboxes.engine.worker.GRACE", 0.1)
    register(server.url)
    rows.event(rows.sandbox())
    server.answer = server.hang
    with beside(places=20):
        wait_until(lambda: server.got, what="the delivery")
    row = Delivery.objects.get()
    assert row.lease_token, "it is due again when the lease ends"
    assert row.due_at is not None
