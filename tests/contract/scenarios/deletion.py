"""06: deleting in every state, and what is left of it."""

from __future__ import annotations

from typing import Any

from tests.contract.replay import Entry, Replay, Scenario
from tests.contract.scenarios.lifecycle import concurrent_calls

BURST = "6 concurrent DELETE /sandbox/b3a9c251-b9ef-4706-9a88-a0bb1006633c"


def life(replay: Replay) -> None:
    """The delete of the first sandbox took its host two seconds."""
    before = {"name": replay.variant.renamed("life"), "state": "started", "desiredState": "started"}
    replay.seed(replay.recorded("delete"), **before)
    replay.emulator.faults.add("host", operation="delete", seconds=2, times=1)


def host_has_begun(replay: Replay, entry: Entry) -> None:
    replay.emulator.step()


def end_of_the_first(replay: Replay, entry: Entry) -> None:
    key = replay.ids[replay.recorded("delete")["id"]]
    replay.check_sequence(entry["label"], _states(entry), key=key)


def end_of_the_archived(replay: Replay, entry: Entry) -> None:
    replay.emulator.step()
    replay.check_sequence(entry["label"], _states(entry))


def _states(entry: Entry) -> list[list[Any]]:
    return [state for _, state in entry["seq_state_desired_backup_http"]]


def stop(replay: Replay, entry: Entry) -> None:
    key = replay.call("GET", f"/api/sandbox/{replay.variant.renamed('life')}").body["id"]
    replay.call("POST", f"/api/sandbox/{key}/stop")
    replay.until(key, "stopped")


def archived(replay: Replay, entry: Entry) -> None:
    before = {"desiredState": "archived", "backupState": "Completed"}
    replay.seed(entry["response"]["body"], name=replay.variant.renamed("arch"), **before)


def target_of_burst(replay: Replay, entry: Entry) -> None:
    key = entry["label"].rsplit("/", 1)[1]
    replay.know(key, replay.fill("burst"))


def ephemeral(replay: Replay, entry: Entry) -> None:
    before = {"name": replay.variant.renamed("eph"), "state": "started", "desiredState": "started"}
    replay.seed(entry["response"]["body"], **before)


def another_ephemeral(replay: Replay, entry: Entry) -> None:
    key = entry["request"]["path"].split("/")[3]
    replay.know(key, replay.fill("another", autoDeleteInterval=0))


SCENARIOS = {
    "06_delete": Scenario(
        rows=life,
        before={
            "list while destroying": host_has_begun,
            "delete when stopped": stop,
            "delete when archived": archived,
            BURST: target_of_burst,
            "ephemeral stop": ephemeral,
            "ephemeral archive while started": another_ephemeral,
        },
        instead={
            BURST: concurrent_calls,
            "after delete": end_of_the_first,
            "after delete archived": end_of_the_archived,
        },
        names=("life", "arch", "eph"),
    ),
}
