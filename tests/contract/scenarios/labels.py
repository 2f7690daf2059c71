"""18: labels that are no labels, and the last writer wins."""

from __future__ import annotations

from tests.contract.replay import Entry, Replay, Scenario


def lab(replay: Replay) -> None:
    replay.seed(replay.recorded("PUT unwrapped"), labels={"a": "b"})


def last_writer_wins(replay: Replay, entry: Entry) -> None:
    path = f"/api/sandbox/{replay.memory['sandbox']}"
    wanted = [{f"w{number}": "1"} for number in range(len(entry["responses"]))]
    requests = [{"method": "PUT", "path": f"{path}/labels", "body": {"labels": labels}} for labels in wanted]
    got = [reply.body["labels"] for reply in replay.at_once(requests)]
    final = replay.call("GET", path).body["labels"]
    recorded = sorted(entry["responses"], key=str)
    if recorded != sorted(got, key=str) or final not in got or entry["final"] not in wanted:
        replay.problems.append(f"{entry['label']}: recorded {entry}, got {got}, at last {final}")


SCENARIOS = {
    "18_labels_edge": Scenario(rows=lab, instead={"6 concurrent replaces": last_writer_wins}),
}
