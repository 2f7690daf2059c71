from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from sandboxes.providers.daytona.errors import Unauthorized, Unknown
from sandboxes.providers.daytona.events import Event, EventStream, read_event
from sandboxes.providers.daytona.rows import UnreadableBody
from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.emulator import Emulator

SANDBOX = {"id": "s1", "state": "started", "desiredState": "started", "labels": {"sandkeeper_id": "ours"}}


class Listener:
    """Follows the emulator's stream in a thread, as the watch does."""

    def __init__(self, emulator: Emulator, key: str | None = None) -> None:
        self.events: list[Event] = []
        self.error: Exception | None = None
        self._stop = threading.Event()
        self._connected = threading.Event()
        self._stream = EventStream(
            api_url=emulator.daytona_url, api_key=key or emulator.daytona_key, timeout=PATIENCE
        )
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        wait_until(lambda: self._connected.is_set() or not self._thread.is_alive(), what="connection")
        return self

    def __exit__(self, *ended: object) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    @property
    def follows(self) -> bool:
        return self._thread.is_alive()

    def wait_for(self, number: int) -> None:
        """Until so many events have come; at once an error where none can come any more."""

        def came() -> bool:
            assert self.follows or len(self.events) >= number, f"the stream has ended: {self.error!r}"
            return len(self.events) >= number

        wait_until(came, what="events")

    def _follow(self) -> None:
        try:
            self._stream.follow(self.events.append, stop=self._stop, on_connect=self._connected.set)
        except Exception as error:
            self.error = error


@pytest.fixture
def listener(emulator: Emulator) -> Iterator[Listener]:
    with Listener(emulator) as listener:
        yield listener


def test_what_daytona_does_by_itself_comes_by(emulator: Emulator, listener: Listener) -> None:
    (key,) = emulator.seed([{"name": "box", "labels": {"sandkeeper_id": "ours"}}])
    emulator.change(key, state="stopped")
    listener.wait_for(2)
    assert set(listener.events) == {Event(key, "stopped", "stopped", "ours")}


def test_a_wrong_key_is_refused(emulator: Emulator) -> None:
    with Listener(emulator, key="dtn_wrong") as listener:
        pass
    assert isinstance(listener.error, Unauthorized)
    assert listener.error.retry_after == 60
    assert "dtn_wrong" not in str(listener.error)


def test_without_a_server_there_is_no_connection() -> None:
    stream = EventStream(api_url="http://127.0.0.1:9/api", api_key="dtn_x", timeout=1.0)
    with pytest.raises(Unknown):
        stream.follow(lambda event: None, stop=threading.Event())


def test_a_server_that_says_nothing_is_given_up_after_the_time_that_was_given() -> None:
    patient = threading.Event()
    timer = threading.Timer(4.0, patient.set)  # the library's own patience is longer than that
    with socket.create_server(("127.0.0.1", 0)) as mute:
        stream = EventStream(api_url=f"http://127.0.0.1:{mute.getsockname()[1]}/api", api_key="dtn_x", timeout=0.1)
        timer.start()
        with pytest.raises(Unknown):
            stream.follow(lambda event: None, stop=threading.Event())
        timer.cancel()
    assert not patient.is_set()


def test_it_returns_when_the_connection_is_lost(emulator: Emulator, listener: Listener) -> None:
    emulator.drop_connections()
    wait_until(lambda: not listener.follows, what="end of the stream")
    assert listener.error is None


@pytest.mark.parametrize("data", [None, 7, "text", [], {}, {"sandbox": None}, {"sandbox": {"id": "x"}}, {"id": 5}])
def test_a_malformed_event_is_logged_with_its_text_and_skipped(
    emulator: Emulator, listener: Listener, data: Any
) -> None:
    with structlog.testing.capture_logs() as logs:
        emulator.send_event("sandbox.state.updated", data)
        emulator.send_event("sandbox.state.updated", {"sandbox": SANDBOX})
        listener.wait_for(1)
        wait_until(lambda: logs, what="the log line")  # each event has a thread of its own, so it may be the later
    assert [event.daytona_id for event in listener.events] == ["s1"]
    (line,) = [line for line in logs if line["event"] == "event_malformed"]
    assert line["event_name"] == "sandbox.state.updated"


def test_no_environment_variable_reaches_the_log(emulator: Emulator, listener: Listener) -> None:
    with structlog.testing.capture_logs() as logs:
        emulator.send_event("sandbox.created", {"sandbox": {"name": "box", "env": {"PASSWORD": "canary-7"}}})
        wait_until(lambda: logs, what="the log line")
    assert "box" in str(logs)
    assert "canary" not in str(logs)


def test_events_of_other_things_are_none_of_ours(emulator: Emulator, listener: Listener) -> None:
    with structlog.testing.capture_logs() as logs:
        emulator.send_event("snapshot.created", {"id": "snap"})
        emulator.send_event("sandbox.created", SANDBOX)
        listener.wait_for(1)
    assert (len(listener.events), logs) == (1, [])


def test_both_forms_are_read() -> None:
    wanted = Event("s1", "started", "started", "ours")
    assert read_event(SANDBOX) == read_event({"sandbox": SANDBOX, "oldState": "stopped"}) == wanted


def test_odd_labels_spoil_no_event() -> None:
    assert read_event({"sandbox": SANDBOX | {"labels": None}}).sandkeeper_id == ""


def test_an_event_without_a_state_says_nothing() -> None:
    with pytest.raises(UnreadableBody):
        read_event({"sandbox": {"id": "s1"}})
