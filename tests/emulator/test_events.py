"""Socket.IO beyond the recording: who hears what, broken streams, odd events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import socketio

from tests.support.emulator import ORGANIZATION, Emulator
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.emulator.wire import Wire

OTHER = "22222222-2222-4222-8222-222222222222"


class Listener:
    def __init__(self, emulator: Emulator, token: str) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.client = socketio.Client(reconnection=False, request_timeout=PATIENCE)
        self.client.on("*", lambda event, data=None: self.heard.append((event, data)))
        self.client.connect(
            emulator.url,
            socketio_path="/api/socket.io/",
            auth={"token": token},
            transports=["websocket"],
            wait_timeout=PATIENCE,
        )

    def events(self) -> list[str]:
        return [event for event, _ in self.heard]


@pytest.fixture
def listener(emulator: Emulator) -> Iterator[Listener]:
    listener = Listener(emulator, emulator.daytona_key)
    yield listener
    listener.client.disconnect()


def test_a_change_from_outside_is_told(emulator: Emulator, listener: Listener) -> None:
    (key,) = emulator.seed(count=1)
    emulator.change(key, state="error", errorReason="out of memory")
    wait_until(lambda: listener.heard, what="an event")
    event, data = listener.heard[0]
    assert event == "sandbox.state.updated"
    assert (data["oldState"], data["newState"]) == ("started", "error")
    assert data["sandbox"]["errorReason"] == "out of memory"


def test_a_quiet_change_is_not_told(emulator: Emulator, listener: Listener) -> None:
    quiet, loud = emulator.seed(count=2)
    emulator.change(quiet, state="stopped", quiet=True)
    emulator.change(loud, state="stopped")
    wait_until(lambda: len(listener.heard) >= 2, what="the loud change")
    assert {data["sandbox"]["id"] for _, data in listener.heard} == {loud}


def test_another_organisation_hears_nothing(emulator: Emulator, wire: Wire) -> None:
    keys = emulator.settings()["keys"] | {"dtn_other": {"organization": OTHER, "permissions": []}}
    emulator.settings(keys=keys)
    mine, other = Listener(emulator, emulator.daytona_key), Listener(emulator, "dtn_other")
    emulator.seed([{"id": "theirs", "organizationId": OTHER}, {"id": "ours", "organizationId": ORGANIZATION}])
    emulator.change("ours", state="error")
    emulator.change("theirs", state="error")
    wait_until(lambda: mine.heard and other.heard, what="both events")
    assert {data["sandbox"]["id"] for _, data in mine.heard} == {"ours"}
    assert {data["sandbox"]["id"] for _, data in other.heard} == {"theirs"}
    mine.client.disconnect()
    other.client.disconnect()


def test_a_vanished_sandbox_is_not_told(emulator: Emulator, listener: Listener) -> None:
    gone, changed = emulator.seed(count=2)
    emulator.vanish(gone)
    emulator.change(changed, state="error")
    wait_until(lambda: listener.heard, what="an event")
    assert {data["sandbox"]["id"] for _, data in listener.heard} == {changed}


@pytest.mark.parametrize("payload", [None, "text", 7, [], {"sandbox": None}, {"sandbox": {"id": 5}}])
def test_any_event_can_be_sent(emulator: Emulator, listener: Listener, payload: Any) -> None:
    emulator.send_event("sandbox.state.updated", payload)
    wait_until(lambda: listener.heard, what="the odd event")
    assert listener.heard == [("sandbox.state.updated", payload)]


def test_connections_can_be_dropped(emulator: Emulator, listener: Listener) -> None:
    wait_until(lambda: emulator.counts()["sockets"] == 1, what="the connection")
    emulator.drop_connections()
    wait_until(lambda: not listener.client.connected, what="the disconnect")
    assert emulator.counts()["sockets"] == 0
