"""04 and 05: start, stop, archive; calls that meet each other."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.contract.compare import blur, translate
from tests.contract.replay import Entry, Replay, Reply, Scenario


def rows_of_04(replay: Replay) -> None:
    replay.seed(replay.recorded("start when started"))


def archive_until_backup_is_pending(replay: Replay, entry: Entry) -> None:
    key = replay.memory["sandbox"]
    replay.call("POST", f"/api/sandbox/{key}/stop")
    replay.until(key, "stopped")
    replay.call("POST", f"/api/sandbox/{key}/archive")
    replay.emulator.step()


def rows_of_05(replay: Replay) -> None:
    replay.seed(replay.recorded("stop (slow runner)"), state="started", desiredState="started")


def slow_stop(replay: Replay, entry: Entry) -> None:
    replay.emulator.faults.add("host", operation="stop", seconds=3, times=1)


def slow_start_in_background(replay: Replay, entry: Entry) -> None:
    replay.emulator.faults.add("host", operation="start", seconds=4, times=1)
    slow = next(item for item in replay.entries if item.get("label") == "start (slow runner; blocks)")
    replay.memory["slow"] = replay.hold(slow["request"])
    replay.emulator.step()
    replay.emulator.step()


def answer_of_slow_start(replay: Replay, entry: Entry) -> None:
    replay.check(entry, replay.release(replay.memory["slow"]))


def concurrent_calls(replay: Replay, entry: Entry) -> None:
    """`10 concurrent POST /sandbox/{id}/stop`: as many successes as recorded, and the recorded refusals.

    Which call loses in which way is chance: the others must have one of the recorded refusals.
    """
    count, _, method, path = entry["label"].split()
    verb = path.rsplit("/", 1)[1]
    body = {"labels": {"p": "1"}} if verb == "labels" else None
    request = {"method": method, "path": f"/api{path}", "body": body}
    replies = replay.at_once([request] * int(count))
    for reply in replies:
        if reply.status == 200:
            replay.memory["sandbox"] = reply.body["id"]
    check_outcomes(replay, entry, replies)


def check_outcomes(replay: Replay, entry: Entry, replies: list[Reply]) -> None:
    recorded = [outcome(replay, answer["status"], answer["body"]) for answer in entry["responses"]]
    got = [outcome(replay, reply.status, reply.body) for reply in replies]
    wins, won = (Counter(item for item in items if item[0] == 200) for items in (recorded, got))
    if wins != won or not set(got) <= set(recorded):
        replay.problems.append(f"{entry['label']}: recorded {Counter(recorded)}, got {Counter(got)}")


def outcome(replay: Replay, status: int, body: Any) -> tuple[Any, ...]:
    if status == 200:
        return status, body["state"], body["desiredState"]
    path = blur(translate(body["path"], replay.ids))
    return status, path, body["error"], body["message"], tuple(sorted(body))


def until_stopped(replay: Replay, entry: Entry) -> None:
    replay.until(replay.memory["sandbox"], "stopped")


def stop_and_wait(replay: Replay, entry: Entry) -> None:
    replay.call("POST", f"/api/sandbox/{replay.memory['sandbox']}/stop")
    until_stopped(replay, entry)


def until_archived(replay: Replay, entry: Entry) -> None:
    """With room for all six: whether one of them meets the others' reservations was chance."""
    replay.emulator.settings(quota=replay.quota(cpu=10, memory=10, disk=100))
    replay.until(replay.memory["sandbox"], "archived")


def until_started(replay: Replay, entry: Entry) -> None:
    replay.until(replay.memory["sandbox"], "started")


LIFE = "/sandbox/f8f6d23d-720c-4cd3-8f33-47711b543ef4"
BURSTS = {
    f"10 concurrent POST {LIFE}/stop": None,
    f"10 concurrent POST {LIFE}/start": until_stopped,
    f"6 concurrent POST {LIFE}/archive": stop_and_wait,
    f"6 concurrent POST {LIFE}/start": until_archived,
    f"8 concurrent PUT {LIFE}/labels": until_started,
}

SCENARIOS = {
    "04_lifecycle": Scenario(
        rows=rows_of_04,
        before={"start while archiving (backup pending)": archive_until_backup_is_pending},
    ),
    "05_conflicts": Scenario(
        settings=lambda replay: {"quota": replay.quota(cpu=4, memory=8, disk=100)},
        rows=rows_of_05,
        before={
            "stop (slow runner)": slow_stop,
            "get while starting": slow_start_in_background,
            **{label: prepare for label, prepare in BURSTS.items() if prepare},
        },
        instead={
            "start (slow runner; blocks)": answer_of_slow_start,
            **dict.fromkeys(BURSTS, concurrent_calls),
        },
    ),
}
