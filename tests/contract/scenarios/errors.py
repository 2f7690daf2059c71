"""08, 09, 13 and 17: sandboxes in error, slow and silent hosts, backups that fail for ever."""

from __future__ import annotations

from tests.contract.replay import Entry, Replay, Scenario, Step

NO_SPACE = "no space left on device"
SEQUENCE_17 = (
    "o1: START job claimed by a runner that died; sandbox stayed starting/pending=true from 06:36:04Z "
    "until 06:41:0xZ (5 min), then state=error"
)


def host_fails(operation: str, error: str, *, recoverable: bool = False, times: int | None = 1) -> Step:
    """The host's next piece of this work ends in an error."""

    def step(replay: Replay, entry: Entry) -> None:
        replay.emulator.faults.add(
            "host",
            operation=operation,
            error=replay.variant.text(error),
            recoverable=recoverable,
            times=times,
        )

    return step


def rows_of_08(replay: Replay) -> None:
    stopped = {"state": "stopped", "desiredState": "stopped", "errorReason": None, "recoverable": False}
    replay.seed(replay.recorded("get errored"), **stopped)
    replay.seed(replay.recorded("get recoverable"), **stopped)
    known = {row["id"] for row in (replay.recorded("get errored"), replay.recorded("get recoverable"))}
    for row in replay.recorded("list after failed delete")["items"]:
        if row["id"] not in known:
            replay.seed(row)


def rows_of_09(replay: Replay) -> None:
    replay.seed(replay.recorded("start with 36 s runner"), state="stopped", desiredState="stopped")
    replay.emulator.faults.add("host", operation="start", seconds=36)


def archiving(replay: Replay) -> None:
    body = replay.recorded("get")
    key = replay.seed(body, state="stopped", desiredState="stopped", backupState="None")
    host_fails("backup", "registry is away", times=None)(replay, {})
    replay.call("POST", f"/api/sandbox/{key}/archive")
    replay.memory["sandbox"] = key


def starting_for_ever(replay: Replay) -> None:
    body = replay.recorded("get after start timeout")
    key = replay.seed(body, state="stopped", desiredState="stopped", errorReason=None)
    replay.emulator.settings(runner="dead")
    replay.call("POST", f"/api/sandbox/{key}/start")
    replay.memory["sandbox"] = key


def five_minutes(replay: Replay, entry: Entry) -> None:
    """`starting` until five minutes after the start began, then an error that nothing recovers."""
    words = [line.split(" ", 1)[1] for line in entry["poll_log"]]
    replay.emulator.advance(300 - 30 - 1)
    shown = [_line(replay)]
    replay.emulator.advance(1.1)
    shown.append(_line(replay))
    if shown != [words[0], words[-1]]:
        replay.problems.append(f"{entry['label']}: recorded {entry['poll_log']}, got {shown}")


def _line(replay: Replay) -> str:
    body = replay.call("GET", f"/api/sandbox/{replay.memory['sandbox']}").body
    return " ".join(str(body[key]) for key in ("state", "desiredState", "errorReason", "recoverable"))


SCENARIOS = {
    "08_errored": Scenario(
        rows=rows_of_08,
        before={
            "start fails on runner (plain error)": host_fails("start", f"failed to start container: {NO_SPACE}"),
            "start fails (recoverable)": host_fails("start", NO_SPACE, recoverable=True),
            "stop which fails on runner": host_fails("stop", NO_SPACE, recoverable=True),
            "create fails on runner": host_fails("create", "boom"),
            "archive (backup will fail)": host_fails("backup", "registry is away", times=None),
        },
    ),
    "09_slow_start": Scenario(rows=rows_of_09),
    "13_backup_fails_forever": Scenario(rows=archiving),
    "17_start_timeout": Scenario(rows=starting_for_ever, instead={SEQUENCE_17: five_minutes}),
}
