"""01 to 03: create and get, look-ups and refused keys, labels and activity."""

from __future__ import annotations

from tests.contract.replay import Entry, Replay, Scenario


def rows_of_02(replay: Replay) -> None:
    alpha = replay.recorded("read-only key: get")
    replay.seed(alpha)
    for row in replay.recorded("org header = own org")["items"]:
        if row["id"] != alpha["id"]:
            replay.seed(row)


def rows_of_03(replay: Replay) -> None:
    replay.seed(replay.recorded("replace labels"), labels={"team": "x"})


def keep_alive_shows_after_the_flush(replay: Replay, entry: Entry) -> None:
    """The recording has seconds since the POST and the time shown; two times, the second after 10 s."""
    key = replay.memory["sandbox"]
    shown = [replay.call("GET", f"/api/sandbox/{key}").body["lastActivityAt"]]
    seconds = entry["seq"][-1][0]
    replay.emulator.advance(seconds - 0.5)
    shown.append(replay.call("GET", f"/api/sandbox/{key}").body["lastActivityAt"])
    replay.emulator.advance(0.5)
    shown.append(replay.call("GET", f"/api/sandbox/{key}").body["lastActivityAt"])
    if not shown[0] == shown[1] < shown[2]:
        replay.problems.append(f"{entry['label']}: recorded {entry['seq']}, got {shown}")


SCENARIOS = {
    "01_create_get": Scenario(),
    "02_lookup_auth_errors": Scenario(rows=rows_of_02, names=("nosuch",)),
    "03_labels_activity": Scenario(
        rows=rows_of_03,
        names=("nosuch",),
        instead={"lastActivityAt via GET at seconds after POST last-activity": keep_alive_shows_after_the_flush},
    ),
}
