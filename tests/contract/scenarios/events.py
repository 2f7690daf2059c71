"""20: what the Socket.IO stream says while a sandbox lives."""

from __future__ import annotations

from typing import Any

import pytest
import socketio
from socketio.exceptions import ConnectionError as Refused

from tests.contract.compare import differences
from tests.contract.replay import Entry, Replay, Scenario
from tests.support.waiting import wait_until

# What the recorder waited for after each call; GET says so, or 404.
SETTLED = {"create": "started", "stop": "stopped", "labels": None, "start": "started", "archive": "archived"}


def stream(replay: Replay, entry: Entry) -> None:
    """The first entry replays the whole session; the others are what it compares with."""
    if entry["event"] != "(connected)":
        return
    recorded = [item for item in replay.entries if not item["event"].startswith("(")]
    got: list[tuple[str, Any]] = []
    client = socketio.Client(reconnection=False)
    client.on("*", lambda event, data: got.append((event, data)))
    connect(replay, client, replay.variant.text("dtn_riguserkey"))
    for item in replay.entries:
        if item["event"] == "(request answered)":
            call(replay, item["data"], created=recorded[0]["data"])
    wait_until(lambda: len(got) >= len(recorded), what="the last event")
    client.disconnect()
    compare(replay, recorded, got)
    refused(replay)


def call(replay: Replay, recorded: dict[str, Any], created: dict[str, Any]) -> None:
    """Make a recorded call, compare what the recorder kept of its answer, wait until it has settled."""
    body = {"/sandbox": {"name": created["name"], "labels": created["labels"]}}.get(recorded["path"])
    if recorded["path"].endswith("/labels"):
        body = {"labels": {"a": "b"}}
    reply = replay.call(recorded["method"], f"/api{recorded['path']}", body)
    if recorded["path"] == "/sandbox":
        replay.know(created["id"], reply.body["id"])
    kept = ("status", "state", "desiredState")
    got = {"status": reply.status, **reply.body}
    if [got[key] for key in kept] != [recorded[key] for key in kept]:
        replay.problems.append(f"{recorded}: got {got}")
    verb = recorded["path"].split("/")[-1] if recorded["method"] != "DELETE" else "delete"
    settle(replay, replay.ids[created["id"]], SETTLED.get("create" if verb == "sandbox" else verb, "gone"))


def settle(replay: Replay, key: str, state: str | None) -> None:
    if state == "gone":
        while replay.observe(key)[3] != 404:
            replay.emulator.step()
    elif state is not None:
        replay.until(key, state)


def compare(replay: Replay, recorded: list[Entry], got: list[tuple[str, Any]]) -> None:
    if [event for event, _ in got] != [item["event"] for item in recorded]:
        replay.problems.append(
            f"recorded {[item['event'] for item in recorded]}, got {[event for event, _ in got]}"
        )
        return
    for number, (item, (event, data)) in enumerate(zip(recorded, got, strict=True)):
        found = differences(item["data"], data, ids=replay.ids)
        replay.problems += [f"event {number} {event}: {problem}" for problem in found]


def connect(replay: Replay, client: socketio.Client, token: str) -> None:
    client.connect(
        replay.emulator.url, socketio_path="/api/socket.io/", auth={"token": token}, transports=["websocket"]
    )


def refused(replay: Replay) -> None:
    """A wrong token is refused at connect, in the words of the recording."""
    recorded = next(item["data"] for item in replay.entries if item["event"] == "(bad token)")
    client = socketio.Client(reconnection=False)
    with pytest.raises(Refused) as error:
        connect(replay, client, "dtn_wrong")
    client.disconnect()
    if recorded != repr(error.value):
        replay.problems.append(f"bad token: recorded {recorded}, got {error.value!r}")


SCENARIOS = {
    "20_socketio_events": Scenario(instead={"": stream}),
}
