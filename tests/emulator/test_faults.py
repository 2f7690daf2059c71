"""Rules that spoil calls."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.waiting import PATIENCE, wait_until

if TYPE_CHECKING:
    from tests.emulator.wire import Wire
    from tests.support.emulator import Emulator

HASTY = httpx.Timeout(PATIENCE, read=0.2)


def test_a_status_rule_answers_instead_and_nothing_is_executed(emulator: Emulator, wire: Wire) -> None:
    headers = {"Retry-After": "7"}
    emulator.faults.add("status", status=503, answer={"message": "away"}, headers=headers, times=1)
    answer = wire.create(name="box")
    assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (503, {"message": "away"}, "7")
    assert emulator.log() == []
    assert wire.create(name="box").status_code == 200


def test_a_status_rule_can_answer_html_like_a_proxy(emulator: Emulator, wire: Wire) -> None:
    emulator.faults.add("status", status=502, answer="<html>Bad gateway</html>")
    answer = wire.get("box")
    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text == "<html>Bad gateway</html>"


def test_a_status_rule_can_lie_about_a_call_that_was_executed(emulator: Emulator, wire: Wire) -> None:
    emulator.faults.add("status", method="POST", status=500, execute=True, times=1)
    assert wire.create(name="box").status_code == 500
    assert wire.get("box").status_code == 200


def test_drop_before_closes_the_connection_and_executes_nothing(emulator: Emulator, wire: Wire) -> None:
    emulator.faults.add("drop_before", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        wire.create(name="box")
    assert emulator.log() == []


def test_drop_after_executes_and_closes_the_connection(emulator: Emulator, wire: Wire) -> None:
    emulator.faults.add("drop_after", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        wire.create(name="box")
    assert [entry["action"] for entry in emulator.log()] == ["create"]
    assert wire.get("box").status_code == 200


def test_a_hung_call_is_never_answered_and_not_executed(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1)
    hang = emulator.faults.add("hang", path="/stop", times=1)
    with pytest.raises(httpx.ReadTimeout):
        wire.client.post(f"/sandbox/{key}/stop", timeout=HASTY)
    wait_until(lambda: emulator.faults.hits(hang), what="the call")
    assert emulator.log() == []


def test_a_hung_call_can_run_later(emulator: Emulator, wire: Wire) -> None:
    (key,) = emulator.seed(count=1)
    hang = emulator.faults.add("hang", path="/stop", times=1, execute_after=30)
    with pytest.raises(httpx.ReadTimeout):
        wire.client.post(f"/sandbox/{key}/stop", timeout=HASTY)
    wait_until(lambda: emulator.faults.hits(hang), what="the call")
    emulator.advance(29)
    assert emulator.log() == []
    emulator.advance(1)
    wire.until(key, "stopped")


def test_a_hung_call_can_lose_its_connection_after_a_while(emulator: Emulator, wire: Wire) -> None:
    emulator.faults.add("hang", seconds=30, times=1)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(wire.get, "box")
        wait_until(lambda: emulator.counts()["calls"] == 1, what="the held call")
        emulator.advance(30)
        with pytest.raises(httpx.RemoteProtocolError):
            future.result()


def test_a_dropped_call_can_run_later(emulator: Emulator, wire: Wire) -> None:
    emulator.faults.add("drop_before", times=1, execute_after=10)
    with pytest.raises(httpx.RemoteProtocolError):
        wire.create(name="late")
    assert wire.get("late").status_code == 404
    emulator.advance(11)
    wait_until(lambda: wire.get("late").status_code == 200, what="the late create")


def test_a_delayed_call_is_answered_as_usual(emulator: Emulator, wire: Wire) -> None:
    emulator.faults.add("delay", seconds=20, times=1)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(wire.create, name="box")
        wait_until(lambda: emulator.counts()["calls"] == 1, what="the delayed call")
        assert emulator.log() == []
        emulator.advance(20)
        assert future.result().status_code == 200


def test_rules_match_system_method_path_and_sandbox(emulator: Emulator, wire: Wire) -> None:
    one, other = emulator.seed(count=2)
    emulator.faults.add("status", system="convex")
    emulator.faults.add("status", method="delete", status=501)
    emulator.faults.add("status", path="/stop$", sandbox=one, status=502)
    assert wire.get(one).status_code == 200
    assert wire.delete(other).status_code == 501
    assert wire.post(one, "stop").status_code == 502
    assert wire.post(other, "stop").status_code == 200


def test_a_rule_can_look_into_the_body(emulator: Emulator) -> None:
    number = emulator.faults.add("status", system="convex", body='"sandboxes:updateStatus"', status=429)
    url = f"{emulator.convex_url}/api/mutation"
    assert httpx.post(url, json={"path": "sandboxes:updateStatus", "args": {}}).status_code == 429
    assert httpx.post(url, json={"path": "sandboxes:other", "args": {}}).status_code != 429
    assert emulator.faults.hits(number) == 1


def test_skip_lets_the_first_calls_through(emulator: Emulator, wire: Wire) -> None:
    emulator.faults.add("status", skip=2, times=1)
    assert [wire.get("box").status_code for _ in range(4)] == [404, 404, 500, 404]


def test_probability_repeats_with_the_seed(emulator: Emulator, wire: Wire) -> None:
    rounds = []
    for _ in range(2):
        emulator.reset()
        emulator.faults.add("status", probability=0.5)
        rounds.append([wire.get("box").status_code for _ in range(30)])
    assert rounds[0] == rounds[1]
    assert set(rounds[0]) == {404, 500}


def test_rules_can_be_removed(emulator: Emulator, wire: Wire) -> None:
    number = emulator.faults.add("status")
    emulator.faults.remove(number)
    assert wire.get("box").status_code == 404
    emulator.faults.add("status")
    emulator.faults.clear()
    assert wire.get("box").status_code == 404


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ({"kind": "explode"}, "kind must be one of"),
        ({"kind": "status", "colour": "red"}, "unknown field 'colour'"),
        ({"kind": "status", "path": "("}, "no regular expression"),
        ({"kind": "host", "operation": "dance"}, "operation must be one of"),
    ],
)
def test_a_rule_that_cannot_be_understood_is_refused(emulator: Emulator, rule: dict[str, str], word: str) -> None:
    answer = emulator.control.post("/faults", json=rule)
    assert answer.status_code == 400
    assert word in answer.json()["error"]
