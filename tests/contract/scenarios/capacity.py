"""07, 11 and 16: quotas, a suspended organisation, quotas under concurrency."""

from __future__ import annotations

from typing import Any

from tests.contract.replay import Entry, Replay, Reply, Scenario

Q0 = "get after refused start"
ROUNDS = [f"round {number}: {count} distinct starts, 4 free" for count in (4, 8) for number in range(4)]
CREATES, SAME_NAME = "8 concurrent creates, 4 free", "4 concurrent creates same name"


# 07: four sandboxes of one vCPU fill a quota of four; names of unrecorded ones are ours


def four_running(replay: Replay) -> None:
    running = {"state": "started", "desiredState": "started"}
    replay.seed(replay.recorded(Q0), **running)
    replay.seed(replay.recorded("start after it STOPPED"), **running)
    replay.seed(replay.recorded("start while another is DESTROYING"), **running)
    replay.fill("q3")


def q0(replay: Replay) -> str:
    return replay.ids[replay.recorded(Q0)["id"]]


def one_stopped_another_in_its_place(replay: Replay, entry: Entry) -> None:
    replay.emulator.change(q0(replay), state="stopped")
    replay.memory["filler"] = replay.fill("filler")


def archived(replay: Replay, entry: Entry) -> None:
    backup = {"backupState": "Completed", "backupCreatedAt": "2026-11-23T06:15:20.369Z"}
    replay.emulator.change(q0(replay), state="archived", runnerId=None, **backup)


def one_freed(replay: Replay, entry: Entry) -> None:
    replay.emulator.vanish(replay.memory["filler"])


def another_is_stopping(replay: Replay, entry: Entry) -> None:
    replay.until(q0(replay), "started")
    for label in ("start after it STOPPED", "start while another is DESTROYING"):
        replay.emulator.change(replay.ids[replay.recorded(label)["id"]], state="stopped")
    replay.memory["going"] = replay.fill("going")
    replay.memory["stopping"] = replay.fill("stopping", state="stopping")


def it_stopped(replay: Replay, entry: Entry) -> None:
    replay.emulator.change(replay.memory["stopping"], state="stopped")


def another_is_destroying(replay: Replay, entry: Entry) -> None:
    replay.emulator.change(replay.memory["going"], state="destroying")


def little_disk(replay: Replay, entry: Entry) -> None:
    replay.emulator.settings(quota=replay.quota(cpu=100, memory=100, disk=9))


def no_memory(replay: Replay, entry: Entry) -> None:
    replay.emulator.change(q0(replay), state="stopped")
    replay.emulator.settings(quota=replay.quota(cpu=100, memory=0, disk=100))


def room_again(replay: Replay, entry: Entry) -> None:
    """The recorder suspended the organisation a moment ago, and the API did not know yet."""
    replay.emulator.settings(quota=replay.quota(cpu=100, memory=100, disk=100))
    replay.emulator.change(q0(replay), backupState="Pending")


# 11


def suspended(replay: Replay) -> None:
    before = {"name": replay.variant.renamed("p0"), "backupState": "Completed"}
    replay.seed(replay.recorded("get when org suspended"), **before)


# 16


def distinct_starts(replay: Replay, entry: Entry) -> None:
    """As many admitted as in one of the recorded rounds of that size, the rest refused for CPU."""
    keys = [replay.fill(f"{entry['label']} {number}", state="stopped") for number in range(entry["requests"])]
    replies = replay.at_once([{"method": "POST", "path": f"/api/sandbox/{key}/start"} for key in keys])
    outcomes = [dict(_counted(item["outcome"])) for item in replay.entries if item.get("requests") == len(keys)]
    got: dict[tuple[int, str], int] = {}
    for reply in replies:
        got[_short(reply)] = got.get(_short(reply), 0) + 1
    if got not in outcomes:
        replay.problems.append(f"{entry['label']}: recorded {outcomes}, got {got}")
    for key in keys:
        replay.emulator.vanish(key)


def concurrent_creates(replay: Replay, entry: Entry) -> None:
    same = entry["label"] == SAME_NAME
    replay.emulator.settings(quota=replay.quota(cpu=5, memory=100, disk=100))
    if not same:
        replay.fill("in use")
    names = [
        replay.variant.renamed("samename") if same else f"c{number}" for number in range(len(entry["outcome"]))
    ]
    requests = [{"method": "POST", "path": "/api/sandbox", "body": {"name": name}} for name in names]
    got = sorted([reply.status, _word(reply)] for reply in replay.at_once(requests))
    if got != sorted(entry["outcome"]):
        replay.problems.append(f"{entry['label']}: recorded {entry['outcome']}, got {got}")
    for name in names:
        if replay.call("GET", f"/api/sandbox/{name}").status == 200:
            replay.emulator.change(replay.call("GET", f"/api/sandbox/{name}").body["id"], state="destroyed")


def _counted(outcome: list[list[Any]]) -> list[tuple[tuple[int, str], int]]:
    return [((status, text), count) for status, text, count in outcome]


def _short(reply: Reply) -> tuple[int, str]:
    """The recorder cut messages after 40 characters."""
    return reply.status, _word(reply)[:40]


def _word(reply: Reply) -> str:
    return str(reply.body["state"] if reply.status == 200 else reply.body["message"])


SCENARIOS = {
    "07_quota": Scenario(
        settings=lambda replay: {"quota": replay.quota(cpu=4, memory=100, disk=100)},
        rows=four_running,
        before={
            "start over CPU quota": one_stopped_another_in_its_place,
            "start (restore) from archived over CPU quota": archived,
            "start after freeing one": one_freed,
            "start while another is STOPPING": another_is_stopping,
            "start after it STOPPED": it_stopped,
            "start while another is DESTROYING": another_is_destroying,
            "create over disk quota": little_disk,
            "start over memory quota": no_memory,
            "start when org suspended": room_again,
        },
    ),
    "11_suspended": Scenario(
        settings=lambda replay: {"suspended": replay.variant.text("suspended: rig").split(": ")[1]},
        rows=suspended,
        names=("p0",),
    ),
    "16_quota_concurrency": Scenario(
        settings=lambda replay: {"quota": replay.quota(cpu=4, memory=100, disk=100)},
        instead={
            **dict.fromkeys(ROUNDS, distinct_starts),
            **dict.fromkeys((CREATES, SAME_NAME), concurrent_creates),
        },
        names=("samename",),
    ),
}
