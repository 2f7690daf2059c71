"""14 and 15: throttles, lock-outs, outages of the API, its database, Redis and the host."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.contract.replay import Entry, Replay, Scenario, Step
from tests.support.waiting import PATIENCE, wait_until

A = "GET after pg back"
B = "stop with unresponsive runner"
BUCKETS = {"authenticated": 5, "sandbox-create": 2, "sandbox-lifecycle": 3, "failed-auth": 3}


# 14: time passes between the calls exactly as it passed when they were recorded


def throttles(replay: Replay) -> dict[str, Any]:
    return {"backups": True, "throttles": {name: {"limit": limit, "window": 10} for name, limit in BUCKETS.items()}}


def at_its_moment(replay: Replay, entry: Entry) -> None:
    """Time to the recorded distance from the first call, then the call."""
    now, first = replay.emulator.now(), replay.memory.setdefault("first", entry["at"])
    began = replay.memory.setdefault("began", now)
    replay.emulator.advance(max(0.0, began + entry["at"] - first - now))
    replay.check(entry, replay.send(entry["request"]))


def environment_as_set(replay: Replay, entry: Entry) -> None:
    """The entry names what `throttles` sets; ANONYMOUS counts calls without a key, which nobody makes."""
    for name, limit in BUCKETS.items():
        word = f"{name.upper().replace('-', '_')} {limit}/10s"
        if word not in entry["env"]:
            replay.problems.append(f"env: {word} is not in {entry['env']}")


class Moments(dict[str, Step]):
    """Every entry but `env` is replayed at its moment."""

    def __contains__(self, label: object) -> bool:
        return True

    def __missing__(self, label: str) -> Step:
        return at_its_moment


# 15


def a_and_b(replay: Replay) -> None:
    backup = {"backupState": "Completed", "backupCreatedAt": "2026-11-23T06:34:10.566Z"}
    replay.seed(replay.recorded(A), **backup)
    replay.seed(replay.recorded(B), state="stopped", desiredState="stopped")
    replay.memory["sandbox"] = b(replay)


def b(replay: Replay) -> str:
    return replay.ids[replay.recorded(B)["id"]]


def killed_in_flight(replay: Replay, entry: Entry) -> None:
    """The connection is dropped; what was begun goes on."""
    replay.emulator.faults.add("host", operation="start", seconds=10, times=1)
    future = replay.hold(entry["request"])
    replay.until(b(replay), "starting")
    replay.emulator.drop_connections()
    with pytest.raises(httpx.RemoteProtocolError):
        future.result()
    replay.held.remove(future)


def api_is_down(replay: Replay, entry: Entry) -> None:
    replay.emulator.faults.add("drop_before", times=1)
    with pytest.raises(httpx.TransportError):
        replay.send(entry["request"])


def after_the_start(replay: Replay, entry: Entry) -> None:
    replay.until(b(replay), "started")
    replay.check_sequence(entry["label"], [state for _, state in entry["seq"]], key=b(replay))


def never_answered(replay: Replay, entry: Entry) -> None:
    """The recorder gave up after 25 s. The start was carried out later, after the restart."""
    replay.emulator.change(b(replay), state="stopped")
    replay.emulator.faults.add("hang", path="/start$", execute_after=25, times=1)
    gave_up(replay, entry)
    replay.emulator.advance(26)
    replay.until(b(replay), "started")


def gave_up(replay: Replay, entry: Entry) -> None:
    """The call is not answered; how long the client waits is its own affair."""
    with httpx.Client(base_url=replay.emulator.url, timeout=httpx.Timeout(PATIENCE, read=0.3)) as hasty:
        patient, replay.client = replay.client, hasty
        before = _calls(replay)
        with pytest.raises(httpx.ReadTimeout):
            replay.begin(entry["request"]).result()
        replay.client = patient
    wait_until(lambda: _calls(replay) > before, what="the call")


def _calls(replay: Replay) -> int:
    return sum(replay.emulator.counts()["daytona"].values())


def database(state: str) -> Step:
    return lambda replay, entry: _outage(replay, database=state)


def _outage(replay: Replay, **settings: str) -> None:
    replay.emulator.settings(**settings)


def key_cache_expires(replay: Replay, entry: Entry) -> None:
    replay.emulator.advance(10)


def redis_down(replay: Replay, entry: Entry) -> None:
    replay.emulator.settings(redis="down")


def redis_up(replay: Replay, entry: Entry) -> None:
    """The stop that its client had given up on is carried out."""
    replay.emulator.settings(redis="up")
    wait_until(lambda: replay.emulator.step() and replay.emulator.log(action="stop"), what="the stop")
    replay.until(replay.ids[replay.recorded(A)["id"]], "stopped")


def runner(state: str) -> Step:
    return lambda replay, entry: _outage(replay, runner=state)


def create_named_nr(replay: Replay, entry: Entry) -> None:
    """The recorder kept no body; the name is in the answer."""
    body = {"name": replay.variant.renamed("nr")}
    replay.check(entry, replay.send(entry["request"] | {"body": body}))


def a_is_left_starting(replay: Replay, entry: Entry) -> None:
    replay.emulator.settings(runner="ready")
    key = replay.ids[replay.recorded(A)["id"]]
    replay.check_sequence(entry["label"], [state for _, state in entry["seq"]], key=key)


SCENARIOS = {
    "14_throttle": Scenario(settings=throttles, instead=Moments(env=environment_as_set)),
    "15_outages": Scenario(
        rows=a_and_b,
        before={
            "GET sandbox, pg down (auth cached in redis)": database("down"),
            "GET sandbox, pg down, auth cache expired": key_cache_expires,
            A: database("up"),
            "GET sandbox, redis down": redis_down,
            "GET after redis back": redis_up,
            "start right after runner died": runner("dead"),
            "create with no ready runner": runner("unresponsive"),
        },
        instead={
            "start in flight when API is SIGKILLed": killed_in_flight,
            "request while API is down": api_is_down,
            "state after API came back (runner had finished meanwhile or after)": after_the_start,
            "start in flight when API gets SIGTERM": never_answered,
            "GET sandbox, redis down": gave_up,
            "POST stop, redis down": gave_up,
            "create, runner state as is": create_named_nr,
            "create with no ready runner": create_named_nr,
            "A after runner came back": a_is_left_starting,
        },
    ),
}
